package keyring_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// TestMaxUses counts the round trips of keys that are handed out three times.
func TestMaxUses(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, store := t.Context(), &counting{Store: keyring.SQLStore(openSQLite(t), migrate.SQLite)}
	r := newRing(t, newRoot(t), store, &keyring.Options{MaxUses: 3})
	noError(t, r.CreateTenant(ctx, acme))
	gone, person := uuid.New(), uuid.New()
	noError(t, r.Shred(ctx, acme, gone))
	value(r.CreateCipher(ctx, acme, person))(t)
	before := store.trips.Load()
	for range 8 { // two of the three that creating gave, then three and three
		value(r.Cipher(ctx, acme, person))(t)
	}
	if n := store.trips.Load() - before; n != 2 {
		t.Errorf("%d round trips for 8 uses", n)
	}
	before = store.trips.Load()
	for range 8 {
		if _, err := r.Cipher(ctx, acme, gone); !errors.Is(err, keyring.ErrErased) {
			t.Fatal(err)
		}
	}
	if n := store.trips.Load() - before; n != 0 {
		t.Errorf("%d round trips for a tombstone", n)
	}
	if _, err := keyring.New(newRoot(t), store, &keyring.Options{MaxUses: -1}); err == nil {
		t.Error("negative number of uses accepted")
	}
}

// TestOneUse has each key read each time, from root to secret.
func TestOneUse(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), &counting{Store: keyring.SQLStore(openSQLite(t), migrate.SQLite)}
	r := newRing(t, newRoot(t), store, &keyring.Options{MaxUses: 1, MaxKeys: 1})
	noError(t, r.CreateTenant(ctx, acme))
	person := uuid.New()
	sealed := value(value(r.CreateCipher(ctx, acme, person))(t).Seal(nil, []byte("plain"), place))(t)
	seed := value(r.Secret(ctx, acme, "seed"))(t)
	before := store.trips.Load()
	for range 3 {
		value(value(r.Cipher(ctx, acme, person))(t).Open(nil, sealed, place))(t)
		if !bytes.Equal(seed, value(r.Secret(ctx, acme, "seed"))(t)) {
			t.Error("another secret")
		}
	}
	if n := store.trips.Load() - before; n < 6 {
		t.Errorf("%d round trips for 6 reads", n)
	}
}

// TestSecretsAreWiped looks at the cache's own bytes after they have left it,
// in each way there is.
func TestSecretsAreWiped(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	for name, c := range map[string]struct {
		options keyring.Options
		leave   func(t *testing.T, r *keyring.Ring)
	}{
		"pushed out": {keyring.Options{MaxKeys: 4}, func(t *testing.T, r *keyring.Ring) {
			t.Helper()
			value(r.CreateCiphers(t.Context(), acme, subjects(4)))(t)
		}},
		"used up": {keyring.Options{MaxUses: 2}, func(t *testing.T, r *keyring.Ring) {
			t.Helper()
			for range 2 {
				value(r.Secret(t.Context(), acme, "seed"))(t)
			}
		}},
		"too old": {keyring.Options{TTL: time.Minute}, func(t *testing.T, r *keyring.Ring) {
			t.Helper()
			time.Sleep(time.Minute)
			value(r.Secret(t.Context(), acme, "seed"))(t)
		}},
		"too old, others used": {keyring.Options{TTL: time.Minute}, func(t *testing.T, r *keyring.Ring) {
			t.Helper()
			time.Sleep(time.Minute)
			value(r.CreateCipher(t.Context(), acme, uuid.New()))(t)
		}},
		"tenant dropped": {keyring.Options{}, func(_ *testing.T, r *keyring.Ring) { keyring.DropTenant(r, acme) }},
		"tenant erased":  {keyring.Options{}, func(_ *testing.T, r *keyring.Ring) { keyring.PutErasedTenant(r, acme) }},
	} {
		t.Run(name, func(t *testing.T) {
			bubbletest.Run(t, func(t *testing.T) {
				db := openSQLite(t)
				defer db.Close()
				r := newRing(t, newRoot(t), keyring.SQLStore(db, migrate.SQLite), &c.options)
				noError(t, r.CreateTenant(t.Context(), acme))
				kept, _, err := keyring.CachedSecret(t.Context(), r, acme, "seed")
				noError(t, err)
				if bytes.Equal(kept, make([]byte, field.KeySize)) {
					t.Fatal("nothing to wipe")
				}
				c.leave(t, r)
				if !bytes.Equal(kept, make([]byte, field.KeySize)) {
					t.Error("the secret is still in memory")
				}
			})
		})
	}
}

// TestReadersWhileWiping copies secrets that leave the cache all the time.
func TestReadersWhileWiping(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	r := newRing(t, newRoot(t), store, &keyring.Options{MaxKeys: 2, MaxUses: 3})
	noError(t, r.CreateTenant(ctx, acme))
	want := make([][]byte, 4)
	for i := range want {
		want[i] = value(r.Secret(ctx, acme, strconv.Itoa(i)))(t)
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 50 {
				if got, err := r.Secret(ctx, acme, strconv.Itoa(i%4)); err != nil || !bytes.Equal(got, want[i%4]) {
					t.Errorf("secret %d: %d bytes, %v", i%4, len(got), err)
				}
				if i == 0 {
					keyring.DropTenant(r, acme)
				}
			}
		})
	}
	wg.Wait()
}

// TestTenantLeavesTogether drops one tenant of two, and lets no key of an
// erased one back in.
func TestTenantLeavesTogether(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, store := t.Context(), &counting{Store: keyring.SQLStore(openSQLite(t), migrate.SQLite)}
	r := newRing(t, newRoot(t), store, nil)
	people := subjects(5)
	for _, tenant := range []uuid.UUID{acme, bolt} {
		noError(t, r.CreateTenant(ctx, tenant))
		value(r.CreateCiphers(ctx, tenant, people))(t)
		value(r.IndexKey(ctx, tenant))(t)
	}
	all := keyring.Cached(r)
	keyring.DropTenant(r, acme)
	if n := keyring.Cached(r); n != all/2 {
		t.Errorf("%d of %d keys left", n, all)
	}
	before := store.trips.Load()
	value(r.Ciphers(ctx, bolt, people))(t)
	if store.trips.Load() != before {
		t.Error("the other tenant's keys left too")
	}
	value(r.Ciphers(ctx, acme, people))(t)
	keyring.PutErasedTenant(r, acme)
	if n := keyring.Cached(r); n != all/2+1 {
		t.Errorf("%d of %d keys beside the tombstone", n, all)
	}
	for subject, c := range value(r.Ciphers(ctx, acme, people))(t) {
		if c != nil {
			t.Errorf("a key of the erased tenant is handed out: %s", subject)
		}
	}
	if _, err := r.IndexKey(ctx, acme); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("index key of the erased tenant: %v", err)
	}
	value(r.IndexKey(ctx, bolt))(t)
}

// TestMonotonic: entries end by a clock that nobody sets.
func TestMonotonic(t *testing.T) {
	t.Parallel()
	r := newRing(t, newRoot(t), keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
	noError(t, r.CreateTenant(t.Context(), acme))
	_, expires, err := keyring.CachedSecret(t.Context(), r, acme, "seed")
	noError(t, err)
	if !strings.Contains(expires.String(), " m=") {
		t.Errorf("%s has no monotonic reading", expires)
	}
}
