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
	ErrUnknownTenant = errors.New("tenancy: unknown tenant")
	// ErrOtherTenant: the row, or the transaction in the context, belongs to
	// another tenant than the context.
	ErrOtherTenant = errors.New("tenancy: another tenant")
	// ErrNoActor: the context names nobody who acts, and the call changes data.
	ErrNoActor = errors.New("tenancy: no actor in the context")
	// ErrNotFound: the tenant has no such row.
	ErrNotFound = errors.New("tenancy: not found")
	// ErrExists: a row with this key, or this unique value, exists already.
	ErrExists = errors.New("tenancy: exists already")
	// ErrConstraint: a constraint of the table refuses the row.
	ErrConstraint = errors.New("tenancy: constraint violated")
	// ErrBadValue: a value does not fit its column.
	ErrBadValue = errors.New("tenancy: value does not fit")
	// ErrForbidden: the database refused the statement; the refusal is recorded.
	ErrForbidden = errors.New("tenancy: refused by the database")
	// ErrErased: the data subject was erased; nothing about it can be written.
	ErrErased = errors.New("tenancy: data subject was erased")
	// ErrUnavailable: the database could not be reached; nothing was written.
	ErrUnavailable = errors.New("tenancy: database unavailable")
	// ErrUnknownOutcome: the connection broke while a commit was under way. The
	// change may have happened; read before trying again.
	ErrUnknownOutcome = errors.New("tenancy: outcome of the commit is unknown")
	// ErrTxDone: the transaction has ended.
	ErrTxDone = errors.New("tenancy: transaction has ended")
	// ErrTxInUse: a second goroutine used the transaction.
	ErrTxInUse = errors.New("tenancy: transaction is in use by another goroutine")
	// ErrNotIndexed: an encrypted column without blind index cannot be searched.
	ErrNotIndexed = errors.New("tenancy: encrypted column has no blind index")
)

// wrap says where an error of the engine arose and gives it one of the package's
// sentinels to be recognised by.
func wrap(verb, object string, err error) error {
	if err == nil {
		return nil
	}
	dbErr, ok := errors.AsType[*engine.Error](err)
	if !ok {
		return fmt.Errorf("tenancy: %s %s: %w", verb, object, err)
	}
	if s := sentinel(dbErr.Kind); s != nil {
		return fmt.Errorf("tenancy: %s %s: %w: %w", verb, object, s, dbErr)
	}
	return fmt.Errorf("tenancy: %s %s: %w", verb, object, dbErr)
}

func sentinel(k engine.Kind) error {
	switch k {
	case engine.Unique:
		return ErrExists
	case engine.Constraint:
		return ErrConstraint
	case engine.Forbidden:
		return ErrForbidden
	case engine.UnknownTenant:
		return ErrUnknownTenant
	case engine.WrongRows:
		return ErrNotFound
	case engine.Unavailable:
		return ErrUnavailable
	case engine.Unknown:
		return ErrUnknownOutcome
	case engine.BadValue:
		return ErrBadValue
	case engine.Other:
	}
	return nil
}
