package incident

import (
	"errors"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/tenancy"
)

// The errors on which callers decide. None holds a name, an address or a text.
var (
	// ErrReport: a field of a report, contact or vendor is missing, too long, or
	// holds characters that a notice must not hold.
	ErrReport = errors.New("incident: not valid")
	// ErrFuture: awareness lies in the future.
	ErrFuture = errors.New("incident: nobody is aware of anything in the future")
	// ErrNoReason: the context gives no reason (tenancy.WithReason).
	ErrNoReason = errors.New("incident: no reason in the context")
	// ErrNobody: the scope of the case touches no tenant. The case stays a task
	// until one with a wider scope is opened and this one closed.
	ErrNobody = errors.New("incident: the case touches nobody")
	// ErrNoCase: there is no such case, or it has nothing to do with the tenant.
	ErrNoCase = errors.New("incident: no such case")
	// ErrNoChannel: the desk has no notifier.
	ErrNoChannel = errors.New("incident: no notifier configured")
	// ErrNotice: an acknowledgement names no notice, or not with its token. Which
	// of them it was is of use to a guesser only.
	ErrNotice = errors.New("incident: no such notice, or not its token")
)

// NoContactError says that affected tenants have no contact. The others' notices
// are on their way; [Desk.SetContact] and [Desk.Notify] again serve the rest.
type NoContactError struct {
	Tenants []tenancy.ID // in the order of their creation
}

// Error counts them.
func (e *NoContactError) Error() string {
	return "incident: " + strconv.Itoa(len(e.Tenants)) + " affected tenants have no contact"
}

// TenantError says that tenants could not be counted or served, that their logs are
// damaged (tenancy.ErrDamagedLog), or that a notice cannot be read. The result for
// the others stands. After [Desk.Notify] each that has no notice is a [TaskCount]
// until it is served.
type TenantError struct {
	// Tenants are in the order of their creation, those whose rows are gone behind
	// them. The zero ID stands for tenants that nothing may tell of any more, for
	// the platform's log is damaged.
	Tenants []tenancy.ID
	Err     error // what happened at each, joined
}

// Error counts them and shows what happened.
func (e *TenantError) Error() string {
	return "incident: " + strconv.Itoa(len(e.Tenants)) + " tenants not served, or not on firm ground: " + e.Err.Error()
}

// Unwrap returns what happened.
func (e *TenantError) Unwrap() error { return e.Err }

// add notes that a tenant failed.
func (e *TenantError) add(id tenancy.ID, err error) {
	if !slices.Contains(e.Tenants, id) {
		e.Tenants = append(e.Tenants, id)
	}
	e.Err = errors.Join(e.Err, err)
}

// orNil is e, unless no tenant failed.
func (e *TenantError) orNil() error {
	if len(e.Tenants) == 0 {
		return nil
	}
	return e
}

// CaseError says that what people wrote about cases cannot be read. Their clocks,
// notices and tasks stand, and so do all other cases.
type CaseError struct {
	Cases []uuid.UUID // in the order of opening
	Err   error       // what happened at each, joined
}

// Error counts them and shows what happened.
func (e *CaseError) Error() string {
	return "incident: " + strconv.Itoa(len(e.Cases)) + " cases cannot be read: " + e.Err.Error()
}

// Unwrap returns what happened.
func (e *CaseError) Unwrap() error { return e.Err }

// add notes that a case cannot be read.
func (e *CaseError) add(id uuid.UUID, err error) {
	e.Cases, e.Err = append(e.Cases, id), errors.Join(e.Err, err)
}

// orNil is e, unless all can be read.
func (e *CaseError) orNil() error {
	if len(e.Cases) == 0 {
		return nil
	}
	return e
}

// DeliveryError lets a [Notifier] say more than that it failed: a code for
// [Desk.Status] that is no personal data, that another attempt is useless, or
// when to try again.
type DeliveryError = outbox.DeliveryError
