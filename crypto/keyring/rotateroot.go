package keyring

import (
	"context"
	"errors"
	"fmt"
)

// RotateRoot wraps every KEK and the keystore's check value anew under the
// current root of [Roots], and looks at the end whether the current root alone
// opens all of them. When it returns Left 0 and no error, and every process has
// the new root in front, nothing needs the old root any more: it can be
// destroyed, when the copies of the keystore that need it have ended.
//
// Killed at any moment it is called again. Two at once do each other's work. It
// returns [ErrSize] where the keystore does not take what the root returns,
// [ErrRoot] where no root opens the keystore, and after [ErrResidue] bytes that
// the old root has wrapped may still lie in the keystore's files.
func (r *Ring) RotateRoot(ctx context.Context, o *RotateOptions) (Rotation, error) {
	store, ok := r.store.(Rotator)
	if !ok {
		return Rotation{}, ErrNoRotation
	}
	j := &rootRotation{r: r, store: store, progress: o.progress()}
	broken := j.all(ctx, j.rewrap)
	if broken != nil && !errors.Is(broken, ErrDamaged) {
		return j.done, broken
	}
	if err := j.all(ctx, j.verify); err != nil {
		return j.done, err
	}
	if d, ok := r.store.(Destroyer); ok && broken == nil {
		return j.done, d.Settle(ctx)
	}
	return j.done, broken
}

// rootRotation is one call of RotateRoot.
type rootRotation struct {
	r        *Ring
	store    Rotator
	progress func(Rotation)
	done     Rotation
}

// all reads what the root has wrapped: one key with all its versions at a time,
// so that no list of them is open while the root is asked. A damaged one does
// not keep the others from it.
func (j *rootRotation) all(ctx context.Context, each func(context.Context, Record) error) error {
	keys, err := j.list(ctx)
	if err != nil {
		return err
	}
	var broken error
	for _, k := range keys {
		records, err := j.r.store.Get(ctx, k.tenant, []string{k.name})
		if err != nil {
			return err
		}
		for _, rec := range records {
			if !rec.hasBytes() {
				continue
			}
			if err := each(ctx, rec); errors.Is(err, ErrDamaged) {
				broken = err
			} else if err != nil {
				return err
			}
		}
		j.progress(j.done)
	}
	return broken
}

func (j *rootRotation) list(ctx context.Context) (keys []ref, err error) {
	lister, ok := j.r.store.(Lister)
	if !ok {
		return nil, errors.New("keyring: rotate root: the store cannot list its keys")
	}
	for rec, err := range lister.List(ctx) {
		if err != nil {
			return nil, err
		}
		k := ref{tenant: rec.Tenant, name: rec.Name}
		if rootWrapped(rec.Name) && rec.hasBytes() && (len(keys) == 0 || keys[len(keys)-1] != k) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (j *rootRotation) rewrap(ctx context.Context, rec Record) error {
	aad := rootAAD(rec.Tenant, rec.Name, rec.Version)
	key, err := unwrapCurrent(ctx, j.r.root, rec.Wrapped, aad)
	if err == nil {
		clear(key)
		return nil
	}
	if !errors.Is(err, ErrUnwrap) {
		return fmt.Errorf("keyring: unwrap with root: %w", err)
	}
	key, err = j.r.root.Unwrap(ctx, rec.Wrapped, aad)
	defer clear(key)
	if errors.Is(err, ErrUnwrap) {
		return j.r.diagnose(ctx, rec.Tenant, rec)
	}
	if err != nil {
		return fmt.Errorf("keyring: unwrap with root: %w", err)
	}
	wrapped, err := j.r.root.Wrap(ctx, key, aad)
	if err != nil {
		return fmt.Errorf("keyring: wrap with root: %w", err)
	}
	n, err := j.store.Rewrap(ctx, rec.Tenant, []Rewrap{{Name: rec.Name, Version: rec.Version, Old: rec.Wrapped, New: wrapped}})
	j.done.Rewrapped += n
	return err
}

// verify counts what the current root alone does not open.
func (j *rootRotation) verify(ctx context.Context, rec Record) error {
	key, err := unwrapCurrent(ctx, j.r.root, rec.Wrapped, rootAAD(rec.Tenant, rec.Name, rec.Version))
	clear(key)
	if errors.Is(err, ErrUnwrap) {
		j.done.Left++
		return nil
	}
	if err != nil {
		return fmt.Errorf("keyring: unwrap with root: %w", err)
	}
	return nil
}
