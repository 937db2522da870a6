package audit

import (
	"errors"

	"github.com/art32/art32/tenancy"
)

// The errors on which callers decide. None carries anything of a payload.
var (
	// ErrNoTx: [Log.Record] was called outside a transaction; a [Recorder]
	// opens one of its own.
	ErrNoTx = errors.New("audit: no transaction in the context")
	// ErrTooLarge: the payload or the leaf of an event exceeds its limit.
	ErrTooLarge = errors.New("audit: event too large")
	// ErrAction: the name of an action is not a word of the code.
	ErrAction = errors.New("audit: bad name of an action")
	// ErrPayload: a value of the payload has no form in JSON.
	ErrPayload = errors.New("audit: a value cannot be written")
	// ErrOtherActor: the actor or session of the context is not the one under
	// whose seal the transaction of caller's text was opened.
	ErrOtherActor = errors.New("audit: the context acts for another than the transaction")
	// ErrRole: the operation needs a transaction of library text ([tenancy.DB.In]).
	ErrRole = errors.New("audit: not possible in a transaction of caller's text")
	// ErrUnsealed: the event is committed, but no checkpoint covers it yet, for
	// which the answer was held; see [Class]. The action is done and must not be
	// repeated for that. Why sealing failed stands in the text only.
	ErrUnsealed = tenancy.ErrUnsealed
	// ErrNoLog: nothing was sealed yet, so that there is no checkpoint.
	ErrNoLog = errors.New("audit: no checkpoint yet")
	// ErrDamaged: the stored log contradicts itself; [Verify] says where.
	ErrDamaged = errors.New("audit: the stored log is damaged")
	// ErrOtherLog: the folder holds the export of another log, or of a longer one.
	ErrOtherLog = errors.New("audit: the folder holds another log")
)
