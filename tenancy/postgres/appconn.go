package postgres

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"github.com/art32/art32/internal/engine"
)

type scopeKey struct{}

// appConn is one connection under the app login. database/sql lets one
// goroutine at a time use it.
type appConn struct {
	wire    *wire
	seal    func() *seal
	pending []engine.Stmt // begin and context, until the first statement
	queue   []engine.Stmt // the library's statements that wait for the next
	open    bool          // a transaction is, whether begun or pending
	denied  int
	broken  bool
}

var (
	_ driver.ConnBeginTx        = (*appConn)(nil)
	_ driver.ExecerContext      = (*appConn)(nil)
	_ driver.QueryerContext     = (*appConn)(nil)
	_ driver.ConnPrepareContext = (*appConn)(nil)
	_ driver.NamedValueChecker  = (*appConn)(nil)
	_ driver.Validator          = (*appConn)(nil)
	_ driver.SessionResetter    = (*appConn)(nil)
)

// BeginTx implements [driver.ConnBeginTx]. It sends nothing.
func (c *appConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	s, ok := ctx.Value(scopeKey{}).(engine.Scope)
	if !ok || c.open {
		return nil, outside()
	}
	token := c.seal().mint(s, time.Now())
	c.pending = append(c.pending[:0],
		engine.Stmt{SQL: "BEGIN"},
		engine.Stmt{SQL: appTenantText, Args: []any{token, s.Tenant}})
	c.queue, c.denied, c.open = nil, 0, true
	return appDriverTx{c}, nil
}

// appTenantText opens the sealed context where the tenant is known and open;
// else it returns no row.
const appTenantText = "SELECT set_config('art32.ctx', $1, true) FROM art32.open_tenant($2::uuid)"

// Begin implements [driver.Conn].
func (c *appConn) Begin() (driver.Tx, error) { return nil, outside() }

func outside() error {
	return &engine.Error{Kind: engine.Forbidden, Text: "callers' text runs inside tenancy.DB.InSQL only"}
}

// flush sends what is pending and queued, then main, whose rows travel in
// format f.
func (c *appConn) flush(
	ctx context.Context, main engine.Stmt, f resultFormat, row func(engine.Row) error,
) (reply, error) {
	if !c.open || c.broken {
		return reply{}, outside()
	}
	b := c.opening()
	b.add(c.queue...)
	b.main, b.format = b.add(main), f
	c.queue = nil
	rep, err := c.wire.exchange(ctx, b, row)
	return rep, c.judge(b, rep, err)
}

// opening is a batch that begins the transaction if that is still to be done.
func (c *appConn) opening() batch {
	b := batchOf()
	if len(c.pending) > 0 {
		b.context = b.add(c.pending...)
		c.pending = nil
	}
	return b
}

// judge says what a batch inside the transaction came to.
func (c *appConn) judge(b batch, rep reply, err error) error {
	if err = translate(err, false); err == nil {
		err = c.shortfall(b, rep)
	}
	c.note(err)
	return err
}

func (c *appConn) shortfall(b batch, rep reply) error {
	switch {
	case b.context >= 0 && rep.context == 0:
		return &engine.Error{Kind: engine.UnknownTenant}
	case rep.wrong >= 0:
		return &engine.Error{Kind: engine.WrongRows}
	}
	return nil
}

// note counts refusals, and gives up a connection whose transaction callers'
// text has ended.
func (c *appConn) note(err error) {
	if e, ok := asEngine(err); ok && e.Kind == engine.Forbidden {
		c.denied++
	}
	if c.wire.pg.IsClosed() || c.open && c.wire.pg.TxStatus() == 'I' {
		c.broken = true
	}
}

// end finishes the transaction with COMMIT or ROLLBACK and, in the same round
// trip, clears what callers' text may have left on the connection.
func (c *appConn) end(ctx context.Context, how string) error {
	if !c.open {
		return nil
	}
	idle := len(c.pending) > 0 && (how == "ROLLBACK" || len(c.queue) == 0)
	defer func() { c.open, c.pending, c.queue = false, nil, nil }()
	switch {
	case c.broken:
		return &engine.Error{Kind: engine.Forbidden, Text: "callers' text ended the transaction"}
	case idle:
		return nil
	}
	b := c.opening()
	if how == "COMMIT" {
		b.add(c.queue...)
	}
	if b.stmts == nil || !c.counts() {
		return c.finish(ctx, b, how)
	}
	c.pending = nil
	rep, err := c.wire.exchange(ctx, b, nil) // the rows are checked before the commit
	if err := c.judge(b, rep, err); err != nil {
		return err
	}
	return c.finish(ctx, batchOf(), how)
}

func (c *appConn) counts() bool {
	return slices.ContainsFunc(c.queue, func(s engine.Stmt) bool { return s.Rows != 0 })
}

func (c *appConn) finish(ctx context.Context, b batch, how string) error {
	failed := c.wire.pg.TxStatus() == 'E' // a COMMIT would roll back without a word
	b.add(engine.Stmt{SQL: how})
	b.after = "DISCARD ALL"
	rep, err := c.wire.exchange(ctx, b, nil)
	if err = translate(err, how == "COMMIT"); err == nil {
		err = c.shortfall(b, rep)
	}
	if err == nil && failed && how == "COMMIT" {
		err = &engine.Error{Kind: engine.Other, Text: "transaction had failed and was rolled back"}
	}
	if err != nil {
		c.broken = true
	}
	return err
}
