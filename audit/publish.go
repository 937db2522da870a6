package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/tenancy"
)

const (
	defaultPublish = 5 * time.Minute
	publishLease   = "audit/publish"
	maxPlaceFaults = 3 // in a row, after which a place is left alone for a round
)

// Place keeps heads of logs where the database's administrator cannot change them:
// a folder on another machine, a bucket with a lock, a witness, a mailbox. Only
// there it shows that a log was rolled back or written anew. Implementations must
// be safe for concurrent use, and bound the time of each call.
type Place interface {
	// Name tells the place in logs, reports and metrics. It is a word of the
	// operator's, unique among the places of a [Publisher], and names no person.
	Name() string
	// Held is the newest checkpoint, as a signed note, that the place holds of the
	// log of an origin: that of the greatest size. It is nil where the place holds
	// none, or cannot be asked; the latter must judge in Put. The note need not be
	// checked.
	Held(ctx context.Context, origin string) ([]byte, error)
	// Put hands over a head that is greater than the one held. It returns once the
	// head is safe there. What it returns are signature lines for the head's note
	// (c2sp.org/tlog-cosignature), which the place must have verified; nil for
	// none. A place that finds itself that the log did not grow from what it holds
	// returns a [*Disagreement]; one that takes nothing of this log [ErrNotTaken].
	Put(ctx context.Context, h *Head) ([]string, error)
}

// Paced is a [Place] that wants heads of one log seldom, as a mailbox does.
type Paced interface {
	Place
	// Every is the least time between two heads of a log.
	Every() time.Duration
}

// ErrNotTaken is returned by [Place.Put] where a place takes no heads of a log, such
// as a witness that does not know it. It is counted, and no fault.
var ErrNotTaken = errors.New("audit: the place takes no heads of this log")

// PublisherOptions are the choices of a [Publisher]; nil and zero fields mean the
// defaults.
type PublisherOptions struct {
	// Interval is the pause between two rounds of [Publisher.Run]: for so long what
	// was sealed can be taken back unseen. Default five minutes.
	Interval time.Duration
	// Lease is after how long another instance takes over from one that died.
	// Default 30 seconds.
	Lease time.Duration
	// Tenants narrows the logs to those of these tenants; the zero ID is the
	// platform's. Default: all.
	Tenants []tenancy.ID
	// PlatformKey is the public key of the platform's log as it is held outside
	// ([Report].PlatformKey). Where no log of the platform has it, nothing is
	// published. Default: not checked, so that an installation that was replaced as a
	// whole publishes its own logs beside those held.
	PlatformKey string
	// Logger receives disagreements and places that fail. Default [slog.Default].
	Logger *slog.Logger
}

// Publisher brings the signed heads of all logs to places outside, and compares
// them with what lies there. It is safe for concurrent use.
type Publisher struct {
	db        *tenancy.DB
	places    []Place
	o         PublisherOptions
	telemetry publishTelemetry

	mu      sync.Mutex
	settled map[heldAt]Checkpoint // what a place holds for certain
	alarmed map[heldAt]Divergence // disagreements that were logged
	failing map[string]bool       // places whose failure was logged
	known   map[uuid.UUID]bool    // logs that the platform's log holds as opened
}

// heldAt is a log at a place.
type heldAt struct{ place, origin string }

// Publication is what a round has done and found.
type Publication struct {
	// Heads counts the heads that were handed over, NotTaken those that a place
	// does not take.
	Heads    int `json:"heads"`
	NotTaken int `json:"not_taken"`
	// Disagreements are the heads that are held outside and that no log of the
	// database grew from. Nothing is published to that place for such a log.
	Disagreements []Disagreement `json:"disagreements"`
}

