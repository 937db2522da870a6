package tenancy

import (
	"context"

	"github.com/google/uuid"
)

// ErasureLedger remembers outside the database that a data subject was erased,
// so that a backup that is restored later can be brought to the same state.
// *backup.Ledger is one.
type ErasureLedger interface {
	// Erased writes down durably that the subject is to be erased. [DB.Erase]
	// calls it before it destroys the key, and does not go on if it fails.
	// Repeating it is safe.
	Erased(ctx context.Context, tenant ID, subject uuid.UUID) error
}

// TenantLedger is an [ErasureLedger] that also remembers tenants; *backup.Ledger
// is one.
type TenantLedger interface {
	ErasureLedger
	// ErasedTenant writes down durably that the whole tenant is to be erased.
	// [DB.EraseTenant] calls it before it destroys keys, and does not go on if it
	// fails. Repeating it is safe.
	ErasedTenant(ctx context.Context, tenant ID) error
}

// LedgerReader is what an [ErasureLedger] may offer beyond: an erasure record is
// refused where it shows that the ledger was not told.
type LedgerReader interface {
	// Told reports whether the subject, or with the nil id the whole tenant, is
	// written down.
	Told(ctx context.Context, tenant ID, subject uuid.UUID) (bool, error)
}
