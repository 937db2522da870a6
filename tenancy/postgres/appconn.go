package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/art32/art32/internal/engine"
)

type scopeKey struct{}

// appConn is one connection under the app login. database/sql lets one
// goroutine at a time use it.
type appConn struct {
	wire    *wire
	seals   *seals
	seal    *seal         // of the transaction
	pending []engine.Stmt // begin and context, until the first statement
	queue   []engine.Stmt // the library's statements that wait for the next
	open    bool          // a transaction is, whether begun or pending
	ending  bool          // the library, and not the caller, is ending it
	denied  int
	broken  bool
	// saved says that the caller set a savepoint, undoable that statements of
	// the library followed it.
	saved, undoable bool
	reads           bool // the transaction writes nothing
	// spoilt says that a statement of the library went wrong without an error of
	// the server's: the transaction must not commit.
	spoilt bool
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

// BeginTx implements [driver.ConnBeginTx]. It sends nothing on the connection.
func (c *appConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	s, ok := ctx.Value(scopeKey{}).(engine.Scope)
	if !ok || c.open {
		return nil, outside()
	}
	if err := c.begin(ctx, s); err != nil {
		return nil, err
	}
	return appDriverTx{c}, nil
}

// begin readies what opens a transaction of s. It sends nothing on the connection.
func (c *appConn) begin(ctx context.Context, s engine.Scope) error {
	key, err := c.seals.current(ctx)
	if err != nil {
		return err
	}
	c.seal = key
	token := key.mint(s, time.Now())
	begin := "BEGIN"
	if c.reads = s.ReadOnly; c.reads {
		begin = "BEGIN READ ONLY"
	}
	c.pending = append(c.pending[:0],
		engine.Stmt{SQL: begin},
		engine.Stmt{SQL: appTenantText, Args: []any{token, s.Tenant}})
	c.queue, c.denied, c.open, c.ending = nil, 0, true, false
	c.saved, c.undoable, c.spoilt = false, false, false
	c.wire.written = nil
	return nil
}

// appTenantText opens the sealed context where the tenant is known and open;
// else it fails by a division by zero.
const appTenantText = "SELECT art32.open_context($1, $2)"

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
	b, err := c.batch(ctx, main, f)
	if err != nil {
		return reply{}, err
	}
	rep, err := c.wire.exchange(ctx, b, row)
	return rep, c.judge(b, rep, err)
}

// endsWith says whether the transaction may end with main. It only reads, so that no
// number of rows decides on the commit; and no pooler is in between, which would give
// the connection on uncleared if the caller gave up meanwhile.
func (c *appConn) endsWith(main engine.Stmt) bool {
	return c.reads && !c.wire.pooled && main.Rows == 0 && !c.counts()
}

// flushLast is flush for the last statement of a transaction, which commits in the
// same round trip.
func (c *appConn) flushLast(ctx context.Context, main engine.Stmt, row func(engine.Row) error) (reply, error) {
	b, err := c.batch(ctx, main, binaryFormat)
	if err != nil {
		return reply{}, err
	}
	c.ends(&b, "COMMIT")
	rep, err := c.wire.exchange(ctx, b, row)
	if rep.answered < len(b.stmts) {
		return rep, c.judge(b, rep, err)
	}
	c.open, c.broken = false, err != nil // what failed is the clearing, for which closing serves as well
	return rep, nil
}

// batch is what is pending and queued, and main.
func (c *appConn) batch(ctx context.Context, main engine.Stmt, f resultFormat) (batch, error) {
	if err := c.usable(ctx); err != nil {
		return batch{}, err
	}
	b := c.opening()
	c.undoable = c.undoable || c.saved && len(c.queue) > 0
	b.add(c.queue...)
	b.main, b.format = b.add(main), f
	c.queue = nil
	return b, nil
}

// usable says whether a statement may be sent now.
func (c *appConn) usable(ctx context.Context) error {
	switch {
	case c.open && !c.broken:
		return nil
	case ctx.Err() != nil: // database/sql has rolled back on its own
		return &engine.Error{Kind: engine.Unavailable, Cause: ctx.Err()}
	case c.wire.pg.IsClosed():
		return &engine.Error{Kind: engine.Unavailable, Text: "the connection was lost"}
	}
	return outside()
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
	switch {
	case unknownTenant(b, rep, err):
		err = &engine.Error{Kind: engine.UnknownTenant}
	case err != nil:
		err = translate(err, false)
	case rep.wrong >= 0:
		err, c.spoilt = &engine.Error{Kind: engine.WrongRows}, true
	}
	c.note(err)
	return err
}

// note counts refusals, and gives up a connection whose transaction callers'
// text has ended.
func (c *appConn) note(err error) {
	e, ok := asEngine(err)
	if ok && c.reads && (e.Code == "25006" || e.Code == "25001") { // the text tried to write
		e.Kind = engine.Forbidden
	}
	if ok && e.Kind == engine.Forbidden {
		c.denied++
		if e.Code == "42501" { // perhaps it is the seal that was refused
			c.seals.doubt.Store(true)
		}
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
	case c.broken && how == "ROLLBACK":
		return nil // closing the connection rolls back
	case c.broken && c.wire.pg.IsClosed():
		return &engine.Error{Kind: engine.Unavailable, Text: "the connection was lost"}
	case c.broken:
		return &engine.Error{Kind: engine.Forbidden, Text: "callers' text ended the transaction"}
	case idle:
		return nil
	case how == "COMMIT" && (c.spoilt || c.wire.pg.TxStatus() == 'E'): // a COMMIT would roll back without a word
		return errors.Join(rolledBack(), c.finish(ctx, batchOf(), "ROLLBACK"))
	}
	b := c.opening()
	if how == "COMMIT" && len(c.queue) > 0 {
		b.add(engine.Stmt{SQL: "SET LOCAL statement_timeout = 0"}) // the caller's is for the caller's statements
		b.add(c.queue...)
	}
	if len(b.stmts) == 0 || !c.counts() {
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
	c.ends(&b, how)
	rep, err := c.wire.exchange(ctx, b, nil)
	c.broken = err != nil
	switch {
	case rep.answered == len(b.stmts): // what failed is the clearing, for which closing serves as well
		err = nil
	case unknownTenant(b, rep, err):
		err = &engine.Error{Kind: engine.UnknownTenant}
	default:
		err = translate(err, how == "COMMIT" && !c.reads && inDoubt(err, rep, len(b.stmts)-1))
		c.note(err)
	}
	return err
}

// ends makes b end the transaction, and clear the connection behind it.
func (c *appConn) ends(b *batch, how string) {
	if c.wire.pooled && how == "COMMIT" {
		b.add(beforeCommit...)
	}
	b.add(engine.Stmt{SQL: how})
	b.clears = true
}

// beforeCommit clears what would stay if COMMIT failed, behind which nothing more
// runs, or if the clearing ran into the caller's own time limit. A connection of the
// program's own is closed then; a pooler's is the next client's.
//
//nolint:gochecknoglobals // a constant
var beforeCommit = []engine.Stmt{
	{SQL: "SET statement_timeout = 0"},
	{SQL: "DEALLOCATE ALL"},
	{SQL: "DISCARD SEQUENCES"},
	{SQL: "SELECT pg_catalog.pg_advisory_unlock_all()"},
}

// rolledBack answers a commit after a failure that the caller passed over.
func rolledBack() error {
	return &engine.Error{Kind: engine.Other, Text: "a statement failed, and the transaction was rolled back"}
}
