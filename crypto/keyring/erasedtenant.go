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
