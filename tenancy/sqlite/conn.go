package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"github.com/art32/art32/internal/engine"
)

// conn is one connection. Two ways lead in: the methods of database/sql, which
// carry callers' text (on the pools of tenants), and run, begin and end, which
// carry the library's. Each claims the connection and says its rights for that
// one call, so that text of the one can never run with the rights of the
// other, also when a caller breaks the rules and uses two goroutines.
type conn struct {
	file string
	gate *gate
	use  use

	mu      sync.Mutex
	inner   nativeConn
	guard   guard
	cache   map[string]*prepared
	phase   phase
	failure error // why the transaction is dead
	writing bool  // the gate is ours
	reads   bool  // the transaction writes nothing
	mayEnd  bool  // the engine lets the transaction of callers' text end
	commits bool  // a commit of the engine is under way
	denied  int   // statements of the caller that were refused
	hooks   sqlite.HookRegisterer
	counts  bool             // what callers' text writes
	written []engine.Written // by it
	broken  bool
}

// nativeConn is what the driver's connections can do.
type nativeConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Validator
	ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
}

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
)

func (c *conn) take(inner driver.Conn) error {
	n, ok := inner.(nativeConn)
	if !ok {
		return errors.New("sqlite: driver lacks a method")
	}
	c.inner = n
	return nil
}

// as runs fn with rights r, alone on the connection.
func (c *conn) as(r rights, fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.with(r, fn)
}

// with runs fn with rights r; the caller has the connection.
func (c *conn) with(r rights, fn func() error) error {
	before := c.guard.rights
	c.guard.rights = r
	defer func() { c.guard.rights = before }()
	return fn()
}

// rights of a text that arrives by database/sql.
func (c *conn) rights(query string) rights {
	if c.use.untrusted[query] {
		return migration
	}
	return c.use.rights
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	err = c.outside(ctx, query, func() error {
		res, err = c.inner.ExecContext(ctx, query, args)
		return err
	})
	return res, err
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rs driver.Rows, err error) {
	err = c.outside(ctx, query, func() error {
		inner, err := c.inner.QueryContext(ctx, query, args)
		rs, err = c.wrapRows(inner, query, err)
		return err
	})
	return rs, err
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn) PrepareContext(ctx context.Context, query string) (st driver.Stmt, err error) {
	err = c.outside(ctx, query, func() error {
		inner, err := c.inner.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		native, ok := inner.(nativeStmt)
		if !ok {
			return errors.Join(errors.New("sqlite: driver lacks a method"), inner.Close())
		}
		st = &stmt{nativeStmt: native, c: c, query: query}
		return nil
	})
	return st, err
}

// Prepare implements [driver.Conn].
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// outside runs text that arrived by database/sql: begun, with its rights, and
// on the pools of tenants with errors that hold no values. There a failed
// statement ends the transaction, as it does in PostgreSQL: half of a failed
// whole cannot be committed.
func (c *conn) outside(ctx context.Context, query string, fn func() error) error {
	if strings.IndexByte(query, 0) >= 0 {
		return &engine.Error{Kind: engine.BadValue, Text: "statement holds NUL"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ready(ctx); err != nil {
		return err
	}
	err := c.with(c.rights(query), fn)
	if err == nil || !c.use.confined {
		return err
	}
	err = c.fail(err)
	if e, ok := errors.AsType[*engine.Error](err); ok && e.Kind == engine.Forbidden {
		c.denied++
	}
	return err
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	x, err := bind(v.Value)
	if err != nil {
		return badArgument(v.Ordinal, err)
	}
	v.Value = x
	return nil
}

// ResetSession implements [driver.SessionResetter].
func (c *conn) ResetSession(context.Context) error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	return nil
}

// IsValid implements [driver.Validator]. A connection that is left inside a
// transaction is not used again.
func (c *conn) IsValid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.broken && c.phase == idle && c.inner.IsValid()
}

// Close implements [driver.Conn].
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.giveUp()
	return c.with(library, func() error {
		var errs []error
		for _, p := range c.cache {
			errs = append(errs, p.Close())
		}
		clear(c.cache)
		return errors.Join(append(errs, c.inner.Close())...)
	})
}
