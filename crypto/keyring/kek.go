package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/art32/art32/internal/aead"
)

// rootWrapped reports whether the root wraps the keys of that name; the
// tenant's KEK wraps all others.
func rootWrapped(name string) bool { return name == nameTenant || name == nameRoot }

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

// kekFor returns a KEK with all versions under which records are wrapped. One
// that lacks a version is older than the records: it is read again, once.
// What it lacks then is no KEK's.
func (r *Ring) kekFor(ctx context.Context, kek *entry, records []Record) (*entry, error) {
	for _, rec := range records {
		under, ok := aead.KeyVersion(rec.Wrapped)
		if kek.erased || rootWrapped(rec.Name) || !rec.hasBytes() || !ok || kek.kek(under) != nil {
			continue
		}
		return r.readKEK(ctx, kek)
	}
	return kek, nil
}

// readKEK asks the keystore for the tenant's KEK, whatever the cache holds, and
// the root only when something has changed.
func (r *Ring) readKEK(ctx context.Context, known *entry) (*entry, error) {
	asked := time.Now()
	records, err := r.store.Get(ctx, known.ref.tenant, []string{nameTenant})
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoTenant, known.ref.tenant)
	}
	if list := byName(records); !known.covers(list) {
		return r.openKEK(ctx, known.ref, list, asked)
	}
	return known, nil
}

// covers reports whether e says what records say.
func (e *entry) covers(records []Record) bool {
	if e.erased || tombstone(records) {
		return e.erased && tombstone(records)
	}
	serving := inUse(records)
	if len(serving) != len(e.versions) {
		return false
	}
	for i, rec := range serving {
		if rec.Version != e.versions[i] {
			return false
		}
	}
	return true
}

// openKEK asks the root, once for all who want the same tenant at a time.
func (r *Ring) openKEK(ctx context.Context, k ref, records []Record, asked time.Time) (*entry, error) {
	if tombstone(records) {
		return r.cache.put(&entry{ref: k, erased: true, asked: asked}), nil
	}
	own, seats := r.keks.claim([]ref{k}, r.TTL())
	if own == nil {
		e, ok, err := seats[0].wait(ctx)
		if err != nil {
			return nil, err
		}
		if ok && e.covers(records) {
			return e, nil
		}
		return r.unwrapKEK(ctx, k, records, asked)
	}
	var found []*entry
	defer func() { r.keks.publish(own, found) }()
	e, err := r.unwrapKEK(ctx, k, records, asked)
	if err == nil {
		found = []*entry{e}
	}
	return e, err
}

func (r *Ring) unwrapKEK(ctx context.Context, k ref, records []Record, asked time.Time) (*entry, error) {
	serving := inUse(records)
	if len(serving) == 0 {
		return nil, damaged(k.tenant, records[0])
	}
	o := opened{entry: &entry{ref: k, asked: asked}}
	for _, rec := range serving {
		key, err := r.root.Unwrap(ctx, rec.Wrapped, rootAAD(k.tenant, rec.Name, rec.Version))
		if errors.Is(err, ErrUnwrap) {
			return nil, r.diagnose(ctx, k.tenant, rec)
		}
		if err != nil {
			return nil, fmt.Errorf("keyring: unwrap tenant key: %w", err)
		}
		if err := r.take(&o, rec.Version, key); err != nil {
			return nil, err
		}
	}
	return r.cache.put(o.finish()), nil
}
