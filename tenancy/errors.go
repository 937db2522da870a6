package tenancy

import (
	"errors"
	"fmt"

	"github.com/art32/art32/internal/engine"
)

// The errors on which callers decide. None carries a value of a row.
var (
	// ErrNoTenant: the context names no tenant.
	ErrNoTenant = errors.New("tenancy: no tenant in the context")
	// ErrUnknownTenant: the tenant does not exist or is closed.
	ErrUnknownTenant = engine.ErrUnknownTenant
	// ErrOtherTenant: the row, or the transaction in the context, belongs to
	// another tenant than the context.
	ErrOtherTenant = errors.New("tenancy: another tenant")
	// ErrNoActor: the context names nobody who acts, and the call changes data.
	ErrNoActor = errors.New("tenancy: no actor in the context")
	// ErrNoReason: the context does not say why, and the call reads over tenants, or
	// is one of those for which the log demands a reason (audit.Class).
	ErrNoReason = errors.New("tenancy: no reason in the context")
	// ErrAccessOver: the access over tenants has ended, or its time is over.
	ErrAccessOver = errors.New("tenancy: the access over tenants is over")
	// ErrNotFound: the tenant has no such row.
	ErrNotFound = engine.ErrNotFound
	// ErrExists: a row with this key, or this unique value, exists already.
	ErrExists = engine.ErrExists
	// ErrConstraint: a constraint of the table refuses the row.
	ErrConstraint = engine.ErrConstraint
	// ErrBadValue: a value does not fit its column.
	ErrBadValue = engine.ErrBadValue
	// ErrForbidden: the database refused the statement; the refusal is recorded.
	ErrForbidden = engine.ErrForbidden
	// ErrErased: the data subject was erased; nothing about it can be written.
	ErrErased = errors.New("tenancy: data subject was erased")
	// ErrUnavailable: the database could not be reached; nothing was written.
	ErrUnavailable = engine.ErrUnavailable
	// ErrUnknownOutcome: the connection broke while a commit was under way. The
	// change may have happened; read before trying again.
	ErrUnknownOutcome = engine.ErrUnknownOutcome
	// ErrUnsealed: the change is committed, but its event has no place in a signed
	// log yet, for which the answer was held. A sealer catches up; the change must
	// not be repeated for that.
	ErrUnsealed = errors.New("tenancy: committed, but the event is not sealed yet")
	// ErrUnrecorded: SQL of the caller's wrote rows and the caller recorded no event,
	// which [RefuseUnrecorded] demands; or the database found a write of which nothing
	// tells. All is rolled back.
	ErrUnrecorded = engine.ErrUnrecorded
	// ErrTxDone: the transaction has ended, or is rolled back at its end since a bulk
	// change failed in it.
	ErrTxDone = errors.New("tenancy: transaction has ended")
	// ErrTxInUse: a second goroutine used the transaction.
	ErrTxInUse = errors.New("tenancy: transaction is in use by another goroutine")
	// ErrDamagedLog: entries of the log are missing, or it contradicts itself. A
	// [Trace] beside it holds what is left: nothing of it clears anybody.
	ErrDamagedLog = errors.New("tenancy: the log is damaged, so that it may show too little")
	// ErrOtherKeystore: the keystore holds no key of the first tenant.
	ErrOtherKeystore = errors.New("tenancy: the keystore is empty or another one, and opens nothing of this database: " +
		"name the right one, or restore it from its copy (art32 keys restore)")
	// ErrForgedErasure: the data say that somebody was erased whose key the keystore
	// has, and no erasure of this system has written it. No key was destroyed.
	ErrForgedErasure = errors.New("tenancy: the data say that somebody was erased, and no erasure has written that: " +
		"find out who did, and restore the data from a backup")
	// ErrBadCursor: the cursor is none of this list: it was changed, or is of another
	// tenant, table or order.
	ErrBadCursor = errors.New("tenancy: the cursor is none of this list")
	// ErrConflict: the row was changed since it was read; see the word version in a
	// tag. Read it again.
	ErrConflict = errors.New("tenancy: the row was changed since it was read")
	// ErrNotIndexed: an encrypted column without blind index cannot be searched, and
	// none can be ordered or compared by size.
	ErrNotIndexed = errors.New("tenancy: encrypted column has no blind index")
)

// wrap says where an error arose. Errors of the engine match the sentinels by
// themselves, also those that callers' SQL gets.
func wrap(verb, object string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tenancy: %s %s: %w", verb, object, err)
}
