package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Kind is one of the kinds of keys that are rotated in one way.
type Kind string

// The kinds of keys below the root.
const (
	KEK         Kind = "kek"     // the tenant's key encryption key
	IndexKeys   Kind = "index"   // the tenant's key for blind indexes
	DataKey     Kind = "data"    // the tenant's data key, for rows of no data subject
	SubjectKeys Kind = "subject" // the data keys of all data subjects of the tenant
)

// Rotation says what one call did, and what it left. Called again, it does
// nothing twice.
type Rotation struct {
	Introduced int64 // keys that were given a successor
	Retired    int64 // versions that seal no longer
	Rewrapped  int64 // keys that were wrapped anew
	Left       int64 // keys that are not done: call again
}

// RotateOptions of [Ring.Rotate] and [Ring.RotateRoot].
type RotateOptions struct {
	// Progress is called after each step, and once when waiting begins, by the
	// goroutine that rotates. Default: nobody is told.
	Progress func(Rotation)
}

// ErrNoRotation says that the store cannot rotate or destroy keys: it is no
// [Rotator], or no [Destroyer].
var ErrNoRotation = errors.New("keyring: the store cannot rotate keys")

// Rotate gives every key of that kind which was created before the time before
// a successor. It introduces the successor beside the old version, with which
// everybody goes on sealing; waits until every instance has read it, which
// takes [Ring.TTL]; and retires the old version, which from then on only opens.
// Of a KEK it also wraps all keys of the tenant anew. What was sealed with the
// old versions is sealed anew by the caller, who then calls [Ring.Destroy].
//
// Before must not lie in the future. It names the rotation: a call that was
// killed or has returned an error is repeated with the same time, skips what is
// done and ends with the same result. Two at once do each other's work. All
// instances of the keystore must have the same TTL.
//
// It returns [ErrNoTenant], [ErrErased] for a tenant that was shredded, and
// [ErrNoRotation].
func (r *Ring) Rotate(ctx context.Context, tenant uuid.UUID, kind Kind, before time.Time, o *RotateOptions) (Rotation, error) {
	return Rotation{}, ErrNoRotation
}

// RotateRoot wraps every KEK and the keystore's check value anew under the
// current root of [Roots], and looks at the end whether the current root alone
// opens all of them. When it returns Left 0 and no error, and every process has
// the new root in front, nothing needs the old root any more: it can be
// destroyed, when the copies of the keystore that need it have ended.
func (r *Ring) RotateRoot(ctx context.Context, o *RotateOptions) (Rotation, error) {
	return Rotation{}, ErrNoRotation
}
