package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrSize says that the current root wraps to another length than the one
// before, where the keystore overwrites a key in its place: a SQLite keystore
// takes over from one root to another of the same length only.
var ErrSize = errors.New("keyring: the root wraps to another length, which a SQLite keystore does not take")

// Rotator is what a [Store] may offer beyond: [Ring.Rotate], [Ring.RotateRoot]
// and [Ring.Retired] need it. Each method changes only what still is as the
// caller has seen it, so that two who do the same do it once.
type Rotator interface {
	// Page returns all versions of the tenant's keys whose names follow after, in
	// the order of names, which is the keystore's own: about limit records, a key
	// never in part, and the name to go on after, empty at the end. It looks at
	// names that begin with name where that ends in a slash or is empty, else at
	// this one.
	Page(ctx context.Context, tenant uuid.UUID, name, after string, limit int) (records []Record, next string, err error)

	// Introduce adds to existing keys of one tenant a version each, as active,
	// where the version before it is active, the key is not erased and no
	// version of that number exists. It returns how many it added.
	Introduce(ctx context.Context, records []Record) (int64, error)

	// Retire retires versions of the tenant's keys, given by name and version,
	// that are active and have a later active one. It returns how many.
	Retire(ctx context.Context, tenant uuid.UUID, records []Record, at time.Time) (int64, error)

	// Rewrap replaces the bytes of versions of the tenant's keys where they are
	// what the caller has seen, and returns how many. SQLite returns [ErrSize]
	// for bytes of another length.
	Rewrap(ctx context.Context, tenant uuid.UUID, list []Rewrap) (int64, error)
}

// Rewrap is one version of a key with the bytes that it has and shall have.
type Rewrap struct {
	Name     string // of the key, as in [Record]
	Version  uint32 // of the key
	Old, New []byte // wrapped; New is as long as Old on SQLite
}

// Destroyer is what a [Store] may offer beyond: [Ring.Destroy] and
// [Ring.ShredTenant] need it.
type Destroyer interface {
	// Destroy removes the bytes of versions of the tenant's keys, given by name
	// and version, that were retired no later than retired, for ever. Each is
	// decided for itself: of those that it may not destroy it returns [ErrNoKey],
	// [ErrTooEarly] or [ErrInUse] for one. A KEK is in use while a key of the
	// tenant is wrapped by it, decided against every Insert, Introduce and Rewrap
	// that runs at the same time. It is idempotent, as [Store.Shred] is.
	Destroy(ctx context.Context, tenant uuid.UUID, list []Record, retired, at time.Time) error

	// Clear removes the bytes of the keys of a tenant whose KEK is erased: of
	// about limit keys whose names follow after. It returns the name to go on
	// after, empty at the end. They are then destroyed, since nobody has asked for
	// each of them to be erased; what is erased stays erased.
	Clear(ctx context.Context, tenant uuid.UUID, after string, limit int, at time.Time) (next string, err error)

	// Settle makes sure that nothing which was overwritten or removed is left in
	// the keystore's files: SQLite empties the write-ahead log, or returns
	// [ErrResidue].
	Settle(ctx context.Context) error
}
