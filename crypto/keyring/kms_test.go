package keyring_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// TestKMS has a ring live with a service that is as services are.
func TestKMS(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, kms, store := t.Context(), keyringtest.NewKMS(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	r := newRing(t, kms.Root(), store, nil)
	noError(t, r.CreateTenant(ctx, acme))
	person := uuid.New()
	sealed := value(value(r.CreateCipher(ctx, acme, person))(t).Seal(nil, []byte("plain"), place))(t)
	cold := newRing(t, kms.Root(), store, nil)

	kms.Fail(-1, http.StatusServiceUnavailable)
	if _, err := cold.Cipher(ctx, acme, person); err == nil || errors.Is(err, keyring.ErrRoot) || errors.Is(err, keyring.ErrDamaged) {
		t.Errorf("down: %v", err)
	}
	if err := cold.CreateTenant(ctx, bolt); err == nil || errors.Is(err, keyring.ErrRoot) {
		t.Errorf("down: create: %v", err)
	}
	kms.Fail(-1, http.StatusForbidden)
	if _, err := cold.Cipher(ctx, acme, person); err == nil || errors.Is(err, keyring.ErrRoot) || errors.Is(err, keyring.ErrDamaged) {
		t.Errorf("no longer its user: %v", err)
	}
	kms.Fail(0, 0)
	kms.Delay(time.Hour)
	limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := cold.Cipher(limited, acme, person); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hangs: %v", err)
	}
	kms.Delay(0)

	kms.Fail(2, http.StatusTooManyRequests)
	value(value(cold.Cipher(ctx, acme, person))(t).Open(nil, sealed, place))(t) // no failure was kept
	before := kms.Requests()
	value(cold.CreateCiphers(ctx, acme, subjects(100)))(t)
	if kms.Requests() != before {
		t.Errorf("%d requests for a tenant whose key is warm", kms.Requests()-before)
	}

	noError(t, kms.Rotate())
	value(value(newRing(t, kms.Root(), store, nil).Cipher(ctx, acme, person))(t).Open(nil, sealed, place))(t)
	kms.Destroy()
	if _, err := newRing(t, kms.Root(), store, nil).Cipher(ctx, acme, person); !errors.Is(err, keyring.ErrRoot) {
		t.Errorf("the service has lost its key: %v", err)
	}
}

// lies are what a service may return instead of a key.
func lies() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"another key": func(key []byte) []byte { key[0] ^= 1; return key },
		"zeroes":      func(key []byte) []byte { return make([]byte, len(key)) },
		"nothing":     func([]byte) []byte { return nil },
		"half":        func(key []byte) []byte { return key[:16] },
		"garbage":     func([]byte) []byte { return []byte("upstream connect error") },
		"twice":       func(key []byte) []byte { return append(key, key...) },
	}
}

// TestLyingKMS: nothing is ever sealed with a key that the service made up, and
// nothing is stored that it would not give back.
func TestLyingKMS(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, lie := range lies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, kms, store := t.Context(), keyringtest.NewKMS(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
			noError(t, newRing(t, kms.Root(), store, nil).CreateTenant(ctx, acme))
			kms.Lie(lie)
			r := newRing(t, kms.Root(), store, nil)
			for verb, err := range map[string]error{
				"CreateCipher": second(r.CreateCipher(ctx, acme, uuid.New())),
				"TenantCipher": second(r.TenantCipher(ctx, acme)),
				"IndexKey":     second(r.IndexKey(ctx, acme)),
				"Check":        second(r.Check(ctx)),
				"CreateTenant": r.CreateTenant(ctx, bolt),
			} {
				if err == nil {
					t.Errorf("%s goes on with what the service made up", verb)
				}
			}
			kms.Lie(nil)
			if n := keyring.Cached(r); n != 0 {
				t.Errorf("%d keys were kept", n)
			}
			value(r.CreateCipher(ctx, acme, uuid.New()))(t)
			noError(t, r.CreateTenant(ctx, bolt))
			value(newRing(t, kms.Root(), store, nil).Check(ctx))(t)
		})
	}
}

// TestMixedUpKMS has the service return one tenant's key for another's.
func TestMixedUpKMS(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, kms, store := t.Context(), keyringtest.NewKMS(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	setup := newRing(t, kms.Root(), store, nil)
	noError(t, setup.CreateTenant(ctx, acme))
	noError(t, setup.CreateTenant(ctx, bolt))
	var first []byte
	kms.Lie(func(key []byte) []byte {
		if first == nil {
			first = append(first, key...)
		}
		return append([]byte(nil), first...)
	})
	r := newRing(t, kms.Root(), store, nil)
	value(r.IndexKey(ctx, acme))(t) // the first one, which is right
	if _, err := r.CreateCipher(ctx, bolt, uuid.New()); err == nil {
		t.Error("a key of one tenant serves another")
	}
}

// TestStoredCheck changes what stands behind the bytes of the service.
func TestStoredCheck(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, kms, inner := t.Context(), keyringtest.NewKMS(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	noError(t, newRing(t, kms.Root(), inner, nil).CreateTenant(ctx, acme))
	for i := 1; i <= 17; i++ {
		store := &tampering{inner, func(records []keyring.Record) {
			for _, rec := range records {
				if rec.Name == "tenant" {
					rec.Wrapped[len(rec.Wrapped)-i] ^= 1
				}
			}
		}}
		if _, err := newRing(t, kms.Root(), store, nil).IndexKey(ctx, acme); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("byte %d from the end: %v", i, err)
		}
	}
}

// TestServiceCheck computes what docs/formats/wrapped-key.md says stands behind
// the bytes of a service.
func TestServiceCheck(t *testing.T) {
	t.Parallel()
	ctx, root, store := t.Context(), &leaking{}, keyring.SQLStore(openSQLite(t), migrate.SQLite)
	noError(t, newRing(t, root, store, nil).CreateTenant(ctx, acme))
	rec := value(store.Get(ctx, acme, []string{"tenant"}))(t)[0]
	key, check := rec.Wrapped[:32], rec.Wrapped[32:] // this root wraps nothing
	mac := hmac.New(sha256.New, value(hkdf.Expand(sha256.New, key, "art32/root-check/v1", 32))(t))
	for _, part := range []string{acme.String(), "tenant", "1"} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	if !bytes.Equal(check, mac.Sum(nil)[:16]) {
		t.Errorf("%x, want %x", check, mac.Sum(nil)[:16])
	}
}
