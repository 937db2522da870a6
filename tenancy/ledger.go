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
