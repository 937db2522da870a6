package keyring

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"
)

// ErrKeystore says that the keystore has no tables, or is not ours to read.
var ErrKeystore = errors.New("keyring: keystore not usable: apply the migrations of line keyring and check that its path or DSN is the right one")

// State is where a key stands in its life. It only ever moves forward.
type State string

// The states of a key version.
const (
	Active    State = "active"    // seals and opens
	Retired   State = "retired"   // opens only, until all is sealed anew
	Destroyed State = "destroyed" // a version whose bytes are gone; another serves
	Erased    State = "erased"    // the tombstone of all versions: nothing opens any more
)

// Record is one version of a key as the keystore holds it.
type Record struct {
	Tenant  uuid.UUID // all zero: the platform
	Name    string    // "tenant", "subject/<uuid>", "secret/<name>", …
	Version uint32    // from 1
	State   State
	Wrapped []byte    // nil when destroyed or erased
	Created time.Time // to the millisecond, as is
	Changed time.Time // when it came into its state
}

// Store is the keystore. It lies apart from the data and is never inside its
// backups. All methods are safe for concurrent use. [SQLStore] is the one for
// PostgreSQL and SQLite.
type Store interface {
	// Get returns every version of the tenant's keys with these names, in one
	// round trip and any order. A name without a record is not an error.
	Get(ctx context.Context, tenant uuid.UUID, names []string) ([]Record, error)

	// Insert stores those records of which no version exists, atomically, as
	// active, and returns for each name all versions which stand afterwards, the
	// winner's or tombstones: concurrent callers agree on one key. It takes one
	// round trip unless callers collide. All records are of one tenant and their
	// names distinct.
	//
	// A key whose bytes name a KEK that does not stand, neither before nor as one
	// of records, is not stored, decided in the same statement; nothing is
	// returned for it unless it stood before. The KEK was destroyed, and must be
	// read again.
	Insert(ctx context.Context, records []Record) ([]Record, error)

	// Shred turns all versions of a key into tombstones and removes their bytes
	// in one statement, or writes a tombstone where none ever was. It is
	// idempotent. When it returns an error the tombstone may or may not stand:
	// the caller repeats it until it returns nil.
	Shred(ctx context.Context, tenant uuid.UUID, name string, at time.Time) error

	// Reserve adds n to the messages counted for a key version that has bytes
	// unless that exceeds limit, and reports whether it did. A retired version
	// counts on: who has not heard of it still seals.
	Reserve(ctx context.Context, tenant uuid.UUID, name string, version uint32, n, limit int64) (bool, error)
}

// Lister is what a [Store] may offer beyond: [Ring.Check] needs it.
type Lister interface {
	// List returns all records without their bytes, ordered by tenant and name.
	List(ctx context.Context) iter.Seq2[Record, error]
}
