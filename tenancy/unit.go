package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/art32/art32/internal/engine"
)

var errRawInTx = errors.New("tenancy: Where holds SQL of the caller's, which a transaction of DB.In does not run: use DB.InSQL, or pass the DB")

// unit is the work of one verb: a transaction, and whether the verb ends it.
type unit struct {
	tx  *Tx
	own bool
	// queues says that statements wait for the next one that runs, or for flush.
	queues bool
	// readOnly says that nothing can be written in the transaction.
	readOnly bool
}

// last is how the verb's last statement ends: with a commit in the same round
// trip where the transaction is the verb's own.
func (u *unit) last() engine.End {
	if u.own {
		return engine.Commit
	}
	return engine.Continue
}

// write runs a verb's last statement, or queues it.
func (u *unit) write(ctx context.Context, s engine.Stmt, c Change) error {
	if u.queues {
		u.tx.eng.Queue(s)
		return nil
	}
	return u.tx.run(ctx, s, u.last(), c, nil)
}

// flush runs what was queued, so that what fails fails here.
func (u *unit) flush(ctx context.Context, c Change) error {
	return u.tx.run(ctx, engine.Stmt{SQL: "SELECT 1"}, u.last(), c, nil)
}

// finish ends a transaction that is the verb's own by *err. A verb sets *err to
// errPanic and defers finish before it runs anything of the caller's.
func (u *unit) finish(ctx context.Context, err *error) {
	if u.own {
		*err = u.tx.end(ctx, *err)
	}
}

// finishAll is finish for a verb of many rows. If it fails in a transaction of the
// caller's, which may hold a part of them, that transaction must not commit.
func (u *unit) finishAll(ctx context.Context, err *error) {
	if *err != nil && !u.own {
		u.tx.spoilt.Store(true)
	}
	u.finish(ctx, err)
}

// purpose is what a verb does.
type purpose int

const (
	reads    purpose = iota
	readsRaw         // with text of the caller
	writes
)

func (db *DB) unit(ctx context.Context, what purpose) (*unit, error) {
	scope, err := tenantScope(ctx)
	if err != nil {
		return nil, err
	}
	if what == writes && scope.Actor == "" {
		return nil, ErrNoActor
	}
	if open := TxFrom(ctx); open != nil && open.db == db {
		return nil, fmt.Errorf("tenancy: the context holds a transaction; pass it in place of the database: %w", ErrTxInUse)
	}
	if what == readsRaw {
		e, err := db.eng.BeginRead(ctx, scope) // functions that the text calls could write without an event
		if err != nil {
			return nil, wrap("begin", "transaction", err)
		}
		return &unit{tx: &Tx{db: db, eng: e, scope: scope}, own: true, readOnly: true}, nil
	}
	e, err := db.eng.Begin(ctx, scope)
	if err != nil {
		return nil, wrap("begin", "transaction", err)
	}
	both := &struct { // one allocation
		unit
		Tx
	}{unit{own: true}, Tx{db: db, eng: e, scope: scope}}
	both.tx = &both.Tx
	return &both.unit, nil
}

func (tx *Tx) unit(ctx context.Context, what purpose) (*unit, error) {
	if tx.done.Load() {
		return nil, ErrTxDone
	}
	id, err := TenantFrom(ctx)
	if err != nil {
		return nil, err
	}
	if id != tx.Tenant() {
		return nil, ErrOtherTenant
	}
	if what == writes && tx.scope.Actor == "" {
		return nil, ErrNoActor
	}
	if what == readsRaw && tx.eng.Role() != engine.RoleApp {
		return nil, errRawInTx
	}
	return &unit{tx: tx}, nil
}

// errSpoilt answers whoever goes on after a bulk change has failed.
var errSpoilt = fmt.Errorf("tenancy: a bulk change failed in the transaction, which is rolled back: %w", ErrTxDone)

// enter claims the transaction for one call; leave gives it back.
func (tx *Tx) enter() error {
	switch {
	case tx.done.Load():
		return ErrTxDone
	case tx.spoilt.Load():
		return errSpoilt
	}
	if !tx.busy.TryLock() {
		return ErrTxInUse
	}
	if tx.done.Load() { // ended meanwhile
		tx.busy.Unlock()
		return ErrTxDone
	}
	return nil
}

func (tx *Tx) leave() { tx.busy.Unlock() }

// run executes one statement and notes a refusal by the database, which the
// log receives even though the transaction rolls back.
func (tx *Tx) run(ctx context.Context, s engine.Stmt, end engine.End, c Change, row func(engine.Row) error) error {
	_, err := tx.eng.Run(ctx, s, end, row)
	if dbErr, ok := errors.AsType[*engine.Error](err); ok && dbErr.Kind == engine.Forbidden {
		c.Detail = "the database refused the statement"
		c.Fields = nil
		tx.denied++
		tx.Refuse(c)
	}
	return err
}
