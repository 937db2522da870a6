package keyring

import (
	"bytes"
	"context"
	"time"

	"github.com/google/uuid"
)

// DropTenant drops what r has opened of the tenant's keys.
func DropTenant(r *Ring, tenant uuid.UUID) { r.cache.dropTenant(tenant) }

// PutErasedTenant puts the tombstone of the tenant's KEK into the cache.
func PutErasedTenant(r *Ring, tenant uuid.UUID) {
	r.cache.put(&entry{ref: ref{tenant: tenant, name: nameTenant}, erased: true})
}

// CachedSecret is the cache's own copy of a secret, and how long it is kept.
func CachedSecret(ctx context.Context, r *Ring, tenant uuid.UUID, name string) ([]byte, time.Time, error) {
	e, err := r.one(ctx, ref{tenant: tenant, name: prefixSecret + name})
	if err != nil {
		return nil, time.Time{}, err
	}
	return e.secret, e.expires, nil
}

// Cached counts what is in the cache.
func Cached(r *Ring) int { return r.cache.size() }

// ParsePassphraseFile reads a passphrase file without opening it, and returns
// what its kdf line asks for.
func ParsePassphraseFile(text []byte) (string, error) {
	f, err := parsePassphraseFile(text)
	if err != nil {
		return "", err
	}
	return f.kdf.String(), nil
}

// ReadCopyLines reads the lines of a copy as if its code were right.
func ReadCopyLines(text []byte) {
	c, _, _, err := newCopyReader(bytes.NewReader(text))
	if err != nil {
		return
	}
	c.authenticate(make([]byte, 32))
	for err == nil {
		_, err = c.next()
	}
}
