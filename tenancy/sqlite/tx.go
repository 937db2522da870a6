package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// tx is a transaction on one file. Callers' text goes through sqlx on the same
// connection as the library's.
type tx struct {
	d      *database
	tenant uuid.UUID
	closed bool // a closed tenant is admitted
	reads  bool // a transaction of callers' text writes nothing
	role   engine.Role
	queue  []engine.Stmt

	held *holding // nil on the platform
	ses  session
	sqlx *sqlx.Tx
	over bool
	err  error // why it is over, if it failed

	denied int // when it is over
}

var _ engine.SQLTx = (*tx)(nil)

var errOver = &engine.Error{Kind: engine.Other, Text: "the transaction is over"}

// Dialect implements [engine.Tx].
func (t *tx) Dialect() migrate.Dialect { return migrate.SQLite }

// Role implements [engine.Tx].
func (t *tx) Role() engine.Role { return t.role }

// SQLX implements [engine.SQLTx].
func (t *tx) SQLX() *sqlx.Tx { return t.sqlx }

// Denied implements [engine.SQLTx].
func (t *tx) Denied() int {
	if t.ses.conn == nil {
		return t.denied
	}
	return t.ses.refusals()
}

// Written implements [engine.SQLTx].
func (t *tx) Written() []engine.Written {
	if t.ses.conn == nil {
		return nil
	}
	return t.ses.writes()
}

// Recorded implements [engine.SQLTx].
func (*tx) Recorded() {}

// Queue implements [engine.Tx].
func (t *tx) Queue(s engine.Stmt) { t.queue = append(t.queue, s) }

// Run implements [engine.Tx].
func (t *tx) Run(ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error) (int64, error) {
	if err := t.usable(ctx); err != nil {
		return 0, err
	}
	single := end == engine.Commit && len(t.queue) == 0 && t.sqlx == nil && t.ses.atRest() && isSelect(s.SQL)
	if !single {
		t.start()
	}
	if err := t.flush(ctx); err != nil {
		return 0, t.fail(err)
	}
	n, err := t.ses.run(ctx, s, row)
	if err != nil {
		return 0, t.fail(err)
	}
	if end == engine.Commit {
		return n, t.finish(ctx)
	}
	return n, nil
}

// usable pins a connection on first use.
func (t *tx) usable(ctx context.Context) error {
	if t.over {
		return t.reason()
	}
	if t.ses.conn != nil {
		return nil
	}
	if err := t.pin(ctx); err != nil {
		t.over, t.err = true, err
		return err
	}
	return nil
}

func (t *tx) reason() error {
	if t.err != nil {
		return t.err
	}
	return errOver
}

func (t *tx) pin(ctx context.Context) (err error) {
	f, err := t.file(ctx)
	if err != nil {
		return err
	}
	if t.ses, err = f.session(ctx); err != nil {
		t.letGo()
	}
	return err
}

func (t *tx) file(ctx context.Context) (f *file, err error) {
	if t.tenant == uuid.Nil {
		return t.d.platform, nil
	}
	if t.held, err = t.d.acquire(ctx, t.tenant, t.closed); err != nil {
		return nil, err
	}
	return t.held.file, nil
}

// pinSQL pins a connection and hands it to sqlx. The transaction's context is
// never cancelled: database/sql would roll back from a goroutine of its own.
func (t *tx) pinSQL(ctx context.Context) error {
	f, err := t.file(ctx)
	if err != nil {
		return err
	}
	pinned, err := sqlx.NewDb(f.db, "sqlite3").Connx(ctx)
	if err != nil {
		t.letGo()
		return translate(err, f.name)
	}
	if t.ses, err = pin(pinned.Conn); err != nil {
		t.letGo()
		return err
	}
	if t.sqlx, err = pinned.BeginTxx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: t.reads}); err != nil {
		t.letGo()
		return translate(err, f.name)
	}
	return nil
}

// start promises a transaction; that of callers' text was promised to sqlx.
func (t *tx) start() {
	if t.sqlx == nil {
		t.ses.start()
	}
}

// flush runs the queue in its order.
func (t *tx) flush(ctx context.Context) error {
	queue := t.queue
	t.queue = nil
	for _, s := range queue {
		if _, err := t.ses.run(ctx, s, nil); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements [engine.Tx].
func (t *tx) Commit(ctx context.Context) error {
	if t.over {
		return t.err // after a commit there is nothing to do
	}
	if t.ses.conn == nil && len(t.queue) == 0 {
		t.over = true
		return nil
	}
	if err := t.usable(ctx); err != nil {
		return err
	}
	t.start()
	if err := t.flush(ctx); err != nil {
		return t.fail(err)
	}
	return t.finish(ctx)
}

// finish commits and gives the connection back.
func (t *tx) finish(ctx context.Context) error {
	var err error
	if t.sqlx == nil {
		err = t.ses.as(library, func() error { return t.ses.commit(ctx) })
	} else {
		err = t.finishSQL(ctx)
	}
	t.over, t.err = true, err
	t.letGo()
	return err
}

// finishSQL commits through database/sql, which closes what callers left open.
func (t *tx) finishSQL(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(translate(err, t.ses.file), t.rollbackSQL())
	}
	t.ses.letEnd()
	err := t.sqlx.Commit()
	if errors.Is(err, sql.ErrTxDone) {
		return errEnded
	}
	return translate(err, t.ses.file)
}

// fail rolls back.
func (t *tx) fail(err error) error {
	t.err = err
	if rbErr := t.undo(); rbErr != nil {
		return errors.Join(err, rbErr)
	}
	return err
}

// Rollback implements [engine.Tx].
func (t *tx) Rollback(context.Context) error {
	if t.over {
		return nil
	}
	t.err = errOver
	return t.undo()
}

func (t *tx) undo() error {
	t.over, t.queue = true, nil
	if t.ses.conn == nil {
		return nil
	}
	defer t.letGo()
	if t.sqlx != nil {
		return t.rollbackSQL()
	}
	return t.ses.as(library, func() error {
		t.ses.rollback()
		return nil
	})
}

func (t *tx) rollbackSQL() error {
	t.ses.letEnd()
	if err := t.sqlx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return translate(err, t.ses.file)
	}
	return nil
}

// letGo gives connection and file back.
func (t *tx) letGo() {
	if t.ses.conn != nil {
		t.denied = t.ses.refusals()
		_ = t.ses.close() // the pool judges the connection
		t.ses = session{}
	}
	if t.held != nil {
		t.d.release(t.held)
		t.held = nil
	}
}
