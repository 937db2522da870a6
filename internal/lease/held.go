package lease

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Lease is one acquisition of a lease. It is safe for concurrent use.
type Lease struct {
	m     *Manager
	name  string
	ttl   time.Duration
	token int64

	mu    sync.Mutex
	until time.Time // by the monotonic clock of this process
}

// Token returns the fencing token: greater than that of every acquisition of
// the same name before. A system outside the database may refuse lesser ones.
func (l *Lease) Token() int64 { return l.token }

// Valid reports whether the lease holds by the clock of this process. It asks
// nobody; the database may know better, see Guard.
func (l *Lease) Valid() bool { return time.Now().Before(l.end()) }

// Renew prolongs the lease by its time to live, counted from now. It returns
// ErrLost if the lease has expired or was released, also if nobody has taken
// it over; every other error leaves the lease as it was, so that the caller
// may try again while Valid.
func (l *Lease) Renew(ctx context.Context) error {
	before := time.Now()
	n, err := l.exec(ctx, l.m.sql.renew, l.name, l.token, l.ttl.Milliseconds())
	if err != nil {
		return fmt.Errorf("lease: renew %s: %w", l.name, err)
	}
	if n == 0 {
		l.setEnd(before)
		return ErrLost
	}
	l.setEnd(before.Add(l.ttl.Truncate(time.Millisecond)))
	return nil
}

// Release gives the lease up, so that another holder need not wait for its
// end. It is no error to release a lease that is lost or released already.
func (l *Lease) Release(ctx context.Context) error {
	l.setEnd(time.Now())
	if _, err := l.exec(ctx, l.m.sql.release, l.name, l.token); err != nil {
		return fmt.Errorf("lease: release %s: %w", l.name, err)
	}
	return nil
}

// Guard returns a query that yields exactly one row while the lease is held,
// and none once it has expired or was taken over. Placeholders are $1 and $2.
//
// In a transaction the row, once read, keeps others from the lease until the
// end of the transaction. The caller must not commit when there is no row, and
// should keep the transaction far shorter than the time to live: on PostgreSQL
// a renewal waits for it. On SQLite the query belongs behind the first write
// of the transaction, or into one begun IMMEDIATE; before it, the write may
// fail with SQLITE_BUSY_SNAPSHOT.
func (l *Lease) Guard() (query string, args []any) {
	return l.m.sql.guard, []any{l.name, l.token}
}

func (l *Lease) end() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

func (l *Lease) setEnd(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = t
}

func (l *Lease) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := l.m.db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
