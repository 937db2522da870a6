package keyring

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// ErasedTenant reports whether the tenant's keys were destroyed. It asks the
// keystore each time.
func (r *Ring) ErasedTenant(ctx context.Context, tenant uuid.UUID) (bool, error) {
	records, err := r.store.Get(ctx, tenant, []string{nameTenant})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(records, func(rec Record) bool { return rec.State == Erased }), nil
}
