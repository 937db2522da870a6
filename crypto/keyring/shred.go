package keyring

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Shred destroys the data subject's key, for ever: the tombstone and the
// removal of the key's bytes are one statement, and from then on nothing that
// was sealed with it can be read, no new key is given, and other instances
// follow within [Ring.TTL]. It is idempotent, also for a data subject that
// never had a key. After an error the caller must repeat it until it returns
// nil: the tombstone may stand while [ErrResidue] is still to be mended.
//
// Copies of the keystore made before still hold the key: how long they live is
// the operator's to declare.
func (r *Ring) Shred(ctx context.Context, tenant, subject uuid.UUID) error {
	k := ref{tenant: tenant, subject: subject}
	r.cache.drop(k)
	if err := r.store.Shred(ctx, tenant, k.record(), time.Now()); err != nil {
		r.cache.drop(k)
		return err
	}
	r.cache.put(&entry{ref: k, erased: true})
	return nil
}

// Erased reports whether the data subject's key was destroyed, or all keys of
// the tenant were. It asks the keystore each time.
func (r *Ring) Erased(ctx context.Context, tenant, subject uuid.UUID) (bool, error) {
	k := ref{tenant: tenant, subject: subject}
	records, err := r.store.Get(ctx, tenant, []string{k.record(), nameTenant})
	return tombstone(records), err
}

// Check opens the root's check value and the KEK of every tenant, and returns
// the figures of the keystore (TOM-7.2): its tenants, data subjects with a key
// and erased ones, secrets; how many versions of keys seal or will seal, open
// only, and are destroyed; and when the oldest version was created with which
// somebody seals or wraps, which tells whether keys are rotated. It needs a
// store that is a [Lister].
func (r *Ring) Check(ctx context.Context) ([]slog.Attr, error) {
	lister, ok := r.store.(Lister)
	if !ok {
		return nil, errors.New("keyring: check: the store cannot list its keys")
	}
	var c census
	for rec, err := range lister.List(ctx) {
		if err != nil {
			return nil, err
		}
		c.add(rec)
	}
	if err := r.checkAll(ctx, c.tenants, c.records); err != nil {
		return nil, err
	}
	return append(c.attrs(), slog.Duration("cache_ttl", r.TTL()), slog.Int("cached", r.cache.size())), nil
}

func (r *Ring) checkAll(ctx context.Context, tenants []uuid.UUID, records int64) error {
	if records == 0 {
		return nil // a new keystore
	}
	root, err := r.store.Get(ctx, uuid.Nil, []string{nameRoot})
	if err != nil {
		return err
	}
	if err := r.rootFits(ctx, root); err != nil {
		return err
	}
	for _, t := range tenants {
		if _, err := r.kek(ctx, ref{tenant: t, name: nameTenant}); err != nil {
			return err
		}
	}
	return nil
}

// ShredTenant destroys all keys of a tenant, for ever. The first step is the
// tombstone of its KEK, the point of no return: from there every key of the
// tenant answers [ErrErased], here at once, in other instances within
// [Ring.TTL], and CreateTenant does. Then the bytes of all other keys are
// removed in batches. It is idempotent, also for a tenant that never was; after
// an error the caller must repeat it until it returns nil. The platform, the
// zero tenant, is refused.
func (r *Ring) ShredTenant(ctx context.Context, tenant uuid.UUID) error {
	store, ok := r.store.(Destroyer)
	switch {
	case !ok:
		return ErrNoRotation
	case tenant == uuid.Nil:
		return errors.New("keyring: shred tenant: the platform has no keys to do without")
	}
	k := ref{tenant: tenant, name: nameTenant}
	r.cache.dropTenant(tenant)
	residue := r.store.Shred(ctx, tenant, nameTenant, time.Now())
	if residue != nil && !errors.Is(residue, ErrResidue) { // the tombstone may stand all the same
		r.cache.dropTenant(tenant)
		return residue
	}
	r.cache.put(&entry{ref: k, erased: true})
	for after, more := "", true; more; more = after != "" {
		var err error
		if after, err = store.Clear(ctx, tenant, after, r.page, time.Now()); err != nil {
			return errors.Join(residue, err)
		}
	}
	return store.Settle(ctx)
}
