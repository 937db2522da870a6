package tenancy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
)

// Conn is where a repository's verb runs: a [*DB] gives it a transaction of its
// own, a [*Tx] or [*SQLTx] the one that is open. One set of verbs serves all.
type Conn interface {
	unit(ctx context.Context, what purpose) (*unit, error)
}

var (
	_ Conn = (*DB)(nil)
	_ Conn = (*Tx)(nil)
	_ Conn = (*SQLTx)(nil)
)

// Tx is one transaction of one tenant. It is made by [DB.In] and ends with it.
// A Tx must not be used by two goroutines at once: the second gets [ErrTxInUse].
type Tx struct {
	db      *DB
	eng     engine.Tx
	scope   engine.Scope
	refused []Change
	denied  int        // of the refusals, those of the database
	busy    sync.Mutex // held by the call that uses eng
	done    atomic.Bool
	// spoilt says that a part of a bulk change was written, or queued, before it failed.
	spoilt atomic.Bool
	across *Across                                   // of which the transaction reads, else nil
	reads  []func(fresh *Tx) error                   // recorded in tx, to be written again should it roll back
	after  []func(ctx context.Context, db *DB) error // what follows the commit
	// counted are the rows of callers to which a version was written.
	counted []counted
	// actions are those of the events that the caller recorded; events says that there
	// is any, telling that the library is recording one.
	actions         []string
	events, telling bool
}

// Tenant is the tenant of the transaction; the zero ID is the platform.
func (tx *Tx) Tenant() ID { return ID(tx.scope.Tenant) }

// Actor is who acts in the transaction, as text; see [Actor.String].
func (tx *Tx) Actor() string { return tx.scope.Actor }

// Session is the session that acts, or "".
func (tx *Tx) Session() string { return tx.scope.Session }

// Engine gives the library's own packages the transaction below. The key can
// be had inside the module only.
func (tx *Tx) Engine(engine.Key) engine.Tx { return tx.eng }

// Ended reports whether the transaction takes nothing any more. The key can be had
// inside the module only.
func (tx *Tx) Ended(engine.Key) bool { return tx.done.Load() }

// AfterCommit has fn run when tx has committed, before whoever ends it gets the
// answer. No transaction is open then; fn may begin its own. Its error reaches the
// caller, who has committed all the same, so that it must say so. The key can be
// had inside the module only.
func (tx *Tx) AfterCommit(_ engine.Key, fn func(ctx context.Context, db *DB) error) {
	tx.after = append(tx.after, fn)
}

// committed runs what follows the commit.
func (tx *Tx) committed(ctx context.Context) error {
	var errs []error
	for _, fn := range tx.after {
		errs = append(errs, fn(ctx, tx.db))
	}
	return errors.Join(errs...)
}

// Refuse records that an action was refused. The event is written in a
// transaction of its own before [DB.In] returns, whatever becomes of tx.
func (tx *Tx) Refuse(c Change) {
	c.Outcome = Refused
	tx.refused = append(tx.refused, c)
}

// SQLTx is a transaction that also runs SQL of the caller, under the role that
// may touch nothing but the tenant's own rows. It is made by [DB.InSQL].
type SQLTx struct {
	*Tx

	sqlx *sqlx.Tx
}

// SQLX gives the transaction for joins, generated code, or whatever SQL. The
// database itself confines it to the tenant. It must not be kept after
// [DB.InSQL] returns.
func (tx *SQLTx) SQLX() *sqlx.Tx { return tx.sqlx }
