package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// checkRoot makes sure, once, that the root is the one this keystore was made
// with, before the first key is created under it: two roots in one keystore
// would show only when the wrong one is gone. An empty keystore takes the root.
func (r *Ring) checkRoot(ctx context.Context) error {
	r.mu.Lock()
	checked := r.checked
	r.mu.Unlock()
	if checked {
		return nil
	}
	value := randomKey()
	defer clear(value)
	wrapped, err := r.root.Wrap(ctx, value, rootAAD(uuid.Nil, nameRoot, firstVersion))
	if err != nil {
		return fmt.Errorf("keyring: wrap with root: %w", err)
	}
	stand, err := r.store.Insert(ctx, []Record{newRecord(uuid.Nil, nameRoot, firstVersion, wrapped)})
	if err != nil {
		return err
	}
	return r.rootFits(ctx, stand)
}

// rootFits opens the check value; without one the root cannot be the right one.
func (r *Ring) rootFits(ctx context.Context, records []Record) error {
	value, err := r.checkValue(ctx, records)
	clear(value)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checked = true
	return nil
}

// checkValue opens the check value of a keystore, or of a copy of it.
func (r *Ring) checkValue(ctx context.Context, records []Record) ([]byte, error) {
	serving := inUse(byName(records).of(nameRoot))
	if len(serving) == 0 {
		return nil, ErrRoot
	}
	rec := serving[0]
	value, err := r.root.Unwrap(ctx, rec.Wrapped, rootAAD(uuid.Nil, nameRoot, rec.Version))
	switch {
	case errors.Is(err, ErrUnwrap):
		return nil, ErrRoot
	case err != nil:
		return nil, fmt.Errorf("keyring: unwrap with root: %w", err)
	}
	return value, nil
}

// diagnose tells a wrong root from a single changed record.
func (r *Ring) diagnose(ctx context.Context, tenant uuid.UUID, rec Record) error {
	records, err := r.store.Get(ctx, uuid.Nil, []string{nameRoot})
	if err != nil {
		return err
	}
	if err := r.rootFits(ctx, records); err != nil {
		return err
	}
	return damaged(tenant, rec)
}