// NewPublisher makes the publisher of a database. It needs no keys, and touches
// neither database nor places.
func NewPublisher(db *tenancy.DB, places []Place, o *PublisherOptions) (*Publisher, error) {
	if db == nil || len(places) == 0 {
		return nil, errors.New("audit: new publisher: a database and a place are required")
	}
	names := make(map[string]bool)
	for _, place := range places {
		if place == nil || place.Name() == "" || names[place.Name()] {
			return nil, errors.New("audit: new publisher: each place needs a name of its own")
		}
		names[place.Name()] = true
	}
	p := &Publisher{
		db: db, places: slices.Clone(places),
		settled: make(map[heldAt]Checkpoint), alarmed: make(map[heldAt]Divergence), failing: make(map[string]bool), known: make(map[uuid.UUID]bool),
	}
	if o != nil {
		p.o = *o
	}
	if p.o.Interval <= 0 {
		p.o.Interval = defaultPublish
	}
	if p.o.Lease <= 0 {
		p.o.Lease = defaultLease
	}
	if p.o.Logger == nil {
		p.o.Logger = slog.Default()
	}
	var err error
	p.telemetry, err = newPublishTelemetry()
	return p, err
}

// Run publishes until ctx ends, and returns its cause. One instance does so at a
// time, under a lease; the others wait to take over. What fails is logged once and
// tried again in the next round.
func (p *Publisher) Run(ctx context.Context) error {
	e := p.db.Engine(engine.Library)
	m := lease.New(e.Platform(), e.Dialect(), "publisher/"+strconv.Itoa(os.Getpid()))
	for ctx.Err() == nil {
		err := lease.Run(ctx, m, publishLease, p.o.Lease, func(ctx context.Context, _ *lease.Lease) error {
			return p.loop(ctx)
		})
		if err != nil && ctx.Err() == nil {
			p.o.Logger.WarnContext(ctx, "audit: publishing interrupted", slog.Any("error", err))
			wait(ctx, p.o.Interval)
		}
	}
	return context.Cause(ctx)
}

func (p *Publisher) loop(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		_, err := p.PublishDue(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			p.o.Logger.ErrorContext(ctx, "audit: publishing failed", slog.Any("error", err))
		}
		failing = err != nil
		wait(ctx, p.o.Interval)
	}
	return context.Cause(ctx)
}

// PublishDue hands each place the heads that are newer than what it holds. Before
// that it demands that the log grew from what is held; where it did not, the place
// keeps what it holds, the [Disagreement] is logged as an error, once, and returned.
// A tenant's log is published only if the platform's log holds that it was opened here.
// A log that ended with a restore may fall short of what is held where its own key
// has declared that (docs/formats/audit-log.md, "Succession").
//
// Heads that the places held already when this process last saw them are not asked
// for again. An error says what could not be compared or handed over; the report is
// then what was done all the same.
func (p *Publisher) PublishDue(ctx context.Context) (*Publication, error) {
	r := &round{p: p, out: &Publication{Disagreements: []Disagreement{}}, faults: make(map[string]int)}
	tenants, err := p.tenants(ctx)
	if err != nil {
		return r.out, err
	}
	if err := r.pinned(ctx); err != nil {
		return r.out, err
	}
	for _, tenant := range tenants {
		if err := r.tenant(ctx, tenant); err != nil && !absent(p.db, err) {
			r.errs = append(r.errs, err)
		}
		if ctx.Err() != nil {
			return r.out, context.Cause(ctx)
		}
	}
	p.telemetry.disagree(ctx, p.places, r.out.Disagreements)
	return r.out, errors.Join(r.errs...)
}

func (p *Publisher) tenants(ctx context.Context) ([]uuid.UUID, error) {
	var all []uuid.UUID
	if p.o.Tenants != nil {
		for _, id := range p.o.Tenants {
			all = append(all, id.UUID())
		}
		return all, nil
	}
	known, err := p.db.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, uuid.Nil)
	for _, t := range known {
		all = append(all, t.ID.UUID())
	}
	return all, nil
}

// round is one call of PublishDue.
type round struct {
	p        *Publisher
	out      *Publication
	platform anchors
	faults   map[string]int // failures of a place in a row
	errs     []error
}

func (r *round) tenant(ctx context.Context, tenant uuid.UUID) error {
	logs, err := readLogs(ctx, r.p.db, tenant)
	if err != nil {
		return err
	}
	drops, err := readDrops(ctx, r.p.db, tenant, logs)
	if err != nil {
		return err
	}
	for i, l := range logs {
		if l.newest.size < 0 {
			continue // begun, and nothing sealed
		}
		h, err := signedHead(r.p.db, tenant, l)
		if err == nil {
			err = r.opened(ctx, l, tenant)
		}
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("audit: publish %s: %w", l.origin, err))
			continue
		}
		v := visit{round: r, log: l, head: h, dropped: drops.covers(l)}
		if i+1 < len(logs) {
			v.lost = restored(l, logs[i+1])
		}
		for _, place := range r.p.places {
			r.at(ctx, &v, place)
		}
	}
	return nil
}

