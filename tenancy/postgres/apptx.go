package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// appTx is a transaction of callers' text under the sealed context. The
// library's own statements travel on the same connection.
type appTx struct {
	conn *sqlx.Conn
	tx   *sqlx.Tx // nil for BeginRead, which hands none out
	done bool
}

var (
	_ engine.SQLTx    = (*appTx)(nil)
	_ engine.Admitter = (*appTx)(nil)
)

func (e *pgEngine) BeginSQL(ctx context.Context, s engine.Scope) (engine.SQLTx, error) {
	conn, err := e.app.Connx(ctx)
	if err != nil {
		return nil, plain(err)
	}
	tx, err := conn.BeginTxx(context.WithValue(ctx, scopeKey{}, s), nil)
	if err != nil {
		return nil, errors.Join(plain(err), conn.Close())
	}
	return &appTx{conn: conn, tx: tx}, nil
}

// BeginRead implements [engine.Engine]. It spares what database/sql does for a
// transaction: goroutines that wait for the end of its context.
func (e *pgEngine) BeginRead(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	conn, err := e.app.Connx(ctx)
	if err != nil {
		return nil, plain(err)
	}
	s.ReadOnly = true
	t := &appTx{conn: conn}
	if err := t.raw(func(c *appConn) error { return c.begin(ctx, s) }); err != nil {
		return nil, errors.Join(plain(err), conn.Close())
	}
	return t, nil
}

// plain gives errors of database/sql itself a kind.
func plain(err error) error {
	if _, ok := asEngine(err); ok || err == nil {
		return err
	}
	return &engine.Error{Kind: engine.Unavailable, Cause: err}
}

func (t *appTx) Dialect() migrate.Dialect { return migrate.Postgres }

func (t *appTx) Role() engine.Role { return engine.RoleApp }

func (t *appTx) SQLX() *sqlx.Tx { return t.tx }

func (t *appTx) Queue(s engine.Stmt) {
	_ = t.raw(func(c *appConn) error { // a closed connection fails at the commit
		c.queue = append(c.queue, s)
		return nil
	})
}

func (t *appTx) Run(
	ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error,
) (n int64, err error) {
	err = t.raw(func(c *appConn) error {
		var rep reply
		var err error
		if end == engine.Commit && c.endsWith(s) {
			rep, err = c.flushLast(ctx, s, row)
		} else {
			rep, err = c.flush(ctx, s, binaryFormat, row)
		}
		n = rep.rows
		return err
	})
	if err == nil && end == engine.Commit {
		err = t.Commit(ctx)
	}
	return n, plain(err)
}

// Prove implements [engine.Admitter], under the key that sealed the context.
func (t *appTx) Prove(message []byte) (proof string, err error) {
	err = t.raw(func(c *appConn) error {
		proof = c.seal.prove(message)
		return nil
	})
	return proof, plain(err)
}

// raw gives fn the connection, under the lock that database/sql holds.
func (t *appTx) raw(fn func(*appConn) error) error {
	return t.conn.Raw(func(c any) error {
		return fn(c.(*appConn)) //nolint:forcetypeassert // of connector
	})
}

func (t *appTx) Denied() (n int) {
	_ = t.raw(func(c *appConn) error { // a closed connection refused nothing more
		n = c.denied
		return nil
	})
	return n
}

// Written implements [engine.SQLTx].
func (t *appTx) Written() (all []engine.Written) {
	_ = t.raw(func(c *appConn) error { // what a closed connection wrote is rolled back
		all = c.wire.written
		return nil
	})
	return all
}

// Recorded implements [engine.SQLTx].
func (t *appTx) Recorded() {
	t.Queue(engine.Stmt{SQL: "SELECT pg_catalog.set_config('art32.recorded', 'on', true)"})
}

func (t *appTx) Commit(ctx context.Context) error {
	if t.done {
		return nil
	}
	t.done = true
	if t.tx == nil {
		return errors.Join(plain(t.raw(func(c *appConn) error { return c.end(context.WithoutCancel(ctx), "COMMIT") })), t.conn.Close())
	}
	_ = t.raw(func(c *appConn) error { // a closed connection fails at the commit
		c.ending = true
		return nil
	})
	err := t.tx.Commit()
	switch {
	case !errors.Is(err, sql.ErrTxDone):
	case ctx.Err() != nil: // database/sql has rolled back on its own
		err = ctx.Err()
	default:
		err = &engine.Error{Kind: engine.Forbidden, Text: "the caller ended the transaction"}
	}
	return errors.Join(plain(err), t.conn.Close())
}

func (t *appTx) Rollback(context.Context) error {
	if t.done {
		return nil
	}
	t.done = true
	var err error
	if t.tx == nil {
		err = t.raw((*appConn).rollback)
	} else if err = t.tx.Rollback(); errors.Is(err, sql.ErrTxDone) {
		err = nil
	}
	return errors.Join(plain(err), t.conn.Close())
}
