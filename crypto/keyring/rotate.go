package keyring

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
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
// The wait goes by this process's monotonic clock and by nobody's dates: a call
// that finds a successor, of whatever age, waits as long as for its own. The
// keystore's dates say only which keys are due. An instance whose clock is behind
// creates keys that look older, and has them rotated early; one whose clock is
// ahead creates keys that look newer: up to ten seconds beyond this process's
// time they are taken for new, and beyond that for due, since such a date says
// nothing of a key's age. A key that was dated ahead by less than what has passed
// since looks younger by as much.
//
// It returns [ErrNoTenant], [ErrErased] for a tenant that was shredded, and
// [ErrNoRotation].
func (r *Ring) Rotate(ctx context.Context, tenant uuid.UUID, kind Kind, before time.Time, o *RotateOptions) (Rotation, error) {
	store, ok := r.store.(Rotator)
	if !ok {
		return Rotation{}, ErrNoRotation
	}
	name, ok := recordsOf[kind]
	if !ok {
		return Rotation{}, fmt.Errorf("keyring: rotate: no kind of keys is called %q", string(kind))
	}
	if before.After(time.Now()) {
		return Rotation{}, errors.New("keyring: rotate: the time before which keys were created lies in the future")
	}
	j := &rotation{r: r, store: store, tenant: tenant, name: name, before: before, progress: o.progress(), seed: maphash.MakeSeed(), stood: make(map[uint64]struct{})}
	err := j.replace(ctx)
	if err == nil && kind == KEK {
		err = j.rewrap(ctx)
	}
	return j.done, err
}

// recordsOf tells how the records of a kind are named, as [Rotator.Page] takes it.
var recordsOf = map[Kind]string{KEK: nameTenant, IndexKeys: nameIndex, DataKey: nameData, SubjectKeys: prefixSubject}

func (o *RotateOptions) progress() func(Rotation) {
	if o == nil || o.Progress == nil {
		return func(Rotation) {}
	}
	return o.Progress
}

const (
	rotatePage = 1000
	// attempts bounds how often one call begins anew with what has come in
	// meanwhile under an old version.
	attempts = 3
	// clockSkew is by how much another's clock may be ahead of this one before what
	// it dates is not believed. It shortens nobody's wait.
	clockSkew = 10 * time.Second
)

// rotation is one call of Rotate.
type rotation struct {
	r        *Ring
	store    Rotator
	tenant   uuid.UUID
	name     string
	before   time.Time
	progress func(Rotation)
	done     Rotation
	seed     maphash.Seed
	stood    map[uint64]struct{} // successors that stood before a wait of this call
}

// replace introduces, waits and retires, for all keys of a kind at once.
func (j *rotation) replace(ctx context.Context) error {
	for range attempts {
		fresh, due, err := j.introduce(ctx)
		if err != nil {
			return err
		}
		if j.done.Left = due; due == 0 {
			return nil
		}
		if fresh {
			if err := j.wait(ctx, j.r.known()); err != nil {
				return err
			}
		}
		if err := j.retire(ctx); err != nil || j.done.Left == 0 {
			return err
		}
	}
	return nil
}

// wait lets every entry of every cache end that was read before now. The clocks
// of two machines may run one percent apart.
func (j *rotation) wait(ctx context.Context, d time.Duration) error {
	j.progress(j.done)
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// known is how long it takes until everybody has read what is new.
func (r *Ring) known() time.Duration { return r.TTL() + r.TTL()/100 }

// unknown is how long to wait after a change that the keystore dates: nothing
// once it is older than a whole grace, by which no clock may be wrong, and before
// that as if it were of now.
func (r *Ring) unknown(changed time.Time) time.Duration {
	if time.Since(changed) > r.known()+r.grace {
		return 0
	}
	return r.known()
}

// pages hands out the keys of the kind, each with all its versions.
func (j *rotation) pages(ctx context.Context, name string, each func(keys versions) error) error {
	for after := ""; ; {
		records, next, err := j.store.Page(ctx, j.tenant, name, after, j.r.page)
		if err != nil {
			return err
		}
		if err := each(byName(records)); err != nil {
			return err
		}
		if j.progress(j.done); next == "" {
			return nil
		}
		after = next
	}
}
