// Package lease lets one of many instances do a piece of background work, by a
// lease in the database with a fencing token.
//
// It supports TOM-7.1 (automatic backups) and all other work on a schedule: no
// run is doubled, and when an instance dies another one goes on after the
// lease's time to live. [Run] is the usual way in: it waits for
// the lease, renews it and stops the work when it is lost. A transaction that
// must not be late runs [Lease.Guard] before it commits.
//
// # Guarantees
//
// The database's clock alone judges whether a lease has expired, so the clocks
// of the instances may differ at will: no skew between them is tolerated or
// needed. Each acquisition gets a greater token than all before it, for ever.
// A transaction whose Guard found its row commits before anybody else acquires
// the lease. The holder counts the time to live on its monotonic clock from
// before the request was sent, so it gives up no later than the database does,
// as long as both clocks run at the same rate.
//
// # Not covered
//
// Work that leaves the database is not fenced: a holder that was suspended, or
// a database clock that was set forward, lets two holders overlap until the
// next Guard or renewal. What leaves must be idempotent, or carry the token.
// A database clock that is set back delays a takeover by as much.
//
// # Compatibility
//
// The tables art32.leases (PostgreSQL) and art32_leases (SQLite) keep their
// columns. A row is never deleted by this package: the token would start anew.
package lease

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/art32/art32/internal/migrate"
)

// Errors a caller decides on.
var (
	// ErrHeld says that another holder, or another Lease of this one, has the
	// lease.
	ErrHeld = errors.New("lease: held by another")

	// ErrLost says that a lease has expired or was taken over. The holder must
	// stop at once what it does under the lease.
	ErrLost = errors.New("lease: lost")
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the line "lease", which owns the table of leases. Its
// rights on PostgreSQL go to art32_library only.
func Migrations() migrate.Line {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return migrate.Line{Name: "lease"} // unreachable; such a line is an error
	}
	return migrate.Line{Name: "lease", FS: sub}
}

// Manager acquires leases for one holder. It is safe for concurrent use.
type Manager struct {
	db     *sql.DB
	sql    statements
	holder string
}

// New returns a Manager on a database that holds the line of Migrations.
//
// holder tells operators who holds a lease, as host name and process id do; it
// is no identity, and must not be personal data: two instances of one name
// exclude each other all the same. On SQLite db should set a busy timeout.
func New(db *sql.DB, d migrate.Dialect, holder string) *Manager {
	return &Manager{db: db, sql: dialects[d], holder: holder}
}

// Acquire takes the lease called name for ttl, which is counted in
// milliseconds. It does not wait: while the lease is held it returns ErrHeld.
func (m *Manager) Acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	if name == "" || ttl < time.Millisecond {
		return nil, fmt.Errorf("lease: acquire %q for %v: a name and at least a millisecond are needed", name, ttl)
	}
	before := time.Now()
	var token int64
	err := m.db.QueryRowContext(ctx, m.sql.acquire, name, m.holder, ttl.Milliseconds()).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, fmt.Errorf("lease: acquire %s: %w", name, err)
	}
	return &Lease{m: m, name: name, ttl: ttl, token: token, until: before.Add(ttl.Truncate(time.Millisecond))}, nil
}
