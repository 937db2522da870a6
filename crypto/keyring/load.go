package keyring

import (
	"context"
	"fmt"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// load returns the entries of keys, which are of one tenant, nil where none
// exists. All that are cold come with one round trip; what another goroutine is
// reading already is waited for.
func (r *Ring) load(ctx context.Context, tenant uuid.UUID, keys []ref) ([]*entry, error) {
	out := make([]*entry, len(keys))
	cold := r.warm(keys, out)
	if len(cold) == 0 {
		return out, nil
	}
	mine, others := r.reads.claim(cold)
	found, err := r.finish(ctx, tenant, mine)
	if err != nil {
		return nil, err
	}
	again, err := others.wait(ctx, found)
	if err != nil {
		return nil, err
	}
	if len(again) > 0 { // whoever read them failed; that error was theirs
		if err := r.fetch(ctx, tenant, again, found); err != nil {
			return nil, err
		}
	}
	for i, k := range keys {
		if out[i] == nil {
			out[i] = found[k]
		}
	}
	return out, nil
}

func (r *Ring) warm(keys []ref, out []*entry) (cold []ref) {
	for i, k := range keys {
		if out[i] = r.cache.get(k); out[i] == nil {
			cold = append(cold, k)
		}
	}
	return cold
}

// finish reads what this goroutine has claimed, and tells those who wait.
func (r *Ring) finish(ctx context.Context, tenant uuid.UUID, mine []ref) (found map[ref]*entry, err error) {
	found = make(map[ref]*entry, len(mine))
	done := false
	defer func() { r.reads.publish(mine, found, done) }()
	if len(mine) > 0 {
		err = r.fetch(ctx, tenant, mine, found)
	}
	done = err == nil
	return found, err
}

// fetch reads keys, which are distinct, with the tenant's KEK unless that is warm, opens them and
// adds them to found.
func (r *Ring) fetch(ctx context.Context, tenant uuid.UUID, keys []ref, found map[ref]*entry) error {
	kekRef := ref{tenant: tenant, name: nameTenant}
	kek := r.cache.get(kekRef)
	records, err := r.store.Get(ctx, tenant, recordNames(keys, kek == nil))
	if err != nil {
		return err
	}
	newest := newestByName(records)
	if kek == nil {
		rec, ok := newest[nameTenant]
		if !ok {
			return fmt.Errorf("%w: %s", ErrNoTenant, tenant)
		}
		if kek, err = r.openKEK(ctx, kekRef, rec); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if rec, ok := newest[k.record()]; ok && k != kekRef {
			if found[k], err = r.open(kek, k, rec); err != nil {
				return err
			}
		} else if k == kekRef {
			found[k] = kek
		}
	}
	return nil
}

func recordNames(keys []ref, kek bool) []string {
	names := make([]string, 0, len(keys)+1)
	for _, k := range keys {
		if k.name != nameTenant {
			names = append(names, k.record())
		}
	}
	if kek {
		names = append(names, nameTenant)
	}
	return names
}

// newestByName picks what serves: the tombstone if there is one, else the
// active version.
func newestByName(records []Record) map[string]Record {
	out := make(map[string]Record, len(records))
	for _, rec := range records {
		if rec.State == Erased || (rec.State == Active && out[rec.Name].State != Erased) {
			out[rec.Name] = rec
		}
	}
	return out
}

// open unwraps a key of the tenant and keeps it.
func (r *Ring) open(kek *entry, k ref, rec Record) (*entry, error) {
	if rec.State == Erased || kek.erased {
		return r.cache.put(&entry{ref: k, erased: true}), nil
	}
	t, n, v := place(k.tenant, rec.Name, rec.Version)
	key, err := kek.kek.Open(make([]byte, 0, field.KeySize), rec.Wrapped, t, n, v)
	if err != nil {
		return nil, damaged(k.tenant, rec)
	}
	e, err := r.entryOf(k, rec.Version, key)
	if err != nil {
		return nil, err
	}
	return r.cache.put(e), nil
}

// entryOf makes of key, which it takes over, what the name stands for.
func (r *Ring) entryOf(k ref, version uint32, key []byte) (e *entry, err error) {
	e = &entry{ref: k, version: version}
	switch k.name {
	case "":
		defer clear(key)
		e.cipher, err = field.NewCipher(version, key)
	case nameData:
		defer clear(key)
		e.cipher, err = field.NewCountedCipher(version, key, r.budget(k.tenant, version))
	case nameTenant:
		defer clear(key)
		e.kek, err = aead.New(aead.LabelWrap, version, key)
	default:
		e.secret = key
	}
	return e, err
}

func damaged(tenant uuid.UUID, rec Record) error {
	return fmt.Errorf("%w: tenant %s, key %s, version %d", ErrDamaged, tenant, rec.Name, rec.Version)
}
