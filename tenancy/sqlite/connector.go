package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// connector opens connections to one file. Each has a driver value of its own
// whose hook installs the guard, so that there is no connection without one and
// nothing is registered for the process.
type connector struct {
	path string // absolute
	file string // the path as errors name it
	gate *gate
	use  use
}

// use says what a pool of connections is for.
type use struct {
	rights rights // of text that arrives by database/sql
	// untrusted texts run as migrations whatever rights says.
	untrusted map[string]bool
	// confined connections write inside transactions of the engine only.
	confined bool
	sync     string // PRAGMA synchronous
	timeout  time.Duration
}

var _ driver.Connector = (*connector)(nil)

// Connect implements [driver.Connector].
func (n *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &conn{file: n.file, gate: n.gate, use: n.use, cache: map[string]*prepared{}}
	var d sqlite.Driver
	d.RegisterConnectionHook(func(x sqlite.ExecQuerierContext, _ string) error { return n.prepare(ctx, c, x) })
	inner, err := d.Open(n.dsn())
	if err != nil {
		return nil, translate(err, n.file)
	}
	if err := errors.Join(bound(ctx, inner), c.take(inner)); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return c, nil
}

// mostLength is how long a value can be, in bytes: an expression of a caller's makes
// values of SQLite's own billion at no cost to the caller.
const mostLength = 128 << 20

// bound limits the length of values on a fresh connection. The driver does so for a
// sql.Conn alone; the one here is never given back, so that the connection outlives it.
func bound(ctx context.Context, inner driver.Conn) error {
	db := sql.OpenDB(fixed{inner})
	defer db.Close()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	_, err = sqlite.Limit(c, sqlite3.SQLITE_LIMIT_LENGTH, mostLength)
	return err
}

// fixed hands out one connection that is open already. It has no Close, which sql.DB
// would call.
type fixed struct{ conn driver.Conn }

// Connect implements [driver.Connector].
func (f fixed) Connect(context.Context) (driver.Conn, error) { return f.conn, nil }

// Driver implements [driver.Connector].
func (fixed) Driver() driver.Driver { return noDriver{} }

// Driver implements [driver.Connector].
func (n *connector) Driver() driver.Driver { return noDriver{} }

// noDriver keeps connections from being opened by name.
type noDriver struct{}

func (noDriver) Open(string) (driver.Conn, error) {
	return nil, refused("connections come from sqlite.Open only")
}

// dsn names the file as a URI, so that no character of the path is taken for
// an option. The file must exist: SQLite never creates one here.
func (n *connector) dsn() string {
	u := url.URL{Scheme: "file", Path: n.path, RawQuery: "mode=rw&_defensive=1&_dqs=0&_error_rc=1"}
	return u.String()
}

// prepare sets a fresh connection up, then hands it to the guard.
func (n *connector) prepare(ctx context.Context, c *conn, x sqlite.ExecQuerierContext) error {
	settings := fmt.Sprintf(`PRAGMA busy_timeout = %d;
		PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA secure_delete = ON;
		PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
		PRAGMA temp_store = MEMORY`, n.use.timeout.Milliseconds(), n.use.sync)
	if _, err := x.ExecContext(ctx, settings, nil); err != nil {
		return err
	}
	hooks, ok := x.(sqlite.HookRegisterer)
	if !ok {
		return errors.New("sqlite: driver has no hooks")
	}
	hooks.RegisterCommitHook(c.onCommit)
	c.hooks = hooks
	return c.guard.install(x)
}

// gate lets one writer at a time of this process into a file, and none after it
// was closed. Waiting here costs nothing, while SQLite's own waiting sleeps and
// is not fair.
type gate struct {
	writer chan struct{}
	closed atomic.Bool
}

func newGate() *gate { return &gate{writer: make(chan struct{}, 1)} }

func (g *gate) enter(ctx context.Context, timeout time.Duration) error {
	if g.closed.Load() {
		return errClosed
	}
	select {
	case g.writer <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case g.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errBusy
	}
}

func (g *gate) leave() { <-g.writer }
