package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// The statements that open a transaction of library text. The tenant's row is
// looked up on the way: an unknown or closed tenant fails by a division by zero,
// so that no statement of the batch runs without a context. closedText admits those
// that are closed; acrossText admits one of which an access may read.
const (
	tenantText   = "SELECT 1 / count(set_config('art32.tenant', id::text, true)) FROM art32.tenants WHERE id = $1 AND closed_at IS NULL"
	closedText   = "SELECT 1 / count(set_config('art32.tenant', id::text, true)) FROM art32.tenants WHERE id = $1"
	acrossText   = "SELECT 1 / count(set_config('art32.access', $2::text, true) || set_config('art32.tenant', t::text, true)) FROM art32.open_across($1, $2) t"
	platformText = "SELECT set_config('art32.tenant', $1, true)"
)

// libraryTx is a transaction of fixed text under the library login.
type libraryTx struct {
	pool *pgxpool.Pool
	// pooled says that a pooler may be in between.
	pooled bool
	scope  engine.Scope
	conn   *pgxpool.Conn
	wire   *wire
	queue  []engine.Stmt
	begun  bool
	done   bool
	// failed is why the transaction was rolled back before its end.
	failed error
}

var _ engine.Tx = (*libraryTx)(nil)

func (t *libraryTx) Dialect() migrate.Dialect { return migrate.Postgres }

func (t *libraryTx) Role() engine.Role { return engine.RoleLibrary }

func (t *libraryTx) Queue(s engine.Stmt) { t.queue = append(t.queue, s) }

func (t *libraryTx) Run(
	ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error,
) (int64, error) {
	if s.Caller {
		return 0, outside()
	}
	if end == engine.Commit && (s.Rows != 0 || t.counts()) {
		n, err := t.flush(ctx, &s, engine.Continue, row) // the rows are checked before the commit
		if err != nil {
			return n, err
		}
		return n, t.Commit(ctx)
	}
	return t.flush(ctx, &s, end, row)
}

func (t *libraryTx) Commit(ctx context.Context) error {
	if t.failed != nil { // the caller went on as if nothing had happened
		return rolledBack()
	}
	if t.done || !t.begun && len(t.queue) == 0 {
		t.release()
		return nil
	}
	if t.counts() {
		if _, err := t.flush(ctx, nil, engine.Continue, nil); err != nil {
			return err
		}
	}
	_, err := t.flush(ctx, nil, engine.Commit, nil)
	return err
}

// counts reports whether the queue holds a statement whose number of rows must
// be checked before the commit.
func (t *libraryTx) counts() bool {
	return slices.ContainsFunc(t.queue, func(s engine.Stmt) bool { return s.Rows != 0 })
}

// flush sends the queue, main if there is one, and the commit, as one batch. A
// transaction that begins and ends with it is an implicit one, which saves the
// messages of BEGIN and COMMIT.
func (t *libraryTx) flush(
	ctx context.Context, main *engine.Stmt, end engine.End, row func(engine.Row) error,
) (int64, error) {
	if err := t.acquire(ctx); err != nil {
		t.failed = err
		return 0, err
	}
	b := batchOf()
	implicit := !t.begun && end == engine.Commit
	if !t.begun {
		if !implicit {
			b.add(engine.Stmt{SQL: "BEGIN"})
		}
		b.context = b.add(t.context())
	}
	b.add(t.queue...)
	if main != nil {
		b.main = b.add(*main)
	}
	if end == engine.Commit && !implicit {
		b.add(engine.Stmt{SQL: "COMMIT"})
	}
	t.queue, t.begun = nil, true
	rep, err := t.wire.exchange(ctx, b, row)
	if rep.stale {
		t.pool.Reset() // also this connection, once it is released: all are as old
	}
	err = t.judge(b, rep, err, end)
	if err != nil || end == engine.Commit {
		t.failed = err
		t.release()
	}
	return rep.rows, err
}

// judge says what a batch came to.
func (t *libraryTx) judge(b batch, rep reply, err error, end engine.End) error {
	switch {
	case unknownTenant(b, rep, err):
		return &engine.Error{Kind: engine.UnknownTenant}
	case rep.stale:
		return stale(err)
	case err != nil:
		commit := len(b.stmts) // an implicit transaction commits after the last statement
		if b.stmts[commit-1].SQL == "COMMIT" {
			commit--
		}
		return translate(err, end == engine.Commit && !readOnly(b.stmts) && inDoubt(err, rep, commit))
	case rep.wrong >= 0:
		return &engine.Error{Kind: engine.WrongRows}
	}
	return nil
}

// context is the statement that opens the tenant's context; it returns a row.
func (t *libraryTx) context() engine.Stmt {
	switch {
	case t.scope.Tenant == uuid.Nil:
		return engine.Stmt{SQL: platformText, Args: []any{uuid.Nil}}
	case t.scope.Access != uuid.Nil:
		return engine.Stmt{SQL: acrossText, Args: []any{&t.scope.Tenant, &t.scope.Access}}
	case t.scope.Closed:
		return engine.Stmt{SQL: closedText, Args: []any{&t.scope.Tenant}}
	}
	return engine.Stmt{SQL: tenantText, Args: []any{&t.scope.Tenant}}
}

func (t *libraryTx) Rollback(context.Context) error {
	t.release()
	return nil
}

// acquire takes a connection for the first statement.
func (t *libraryTx) acquire(ctx context.Context) error {
	if t.done {
		return &engine.Error{Kind: engine.Other, Text: "transaction has ended"}
	}
	if t.conn != nil {
		return nil
	}
	c, err := t.pool.Acquire(ctx)
	if err != nil {
		t.done = true
		return unreachable(err)
	}
	t.conn, t.wire = c, wireOf(c.Conn().PgConn(), t.pooled)
	return nil
}

// release gives the connection back. The pool rolls back and drops one whose
// transaction is still open, so that nothing of it can meet the next user.
func (t *libraryTx) release() {
	t.done = true
	if t.conn == nil {
		return
	}
	if pg := t.conn.Conn().PgConn(); !pg.IsClosed() && pg.TxStatus() != 'I' {
		rollback(t.wire)
	}
	t.conn.Release()
	t.conn = nil
}

// rollback ends an open transaction; if that fails the pool closes the
// connection, whose state tells it.
func rollback(w *wire) {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackPatience)
	defer cancel()
	_, _ = w.exchange(ctx, batchOf(engine.Stmt{SQL: "ROLLBACK"}), nil)
}

// wireOf gives the wire that belongs to a connection of a pool. Where a pooler may
// be in between, it gives no statement a name.
func wireOf(pg *pgconn.PgConn, pooled bool) *wire {
	if w, ok := pg.CustomData()[wireKey].(*wire); ok {
		return w
	}
	w := &wire{pg: pg, pooled: pooled}
	if !pooled {
		w.prepared = map[string]*pgconn.StatementDescription{}
	}
	pg.CustomData()[wireKey] = w
	return w
}

const wireKey = "art32"

// rollbackPatience bounds the wait for a rollback after a failure.
const rollbackPatience = 5 * time.Second

// readOnly reports whether losing the answer loses nothing.
func readOnly(stmts []engine.Stmt) bool {
	for _, s := range stmts {
		if !strings.HasPrefix(s.SQL, "SELECT ") {
			return false
		}
	}
	return true
}