// at brings one head to one place, and keeps account.
func (r *round) at(ctx context.Context, v *visit, place Place) {
	name := place.Name()
	if r.faults[name] >= maxPlaceFaults || ctx.Err() != nil {
		return
	}
	err := v.bring(ctx, place)
	key := heldAt{name, v.head.Origin}
	if d := asDisagreement(err); d != nil {
		r.out.Disagreements = append(r.out.Disagreements, *d)
		r.p.alarm(ctx, key, d)
		return
	}
	if err != nil && !errors.Is(err, ErrNotTaken) {
		r.faults[name]++
		r.errs = append(r.errs, fmt.Errorf("audit: publish %s to %s: %w", v.head.Origin, name, err))
		r.p.failed(ctx, name, err)
		return
	}
	r.faults[name] = 0
	if err != nil {
		r.out.NotTaken++
	}
	r.p.agreed(ctx, key)
}

// visit is one log on its way to the places.
type visit struct {
	*round

	log  *head
	head *Head
	// dropped says that a sealed entry tells that the log's entries are gone.
	dropped bool
	lost    *Checkpoint // what a restore has declared as lost; nil for nothing
}

// bring compares, and hands over what is newer.
func (v *visit) bring(ctx context.Context, place Place) error {
	key := heldAt{place.Name(), v.head.Origin}
	if v.p.isSettled(key, v.head.Checkpoint) {
		return nil
	}
	if again, err := v.tooSoon(ctx, place); err != nil || again {
		return err
	}
	newer, err := v.compare(ctx, place)
	if err != nil {
		return err
	}
	if newer {
		if err := v.put(ctx, place); err != nil {
			return err
		}
	}
	v.p.settle(key, v.head.Checkpoint)
	return nil
}

// compare reports whether the head is newer than what the place holds, and the
// disagreement where it did not grow from that.
func (v *visit) compare(ctx context.Context, place Place) (newer bool, err error) {
	note, err := place.Held(ctx, v.head.Origin)
	if err != nil || note == nil {
		return true, err
	}
	d := &Disagreement{Place: place.Name(), Origin: v.head.Origin, Held: -1, Ours: v.head.Size}
	held, err := ParseCheckpoint(note, v.head.Key)
	if err != nil {
		d.Looks = Unsigned
		return false, d
	}
	d.Held = held.Size
	if v.dropped && held.Size < v.head.Size {
		return true, nil // there are no tiles any more to prove it by
	}
	if d.Looks, err = v.head.diverges(ctx, held); err != nil {
		return false, err
	}
	switch {
	case d.Looks == "":
		return held.Size < v.head.Size, nil
	case excuses(v.lost, held):
		return false, nil
	}
	return false, d
}

// put hands the head over and keeps what the place gives for it.
func (v *visit) put(ctx context.Context, place Place) error {
	lines, err := place.Put(ctx, v.head)
	if d := asDisagreement(err); d != nil && excuses(v.lost, Checkpoint{Size: d.Held}) {
		return nil
	}
	if err != nil {
		return err
	}
	v.out.Heads++
	v.p.telemetry.published(ctx, place.Name())
	if len(lines) > 0 {
		if err := keepCosignatures(ctx, v.p.db, v.head, v.log.id, lines); err != nil {
			return err
		}
	}
	if _, ok := place.(Paced); ok {
		return keepPublication(ctx, v.p.db, v.head, v.log.id, place.Name())
	}
	return nil
}

// tooSoon reports whether a place that wants heads seldom has got one.
func (v *visit) tooSoon(ctx context.Context, place Place) (bool, error) {
	paced, ok := place.(Paced)
	if !ok {
		return false, nil
	}
	size, at, err := readPublication(ctx, v.p.db, v.head.Tenant.UUID(), v.log.id, place.Name())
	passed := time.Since(at)
	return size == v.head.Size || passed >= 0 && passed < paced.Every(), err
}
