package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// firstVersion is that of every new key.
const firstVersion = 1

// obtain is load that creates what is missing. While the KEK is warm it does
// not read first: inserting tells who won.
func (r *Ring) obtain(ctx context.Context, tenant uuid.UUID, keys []ref) ([]*entry, error) {
	out := make([]*entry, len(keys))
	missing := r.warm(keys, out)
	if len(missing) == 0 {
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
	return out, r.insertMissing(ctx, kek, keys, out)
}

func (r *Ring) insertMissing(ctx context.Context, kek *entry, keys []ref, out []*entry) error {
	fresh := make(map[string]ref)
	var records []Record
	for i, k := range keys {
		name := k.record()
		if _, twice := fresh[name]; out[i] != nil || twice {
			continue
		}
		fresh[name] = k
		rec, err := wrapNew(kek, k.tenant, name)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	won, err := r.insert(ctx, kek, fresh, records)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if out[i] == nil {
			out[i] = won[k]
		}
		if out[i] == nil {
			return fmt.Errorf("keyring: create key: the keystore did not return it: tenant %s", k.tenant)
		}
	}
	return nil
}

func (r *Ring) insert(ctx context.Context, kek *entry, fresh map[string]ref, records []Record) (map[ref]*entry, error) {
	won := make(map[ref]*entry, len(records))
	if len(records) == 0 {
		return won, nil
	}
	stand, err := r.store.Insert(ctx, records)
	if err != nil {
		return nil, err
	}
	var rotated []ref
	for _, rec := range stand {
		k, ok := fresh[rec.Name]
		switch {
		case !ok:
			continue
		case rec.State == Retired || rec.State == Destroyed:
			rotated = append(rotated, k)
			continue
		}
		if won[k], err = r.open(kek, k, rec); err != nil {
			return nil, err
		}
	}
	if len(rotated) > 0 { // it exists, in a later version
		err = r.fetch(ctx, rotated[0].tenant, rotated, won)
	}
	return won, err
}

// wrapNew returns a new random key under the tenant's KEK. The key's bytes do
// not leave it: whoever wins is opened from what the keystore holds.
func wrapNew(kek *entry, tenant uuid.UUID, name string) (Record, error) {
	if kek.erased {
		return Record{}, ErrErased
	}
	key := randomKey()
	defer clear(key)
	t, n, v := place(tenant, name, firstVersion)
	wrapped, err := kek.kek.Seal(nil, key, t, n, v)
	return newRecord(tenant, name, wrapped), err
}

func newRecord(tenant uuid.UUID, name string, wrapped []byte) Record {
	return Record{Tenant: tenant, Name: name, Version: firstVersion, State: Active, Wrapped: wrapped, Created: time.Now()}
}

// insertTenant writes the tenant's keys in one step, so that all of them are
// of the same winner.
func (r *Ring) insertTenant(ctx context.Context, tenant uuid.UUID) error {
	key := randomKey()
	defer clear(key)
	wrapped, err := r.root.Wrap(ctx, key, rootAAD(tenant, nameTenant, firstVersion))
	if err != nil {
		return fmt.Errorf("keyring: wrap tenant key: %w", err)
	}
	records := []Record{newRecord(tenant, nameTenant, wrapped)}
	a, err := aead.New(aead.LabelWrap, firstVersion, key)
	if err != nil {
		return err
	}
	for _, name := range []string{nameIndex, nameData} {
		rec, err := wrapNew(&entry{kek: a}, tenant, name)
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	stand, err := r.store.Insert(ctx, records)
	if err != nil {
		return err
	}
	return r.keepKEK(ctx, tenant, stand)
}

func (r *Ring) keepKEK(ctx context.Context, tenant uuid.UUID, stand []Record) error {
	rec, ok := newestByName(stand)[nameTenant]
	if !ok {
		return fmt.Errorf("keyring: create tenant: the keystore did not return its key: tenant %s", tenant)
	}
	kek, err := r.openKEK(ctx, ref{tenant: tenant, name: nameTenant}, rec)
	if err == nil && kek.erased {
		return ErrErased
	}
	return err
}

// kek returns the tenant's KEK.
func (r *Ring) kek(ctx context.Context, k ref) (*entry, error) {
	got, err := r.load(ctx, k.tenant, []ref{k})
	if err != nil {
		return nil, err
	}
	if got[0] == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoTenant, k.tenant)
	}
	return got[0], nil
}

// openKEK asks the root, once for all who want the same tenant at a time.
func (r *Ring) openKEK(ctx context.Context, k ref, rec Record) (*entry, error) {
	if rec.State == Erased {
		return r.cache.put(&entry{ref: k, erased: true}), nil
	}
	mine, others := r.keks.claim([]ref{k})
	if len(mine) == 0 {
		found := make(map[ref]*entry, 1)
		again, err := others.wait(ctx, found)
		if err != nil || len(again) == 0 {
			return found[k], err
		}
		return r.unwrapKEK(ctx, k, rec)
	}
	found := make(map[ref]*entry, 1)
	done := false
	defer func() { r.keks.publish(mine, found, done) }()
	e, err := r.unwrapKEK(ctx, k, rec)
	found[k], done = e, err == nil
	return e, err
}

func (r *Ring) unwrapKEK(ctx context.Context, k ref, rec Record) (*entry, error) {
	key, err := r.root.Unwrap(ctx, rec.Wrapped, rootAAD(k.tenant, rec.Name, rec.Version))
	if errors.Is(err, ErrUnwrap) {
		return nil, r.diagnose(ctx, k.tenant, rec)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: unwrap tenant key: %w", err)
	}
	e, err := r.entryOf(k, rec.Version, key)
	if err != nil {
		return nil, err
	}
	return r.cache.put(e), nil
}
