package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/tenancy"
)

const (
	defaultFeed  = 10 * time.Second
	defaultLines = 256
	maxLines     = 4096
	maxBackoff   = 5 * time.Minute
)

// Sink takes what a [Feed] sends, such as the collector of a SIEM.
type Sink interface {
	// Send hands over whole lines of UTF-8, each with its end. It returns nil only
	// once they are safe there: then they are not sent again. After an error, or a
	// crash before the answer, the same lines come again, perhaps with others behind
	// them; the receiver discards entries whose log, index and event it has seen.
	// It must bound its time.
	Send(ctx context.Context, lines []byte) error
}

// FeedContent is what a feed tells of an entry.
type FeedContent int

const (
	// OpenHalf is what the tree holds in clear: ids and words of the code.
	OpenHalf FeedContent = iota
	// WithPayload adds what the entry tells about people and data, decrypted. The
	// sink must be the tenant's own, or one that the vendor may show the data of that
	// tenant's data subjects to; an erasure does not reach what was sent.
	WithPayload
)

// FeedOptions are the choices of a [Feed]; nil and zero fields mean the defaults.
type FeedOptions struct {
	// Format writes entries as lines. Default [JSONLines].
	Format Format
	// Tenant narrows the feed to the log of one tenant. Default: all tenants, and
	// the platform.
	Tenant tenancy.ID
	// Content is what is told of an entry. Default [OpenHalf]; [WithPayload] demands
	// Tenant.
	Content FeedContent
	// Interval is the pause between two rounds of [Feed.Run]. Default ten seconds.
	Interval time.Duration
	// Batch is how many entries are sent at once, at most 4,096. Default 256.
	Batch int
	// Lease is after how long another instance takes over from one that died.
	// Default 30 seconds.
	Lease time.Duration
	// Logger receives sinks that fail, and gaps. Default [slog.Default].
	Logger *slog.Logger
}

// Feed sends the sealed entries of logs to a sink, those of each tenant in the order of
// its tree. The log itself is the queue: a cursor in the database says what the sink
// has taken, and moves only after that. No entry is lost, and after a crash at most
// one batch comes twice. It sends what the rows say; that they are as they were sealed
// is for [Verify] to say. It is safe for concurrent use.
type Feed struct {
	log  *Log
	db   *tenancy.DB
	name string
	sink Sink
	o    FeedOptions

	// step is called between the steps of a batch; nil but in tests that kill the
	// process there.
	step func(name string)
}

var feedName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// NewFeed makes the feed called name, a word of 1 to 64 letters, digits, dots, hyphens
// and underscores in lower case. The name is its place in the log: another name begins
// with the first entry, and one that two processes use is sent once. l may be nil
// unless the feed carries payloads.
func NewFeed(l *Log, db *tenancy.DB, name string, sink Sink, o *FeedOptions) (*Feed, error) {
	if db == nil || sink == nil || !feedName.MatchString(name) {
		return nil, errors.New("audit: new feed: a database, a sink and a name are required")
	}
	f := &Feed{log: l, db: db, name: name, sink: sink, step: func(string) {}}
	if o != nil {
		f.o = *o
	}
	switch {
	case f.o.Content != OpenHalf && f.o.Content != WithPayload:
		return nil, errors.New("audit: new feed: unknown content")
	case f.o.Content == WithPayload && (l == nil || f.o.Tenant.IsZero()):
		return nil, errors.New("audit: new feed: payloads are sent of one tenant only, and need the log")
	}
	f.o.defaults()
	return f, nil
}

func (o *FeedOptions) defaults() {
	if o.Format == nil {
		o.Format = JSONLines
	}
	if o.Interval <= 0 {
		o.Interval = defaultFeed
	}
	if o.Batch <= 0 {
		o.Batch = defaultLines
	}
	o.Batch = min(o.Batch, maxLines)
	if o.Lease <= 0 {
		o.Lease = defaultLease
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Run sends until ctx ends, and returns its cause. One instance sends at a time, under
// a lease; the others wait to take over. While the sink fails the pauses grow to five
// minutes; the first failure is logged, and that it is over.
func (f *Feed) Run(ctx context.Context) error {
	e := f.db.Engine(engine.Library)
	m := lease.New(e.Platform(), e.Dialect(), "feed/"+strconv.Itoa(os.Getpid()))
	for ctx.Err() == nil {
		err := lease.Run(ctx, m, "audit/feed/"+f.name, f.o.Lease, func(ctx context.Context, _ *lease.Lease) error {
			return f.loop(ctx)
		})
		if err != nil && ctx.Err() == nil {
			f.o.Logger.WarnContext(ctx, "audit: feed interrupted", slog.String("feed", f.name), slog.Any("error", err))
			wait(ctx, f.o.Interval)
		}
	}
	return context.Cause(ctx)
}

func (f *Feed) loop(ctx context.Context) error {
	pause := f.o.Interval
	for failing := false; ctx.Err() == nil; wait(ctx, pause) {
		_, err := f.SendDue(ctx)
		switch {
		case err == nil:
			pause = f.o.Interval
			if failing {
				f.o.Logger.InfoContext(ctx, "audit: the feed goes on", slog.String("feed", f.name))
			}
		case ctx.Err() == nil:
			pause = min(2*pause, max(maxBackoff, f.o.Interval))
			if !failing {
				f.o.Logger.ErrorContext(ctx, "audit: the feed fails", slog.String("feed", f.name), slog.Any("error", err))
			}
		}
		failing = err != nil
	}
	return context.Cause(ctx)
}

// SendDue sends all that is sealed and was not sent, and returns how many entries that
// were. A failure of the sink ends it; what concerns one tenant's log alone does not
// keep it from the others.
func (f *Feed) SendDue(ctx context.Context) (sent int, err error) {
	tenants, err := f.tenants(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, tenant := range tenants {
		n, err := f.sendLog(ctx, tenant)
		sent += n
		if err != nil && !absent(f.db, err) {
			errs = append(errs, err)
		}
		if _, is := errors.AsType[*sinkError](err); is || ctx.Err() != nil {
			break
		}
	}
	return sent, errors.Join(errs...)
}

func (f *Feed) tenants(ctx context.Context) ([]uuid.UUID, error) {
	if !f.o.Tenant.IsZero() {
		return []uuid.UUID{f.o.Tenant.UUID()}, nil
	}
	known, err := f.db.Tenants(ctx)
	all := []uuid.UUID{uuid.Nil}
	for _, t := range known {
		all = append(all, t.ID.UUID())
	}
	return all, err
}

// sinkError is a failure of the sink, which concerns all logs.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return "audit: feed: send: " + e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// sendLog sends one tenant's log to its end, batch by batch.
func (f *Feed) sendLog(ctx context.Context, tenant uuid.UUID) (sent int, err error) {
	for {
		b, err := f.readBatch(ctx, tenant)
		if err != nil || len(b.entries) == 0 {
			return sent, err
		}
		f.step("read")
		var lines []byte
		for i := range b.entries {
			if lines, err = f.o.Format(lines, &b.entries[i]); err != nil {
				return sent, fmt.Errorf("audit: feed: write an entry: %w", err)
			}
		}
		if err := f.sink.Send(ctx, lines); err != nil {
			return sent, &sinkError{err}
		}
		f.step("taken")
		if err := f.move(ctx, tenant, b); err != nil {
			return sent, err
		}
		f.step("moved")
		if sent += len(b.entries); b.last {
			return sent, nil
		}
	}
}
