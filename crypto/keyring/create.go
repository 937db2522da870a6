package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// firstVersion is that of every new key.
const firstVersion = 1

// obtain is load that creates what is missing. While the KEK is warm it does
// not read first: inserting tells who won. A KEK that was destroyed since it
// was read wraps nothing any more; it is read again, once.
func (r *Ring) obtain(ctx context.Context, tenant uuid.UUID, keys []ref) ([]*entry, error) {
	out := make([]*entry, len(keys))
	if len(r.cache.getAll(keys, out)) == 0 {
		return out, nil
	}
	kekRef := ref{tenant: tenant, name: nameTenant}
	kek := r.cache.get(kekRef)
	if kek == nil {
		var err error
		if out, err = r.load(ctx, tenant, keys); err != nil {
			return nil, err
		}
		if kek, err = r.kek(ctx, kekRef); err != nil {
			return nil, err
		}
	}
	refused, err := r.insertMissing(ctx, kek, keys, out)
	if err != nil || !refused {
		return out, err
	}
	if kek, err = r.readKEK(ctx, kek); err != nil {
		return nil, err
	}
	if refused, err = r.insertMissing(ctx, kek, keys, out); err == nil && refused {
		err = fmt.Errorf("keyring: create key: the keystore did not return it: tenant %s", tenant)
	}
	return out, err
}

// insertMissing reports whether the keystore refused the KEK.
func (r *Ring) insertMissing(ctx context.Context, kek *entry, keys []ref, out []*entry) (refused bool, err error) {
	at := make(map[ref]int) // in fresh
	var fresh []ref
	var records []Record
	for i, k := range keys {
		if _, twice := at[k]; out[i] != nil || twice {
			continue
		}
		if kek.erased {
			out[i] = kek
			continue
		}
		at[k], fresh = len(fresh), append(fresh, k)
		rec, err := wrapNew(kek, k.tenant, k.record(), firstVersion)
		if err != nil {
			return false, err
		}
		records = append(records, rec)
	}
	if len(records) == 0 {
		return false, nil
	}
	asked := time.Now()
	stand, err := r.store.Insert(ctx, records)
	if err != nil {
		return false, err
	}
	won, err := r.openAll(ctx, kek, fresh, byName(stand), asked)
	if err != nil {
		return false, err
	}
	for i, k := range keys {
		if out[i] == nil {
			out[i] = won[at[k]]
			refused = refused || out[i] == nil
		}
	}
	return refused, nil
}

// wrapNew returns a new random key under the tenant's KEK. The key's bytes do
// not leave it: whoever wins is opened from what the keystore holds.
func wrapNew(kek *entry, tenant uuid.UUID, name string, version uint32) (Record, error) {
	key := randomKey()
	defer clear(key)
	wrapped, err := kek.wrap(key, tenant, name, version)
	return newRecord(tenant, name, version, wrapped), err
}

// wrap wraps a key of the tenant with the version of the KEK that everybody
// wraps with.
func (e *entry) wrap(key []byte, tenant uuid.UUID, name string, version uint32) ([]byte, error) {
	t, n, v := place(tenant, name, version)
	return e.keks[0].Seal(nil, key, t, n, v)
}

func newRecord(tenant uuid.UUID, name string, version uint32, wrapped []byte) Record {
	return Record{Tenant: tenant, Name: name, Version: version, State: Active, Wrapped: wrapped, Created: time.Now()}
}

func (r *Ring) wrapKEK(ctx context.Context, key []byte, tenant uuid.UUID, version uint32) (Record, error) {
	wrapped, err := r.root.Wrap(ctx, key, rootAAD(tenant, nameTenant, version))
	if err != nil {
		return Record{}, fmt.Errorf("keyring: wrap tenant key: %w", err)
	}
	return newRecord(tenant, nameTenant, version, wrapped), nil
}

// insertTenant writes the tenant's keys in one step, so that all of them are
// of the same winner.
func (r *Ring) insertTenant(ctx context.Context, tenant uuid.UUID) error {
	key := randomKey()
	defer clear(key)
	kek, err := r.wrapKEK(ctx, key, tenant, firstVersion)
	if err != nil {
		return err
	}
	records := []Record{kek}
	a, err := aead.New(aead.LabelWrap, firstVersion, key)
	if err != nil {
		return err
	}
	for _, name := range []string{nameIndex, nameData} {
		rec, err := wrapNew(&entry{keks: []*aead.AEAD{a}}, tenant, name, firstVersion)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	asked := time.Now()
	stand, err := r.store.Insert(ctx, records)
	if err != nil {
		return err
	}
	return r.keepKEK(ctx, tenant, stand, asked)
}

// keepKEK opens what stands after two may have created the tenant at once.
func (r *Ring) keepKEK(ctx context.Context, tenant uuid.UUID, stand []Record, asked time.Time) error {
	records := byName(stand).of(nameTenant)
	if len(records) == 0 {
		return fmt.Errorf("keyring: create tenant: the keystore did not return its key: tenant %s", tenant)
	}
	kek, err := r.openKEK(ctx, ref{tenant: tenant, name: nameTenant}, records, asked)
	if err == nil && kek.erased {
		return ErrErased
	}
	return err
}
