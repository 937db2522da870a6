package tenancy

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/migrate"
)

// Class says what a column holds in the sense of the GDPR.
type Class int

// The classes of columns. The zero Class is invalid.
const (
	Open      Class = iota + 1 // no personal data
	Personal                   // personal data in clear
	Encrypted                  // personal data, sealed under the data subject's key
)

// Outcome says whether what an event describes was done.
type Outcome int

// The outcomes. The zero Outcome is invalid.
const (
	Done    Outcome = iota + 1 // done, if the transaction commits
	Refused                    // refused; recorded though the transaction rolls back
)

// Change is one change of one row, or the refusal of one, as a
// [ChangeRecorder] sees it.
type Change struct {
	// Action is table and verb: "customers.insert", "customers.update",
	// "customers.delete", "tenant.create", "subject.erase".
	Action string
	// Table is the declared name of the table; empty for actions on none.
	Table string
	// Object is the id of the row: its key, or where that is not one UUID, what
	// [Repository.Object] makes of it. Fields then hold the key's values for an insert
	// and a delete.
	Object uuid.UUID
	// Subject is the data subject whom the row is about; nil for none.
	Subject uuid.UUID
	// Fields is what changed, in the order of the declaration.
	Fields []FieldChange
	// Attrs are further facts, which a recorder encrypts.
	Attrs []slog.Attr
	// Outcome is Done or Refused.
	Outcome Outcome
	// Detail says in words of the code, without data, why it was refused.
	Detail string
}

// FieldChange is one column before and after. Old is nil for an insert, New for
// a delete; both hold the plain values, which may be personal data whatever
// their class: a recorder encrypts them.
type FieldChange struct {
	Column   string // as declared
	Class    Class  // as declared
	Old, New any    // plain values; nil for NULL and for what is not there
}

// ChangeRecorder is the audit log as tenancy sees it; *audit.Log is one.
type ChangeRecorder interface {
	// Change queues the event of c in tx, so that it commits with the change or
	// not at all. The caller must not perform the change if an error is
	// returned. Actor, session and reason come from ctx.
	Change(ctx context.Context, tx *Tx, c Change) error
}

// ActionChecker is what a [ChangeRecorder] may offer beyond: it is asked before
// the first step of an action that cannot be taken back.
type ActionChecker interface {
	// CheckAction returns the error with which Change would refuse an event of the
	// action under ctx, such as [ErrNoReason].
	CheckAction(ctx context.Context, action string) error
}

// check asks the log whether the action would be recorded.
func (db *DB) check(ctx context.Context, action string) error {
	if c, ok := db.log.(ActionChecker); ok {
		return c.CheckAction(ctx, action)
	}
	return nil
}

// LineRecorder is a [ChangeRecorder] that keeps tables of its own; engines
// migrate its lines together with theirs.
type LineRecorder interface {
	ChangeRecorder
	// Lines are the recorder's lines of migrations.
	Lines() []Line
}

// Line is a package's own line of migrations, in both dialects.
type Line = migrate.Line

// ErasureTeller is what a [SubjectEraser] may offer beyond: what an erasure record
// says about the log comes from it.
type ErasureTeller interface {
	// Remains names what an erasure empties in the log, and what it keeps.
	Remains() LogRemains
	// Holds reports whether the log still holds what an erasure of the data
	// subject removes, or with the nil id, what one of tx's tenant does.
	Holds(ctx context.Context, tx *Tx, subject uuid.UUID) (bool, error)
}

// LogRemains names parts of the events of a log, in words of the log's format.
type LogRemains struct {
	Emptied []string `json:"emptied"` // that an erasure empties
	Kept    []string `json:"kept"`    // that stay
}
