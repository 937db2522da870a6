package tenancy

import (
	"context"
	"fmt"
	"reflect"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// Read is one query of a table whose tag says reads, as a [ReadRecorder] sees it.
type Read struct {
	// Action is the table with the verb: "customers.read".
	Action string
	// Object is the id of the row, as in a [Change], where one was asked for by its
	// key; else nil.
	Object uuid.UUID
	Rows   int // that are handed over
	Fields int // encrypted fields of these rows that hold something
	// Subjects are whom the rows are about, each once.
	Subjects []uuid.UUID
}

// ReadRecorder is a [ChangeRecorder] that also keeps reads, which a schema with a
// table that says reads demands; *audit.Log is one.
type ReadRecorder interface {
	ChangeRecorder
	// Read queues the event of r in tx. If it returns an error, nothing of what was
	// read is handed over. Actor, session and reason come from ctx.
	Read(ctx context.Context, tx *Tx, r Read) error
}

// checkReads refuses a log that keeps no reads for a schema that wants them.
func checkReads(s Schema, log ChangeRecorder) error {
	if _, ok := log.(ReadRecorder); ok {
		return nil
	}
	for _, t := range s {
		if t != nil && required("table", t) == nil && t.describe().reads {
			return fmt.Errorf("tenancy: open: reads of table %s are to be recorded, and the log keeps none", t.Name())
		}
	}
	return nil
}

// ends is how a query of the table ends that is the last of its verb. Where it is
// recorded in the same transaction, the event goes with the commit.
func (t *table) ends(u *unit) engine.End {
	if t.reads && !u.readOnly {
		return engine.Continue
	}
	return u.last()
}

// handOver records that rows of a query are about to be handed over. A transaction
// that cannot write has one for the event beside it; in one of the caller's the
// event is written at once.
func (u *unit) handOver(ctx context.Context, r Read) error {
	if u.readOnly {
		return u.tx.readBeside(ctx, r)
	}
	if err := u.tx.noteRead(ctx, r); err != nil || u.own {
		return err
	}
	_, err := u.tx.eng.Run(ctx, engine.Stmt{SQL: "SELECT 1"}, engine.Continue, nil)
	return wrap("record", r.Action, err)
}

// noteRead queues the event, and has it written by itself should tx roll back: what
// was read was read.
func (tx *Tx) noteRead(ctx context.Context, r Read) error {
	log := tx.db.log.(ReadRecorder) //nolint:forcetypeassert // checked when the database was opened
	if err := log.Read(ctx, tx, r); err != nil {
		return wrap("record", r.Action, tx.unknown(ctx, err))
	}
	ctx = context.WithoutCancel(ctx)
	tx.reads = append(tx.reads, func(fresh *Tx) error { return log.Read(ctx, fresh, r) })
	return nil
}

// readBeside writes the event in a transaction of its own.
func (tx *Tx) readBeside(ctx context.Context, r Read) error {
	if tx.across != nil {
		ctx = tx.across.by(ctx) // the verb's may say anything
	}
	err := tx.db.inScope(ctx, scopeOf(ctx, tx.Tenant()), func(ctx context.Context, fresh *Tx) error {
		return tx.db.log.(ReadRecorder).Read(ctx, fresh, r) //nolint:forcetypeassert // checked when the database was opened
	})
	return wrap("record", r.Action, err)
}

// tellRow records that one row is handed over, which was asked for by its key.
func (r *Repository[T]) tellRow(ctx context.Context, u *unit, object uuid.UUID, row reflect.Value) error {
	if !r.t.reads {
		return nil
	}
	rd := Read{Action: r.t.name + ".read", Object: object}
	rd.add(r.t, row, nil)
	return u.handOver(ctx, rd)
}

// tellRows records that rows are handed over, which a query has found.
func (r *Repository[T]) tellRows(ctx context.Context, u *unit, rows []T) error {
	if !r.t.reads || len(rows) == 0 {
		return nil
	}
	rd := Read{Action: r.t.name + ".read"}
	seen := make(map[uuid.UUID]bool)
	for i := range rows {
		rd.add(r.t, reflect.ValueOf(&rows[i]).Elem(), seen)
	}
	return u.handOver(ctx, rd)
}

// add counts a row; seen are the data subjects of those before.
func (r *Read) add(t *table, row reflect.Value, seen map[uuid.UUID]bool) {
	r.Rows++
	for i := range t.cols {
		if c := &t.cols[i]; c.sealed() && !sealable(row, c).IsNull() {
			r.Fields++
		}
	}
	if s := t.subjectOf(row); s != uuid.Nil && !seen[s] {
		r.Subjects = append(r.Subjects, s)
		if seen != nil {
			seen[s] = true
		}
	}
}
