package keyring

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrTooEarly says that a version was retired less than [Options.Grace] ago.
	ErrTooEarly = errors.New("keyring: the version was retired too recently: destroy it later")
	// ErrInUse says that a version still seals, or that keys of the tenant are
	// still wrapped by it.
	ErrInUse = errors.New("keyring: the version is in use: rotate the key before it is destroyed")
)

// Version is one version of a key of a tenant.
type Version struct {
	Kind    Kind
	Subject uuid.UUID // of [SubjectKeys]
	Version uint32    // from 1
	Since   time.Time // when it was retired
}

// Retired yields the tenant's versions that open but seal no longer, which are
// destroyed when nothing needs them any more. It reads in pages.
func (r *Ring) Retired(ctx context.Context, tenant uuid.UUID) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) { yield(Version{}, ErrNoRotation) }
}

// Destroy destroys retired versions for ever; [Version.Since] is not looked at.
// For index, data and subject keys the caller must have found, while nobody
// could write, that nothing is sealed with them. Each is decided for itself. For
// one that may not be destroyed it returns [ErrTooEarly] before [Options.Grace]
// has passed since it was retired, [ErrInUse] for a version that still seals and
// for a KEK by which a key of the tenant is still wrapped, [ErrNoKey] for one
// that never was. It is idempotent; after [ErrResidue] the caller must repeat it.
func (r *Ring) Destroy(ctx context.Context, tenant uuid.UUID, list ...Version) error {
	return ErrNoRotation
}
