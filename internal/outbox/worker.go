package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
)

// Worker delivers messages. Any number may run on one database: of those with
// equal Kinds one works, under a lease, and the others wait to take over. Its
// methods are safe for concurrent use; its fields must not change meanwhile.
type Worker struct {
	// DB holds the lines "lease" and "outbox"; on PostgreSQL it is the pool of
	// the role library. Required.
	DB *sql.DB

	// Dialect is that of DB. Required.
	Dialect migrate.Dialect

	// Holder tells operators which instance works, see lease.New.
	Holder string

	// Kinds are the kinds of messages to deliver; none means all. Workers whose
	// kinds overlap deliver each message once all the same.
	Kinds []string

	// Retries are the waits after the first, second … failed attempt; after one
	// more failure the message is dead. Up to a tenth is added at random. The
	// default is 30 s, 2 m, 10 m, 30 m and 24 times 1 h: it ends within 28
	// hours, well before the 72 of Art. 33(1) GDPR.
	Retries []time.Duration

	// Timeout ends the context of one attempt; default 1 minute. A message
	// whose worker was killed is due again after the next wait of Retries, but
	// not before Timeout.
	Timeout time.Duration

	// Poll is the pause before the table is read again when nothing is due;
	// default 5 seconds.
	Poll time.Duration

	// Parallel is how many messages are delivered side by side, so that a
	// receiver who does not answer holds up no others; default 4.
	Parallel int

	// Batch is how many messages are read at once; default 100.
	Batch int

	// TTL is how long the lease outlives its holder; default 30 seconds.
	TTL time.Duration

	// Dead, if set, is called in the transaction that marks a message as dead,
	// on PostgreSQL with art32.tenant set, to leave a task for a person. If it
	// returns an error the message is not marked and Dead is called again
	// later.
	Dead func(ctx context.Context, tx *sql.Tx, m Message) error
}

// Run delivers what is due, until ctx ends, and returns why it stopped. While
// another worker holds the lease it waits. An error of the database, or of
// Dead, ends Run: the caller decides when to start it again.
//
// deliver is called outside any transaction, from up to Parallel goroutines,
// and must return when its context ends. nil means that the receiver has the
// message; an error means another attempt, unless a *DeliveryError says
// otherwise. What it returns after ctx has ended does not count as an attempt.
func (w Worker) Run(ctx context.Context, deliver func(ctx context.Context, m Message) error) error {
	r, err := w.runner(deliver)
	if err != nil {
		return err
	}
	for {
		err := lease.Run(ctx, r.leases, r.leaseName(), r.TTL, r.work)
		if !errors.Is(err, lease.ErrLost) || ctx.Err() != nil {
			return wrap("run", err)
		}
	}
}

// RunDue makes one attempt at every message that is due now, for callers with a
// schedule of their own, and returns how many were delivered, also beside an
// error. It returns lease.ErrHeld if another worker is at it. For deliver see
// Run.
func (w Worker) RunDue(ctx context.Context, deliver func(ctx context.Context, m Message) error) (delivered int, err error) {
	r, err := w.runner(deliver)
	if err != nil {
		return 0, err
	}
	l, err := r.leases.Acquire(ctx, r.leaseName(), r.TTL)
	if err != nil {
		return 0, wrap("run due", err)
	}
	err = l.Run(ctx, func(ctx context.Context, l *lease.Lease) (err error) {
		delivered, err = r.due(ctx, l)
		return err
	})
	return delivered, wrap("run due", err)
}

// Purge deletes messages of every kind that were delivered before a time and
// returns how many. Dead ones stay.
func (w Worker) Purge(ctx context.Context, before time.Time) (n int64, err error) {
	s := dialects[w.Dialect]
	err = in(ctx, w.DB, s.asWorker, nil, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, s.purge, s.time(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, wrap("purge", err)
}

// Status is what the table holds, of all tenants and kinds.
type Status struct {
	Pending int       // neither delivered nor dead
	Dead    int       // given up
	Oldest  time.Time // when the oldest pending message was enqueued, or zero
}

// Status counts the messages.
func (w Worker) Status(ctx context.Context) (Status, error) {
	var out Status
	s := dialects[w.Dialect]
	err := in(ctx, w.DB, s.asWorker, nil, func(tx *sql.Tx) error {
		var oldest stamp
		err := tx.QueryRowContext(ctx, s.status).Scan(&out.Pending, &out.Dead, &oldest)
		out.Oldest = oldest.Time
		return err
	})
	return out, wrap("status", err)
}

// runner returns a copy of w with its defaults.
func (w Worker) runner(deliver func(context.Context, Message) error) (*runner, error) {
	if _, ok := dialects[w.Dialect]; !ok || w.DB == nil || deliver == nil {
		return nil, errors.New("outbox: a worker needs a database, a dialect and a function to deliver")
	}
	if w.Retries == nil {
		w.Retries = append([]time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute},
			slices.Repeat([]time.Duration{time.Hour}, 24)...)
	}
	w.Timeout = cmp.Or(w.Timeout, time.Minute)
	w.Poll = cmp.Or(w.Poll, 5*time.Second)
	w.Parallel = cmp.Or(w.Parallel, 4)
	w.Batch = cmp.Or(w.Batch, 100)
	w.TTL = cmp.Or(w.TTL, 30*time.Second)
	return &runner{Worker: w, sql: dialects[w.Dialect], leases: lease.New(w.DB, w.Dialect, w.Holder), deliver: deliver}, nil
}

func (r *runner) leaseName() string {
	if len(r.Kinds) == 0 {
		return "outbox"
	}
	return "outbox:" + strings.Join(slices.Sorted(slices.Values(r.Kinds)), ",")
}

func wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("outbox: %s: %w", verb, err)
}
