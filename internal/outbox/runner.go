package outbox

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/art32/art32/internal/lease"
)

const (
	maxRetryAfter = 24 * time.Hour
	settleTime    = 10 * time.Second // for the mark, also after the end of ctx
)

// runner is a Worker with its defaults at work.
type runner struct {
	Worker

	sql     statements
	leases  *lease.Manager
	deliver func(context.Context, Message) error
}

// work delivers what is due again and again, until ctx ends.
func (r *runner) work(ctx context.Context, l *lease.Lease) error {
	for {
		if _, err := r.due(ctx, l); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.Poll):
		}
	}
}

// due makes an attempt at all messages that are due at its beginning.
func (r *runner) due(ctx context.Context, l *lease.Lease) (delivered int, err error) {
	for now := time.Now(); ; {
		batch, err := r.read(ctx, now)
		if err != nil {
			return delivered, err
		}
		n, err := r.batch(ctx, l, batch)
		delivered += n
		if err != nil || len(batch) < r.Batch {
			return delivered, err
		}
	}
}

func (r *runner) read(ctx context.Context, now time.Time) (out []Message, err error) {
	args := []any{r.sql.time(now), r.Batch}
	for _, k := range r.Kinds {
		args = append(args, k)
	}
	err = in(ctx, r.DB, r.sql.asWorker, nil, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, r.sql.dueOf(len(r.Kinds)), args...)
		if err != nil {
			return err
		}
		out, err = scan(rows)
		return err
	})
	return out, err
}

// scan reads messages; their Attempt is the number of attempts so far.
func scan(rows *sql.Rows) (out []Message, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m Message
		var created, due stamp
		if err := rows.Scan(&m.Tenant, &m.ID, &m.Kind, &m.Payload, &created, &due, &m.Attempt); err != nil {
			return nil, err
		}
		m.Created, m.Due = created.Time, due.Time
		out = append(out, m)
	}
	return out, rows.Err()
}

// batch handles messages side by side. The error of one stops no other unless
// it ends ctx; a lost lease does.
func (r *runner) batch(ctx context.Context, l *lease.Lease, batch []Message) (delivered int, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan Message)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(r.Parallel, len(batch)) {
		wg.Go(func() {
			for m := range next {
				ok, e := r.handle(ctx, l, m, stop)
				mu.Lock()
				if ok {
					delivered++
				}
				err = errors.Join(err, e)
				mu.Unlock()
			}
		})
	}
	feed(ctx, next, batch)
	wg.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return delivered, err
}

func feed(ctx context.Context, next chan<- Message, batch []Message) {
	defer close(next)
	for _, m := range batch {
		select {
		case <-ctx.Done():
			return
		case next <- m:
		}
	}
}

// handle makes one attempt at m and marks its outcome. What the database says
// against the claim ends the batch by stop.
func (r *runner) handle(ctx context.Context, l *lease.Lease, m Message, stop context.CancelCauseFunc) (delivered bool, err error) {
	if m.Attempt > len(r.Retries) {
		return false, r.dead(ctx, m, codeInterrupted)
	}
	claimed, err := r.claim(ctx, l, m)
	if err != nil {
		stop(err)
		return false, err
	}
	if !claimed {
		return false, nil
	}
	m.Attempt++
	err = r.attempt(ctx, m)
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return err == nil, r.settle(settle, m, err, ctx.Err() != nil)
}

// claim counts the attempt before it is made. It reports false if another
// worker was quicker, and returns lease.ErrLost if l is.
func (r *runner) claim(ctx context.Context, l *lease.Lease, m Message) (claimed bool, err error) {
	due := time.Now().Add(max(r.Timeout, r.wait(m.Attempt)))
	err = r.asTenant(ctx, m, func(tx *sql.Tx) error {
		claimed, err = one(ctx, tx, r.sql.claim, r.sql.time(due), m.Tenant.String(), m.ID.String(), m.Attempt)
		if err != nil {
			return err
		}
		query, args := l.Guard()
		var token int64
		err := tx.QueryRowContext(ctx, query, args...).Scan(&token)
		if errors.Is(err, sql.ErrNoRows) {
			return lease.ErrLost
		}
		return err
	})
	return claimed, err
}

func (r *runner) attempt(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return r.deliver(ctx, m)
}

// settle marks the outcome of an attempt. It needs no guard: what has happened
// is true whoever holds the lease, and the number of the attempt tells whether
// another one has begun. An attempt that was stopped from outside is taken back.
func (r *runner) settle(ctx context.Context, m Message, failure error, stopped bool) error {
	id := []any{m.Tenant.String(), m.ID.String(), m.Attempt}
	now := time.Now()
	e, typed := errors.AsType[*DeliveryError](failure)
	switch {
	case failure == nil:
		return r.mark(ctx, m, r.sql.delivered, append([]any{r.sql.time(now)}, id...))
	case stopped && !typed:
		return r.mark(ctx, m, r.sql.back, append([]any{r.sql.time(m.Due)}, id...))
	case !typed:
		e = untyped(failure)
	}
	if e.Permanent || m.Attempt > len(r.Retries) {
		return r.dead(ctx, m, e.code())
	}
	due := now.Add(max(r.wait(m.Attempt-1), min(e.RetryAfter, maxRetryAfter)))
	return r.mark(ctx, m, r.sql.retry, append([]any{r.sql.time(due), e.code()}, id...))
}

func (r *runner) mark(ctx context.Context, m Message, query string, args []any) error {
	return r.asTenant(ctx, m, func(tx *sql.Tx) error {
		_, err := one(ctx, tx, query, args...)
		return err
	})
}

func (r *runner) dead(ctx context.Context, m Message, code string) error {
	return r.asTenant(ctx, m, func(tx *sql.Tx) error {
		marked, err := one(ctx, tx, r.sql.dead, r.sql.time(time.Now()), code, m.Tenant.String(), m.ID.String(), m.Attempt)
		if err != nil || !marked || r.Dead == nil {
			return err
		}
		return r.Dead(ctx, tx, m)
	})
}

// asTenant runs fn in a transaction in which row security shows m's tenant.
func (r *runner) asTenant(ctx context.Context, m Message, fn func(*sql.Tx) error) error {
	var args []any
	if r.sql.asTenant != "" {
		args = []any{m.Tenant.String()}
	}
	return in(ctx, r.DB, r.sql.asTenant, args, fn)
}

// wait is the pause after a failed attempt, counted from 0, with its jitter.
// After the last one it is none.
func (r *runner) wait(attempt int) time.Duration {
	if attempt >= len(r.Retries) {
		return 0
	}
	d := max(r.Retries[attempt], 0)
	return d + rand.N(d/10+1) //nolint:gosec // spreads load, hides nothing
}

func one(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
