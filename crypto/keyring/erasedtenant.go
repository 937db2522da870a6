package keyring

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// HasTenant reports whether the keystore knows the tenant, also one whose keys
// were destroyed. It asks the keystore each time.
func (r *Ring) HasTenant(ctx context.Context, tenant uuid.UUID) (bool, error) {
	records, err := r.store.Get(ctx, tenant, []string{nameTenant})
	return len(records) > 0, err
}

// ErasedTenant reports whether the tenant's keys were destroyed. It asks the
// keystore each time.
func (r *Ring) ErasedTenant(ctx context.Context, tenant uuid.UUID) (bool, error) {
	records, err := r.store.Get(ctx, tenant, []string{nameTenant})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(records, func(rec Record) bool { return rec.State == Erased }), nil
}

// ErasedAmong reports of each data subject whether its key was destroyed, by itself
// or with all keys of the tenant, for which the zero subject stands. It asks the
// keystore each time, for all at once.
func (r *Ring) ErasedAmong(ctx context.Context, tenant uuid.UUID, subjects []uuid.UUID) ([]bool, error) {
	gone := make([]bool, len(subjects))
	names := []string{nameTenant}
	for _, s := range subjects {
		if s != uuid.Nil {
			names = append(names, prefixSubject+s.String())
		}
	}
	got, err := r.store.Get(ctx, tenant, names)
	if err != nil {
		return nil, err
	}
	records := byName(got)
	whole := tombstone(records.of(nameTenant))
	for i, s := range subjects {
		gone[i] = whole || s != uuid.Nil && tombstone(records.of(prefixSubject+s.String()))
	}
	return gone, nil
}
