package backup

import (
	"errors"
	"fmt"
)

// The errors on which callers decide. None carries a value of a row, the name
// of a tenant or a secret.
var (
	// ErrNotEmpty: the place to restore into holds something already.
	ErrNotEmpty = errors.New("backup: the place is not empty: restore into a new one, and put it into use afterwards")
	// ErrNotCommitted: the run has no signed manifest; it died, or never was.
	ErrNotCommitted = errors.New("backup: the run is incomplete: it has no signed manifest")
	// ErrNoRun: the target holds no committed run.
	ErrNoRun = errors.New("backup: the target holds no committed run")
	// ErrRolledBack: the vault tells of newer runs than the target holds: it was
	// set back, they were removed, or it is another target.
	ErrRolledBack = errors.New("backup: the target lacks runs that were committed")
	// ErrSignature: the manifest, or a record of the vault, is not signed by the
	// key that it must be signed by.
	ErrSignature = errors.New("backup: the signature is not that of the signer")
	// ErrDamaged: a part is missing, cut or changed. The error says which.
	ErrDamaged = errors.New("backup: damaged")
	// ErrIdentity: none of the given identities opens what must be opened.
	ErrIdentity = errors.New("backup: no given identity opens it: give the identity of a recovery recipient")
	// ErrLedger: the ledger of erasures is older than a run that its signer made,
	// was cut, holds what this system did not write, or its copies contradict each
	// other.
	ErrLedger = errors.New("backup: the ledger of erasures does not hold what it must")
	// ErrVault: the vault's folders are missing, open to others, or differ, hold
	// what this system did not sign, or are older than the last run.
	ErrVault = errors.New("backup: vault refused")
	// ErrForgotten: the tenant's backups were given up with [Vault.Forget].
	ErrForgotten = errors.New("backup: the tenant's backups were forgotten")
	// ErrRole: the login of the source would not see all rows. The error names
	// the statement that mends it.
	ErrRole = errors.New("backup: the login would not see all rows")
	// ErrBusy: another run is under way.
	ErrBusy = errors.New("backup: another run is under way")
)

// damaged says which object is damaged, and how.
func damaged(name, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, name, fmt.Sprintf(format, args...))
}
