package keyring_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

func TestMigrations(t *testing.T) {
	t.Parallel()
	noError(t, keyring.Migrations().Check())
}

func TestNewRefusesNil(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	store := keyring.SQLStore(openSQLite(t), migrate.SQLite)
	for name, err := range map[string]error{
		"root":    second(keyring.New(nil, store, nil)),
		"store":   second(keyring.New(root, nil, nil)),
		"options": second(keyring.New(root, store, &keyring.Options{TTL: -1})),
	} {
		if err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestKeysComeBack(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root := t.Context(), newRoot(t)
		one := newRing(t, root, keyring.SQLStore(db, d), nil)
		noError(t, one.CreateTenant(ctx, acme))
		noError(t, one.CreateTenant(ctx, acme))
		person := uuid.New()
		sealed := value(value(one.CreateCipher(ctx, acme, person))(t).Seal(nil, []byte("a@b"), place))(t)
		shared := value(value(one.TenantCipher(ctx, acme))(t).Seal(nil, []byte("c"), place))(t)
		index := value(one.IndexKey(ctx, acme))(t)
		secret := value(one.Secret(ctx, acme, "audit/seed"))(t)
		platform := value(one.Secret(ctx, uuid.Nil, "audit/seed"))(t)

		other := newRing(t, root, keyring.SQLStore(db, d), nil) // another instance
		if got, err := value(other.Cipher(ctx, acme, person))(t).Open(nil, sealed, place); err != nil || string(got) != "a@b" {
			t.Errorf("data subject: %q, %v", got, err)
		}
		if got, err := value(other.TenantCipher(ctx, acme))(t).Open(nil, shared, place); err != nil || string(got) != "c" {
			t.Errorf("tenant: %q, %v", got, err)
		}
		for name, pair := range map[string][2][]byte{
			"index":    {index, value(other.IndexKey(ctx, acme))(t)},
			"secret":   {secret, value(other.Secret(ctx, acme, "audit/seed"))(t)},
			"platform": {platform, value(other.Secret(ctx, uuid.Nil, "audit/seed"))(t)},
		} {
			if string(pair[0]) != string(pair[1]) || len(pair[0]) != field.KeySize {
				t.Errorf("%s differs", name)
			}
		}
		if string(secret) == string(platform) || string(secret) == string(index) {
			t.Error("two keys are the same")
		}
		clear(secret)
		if string(value(one.Secret(ctx, acme, "audit/seed"))(t)) != string(value(other.Secret(ctx, acme, "audit/seed"))(t)) {
			t.Error("the caller's copy is the ring's own")
		}
	})
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx := t.Context()
		r := newRing(t, newRoot(t), keyring.SQLStore(db, d), nil)
		noError(t, r.CreateTenant(ctx, acme))
		if _, err := r.Cipher(ctx, acme, uuid.New()); !errors.Is(err, keyring.ErrNoKey) {
			t.Errorf("data subject: %v", err)
		}
		for name, err := range map[string]error{
			"Cipher":       second(r.Cipher(ctx, bolt, uuid.New())),
			"CreateCipher": second(r.CreateCipher(ctx, bolt, uuid.New())),
			"Ciphers":      second(r.Ciphers(ctx, bolt, subjects(2))),
			"TenantCipher": second(r.TenantCipher(ctx, bolt)),
			"IndexKey":     second(r.IndexKey(ctx, bolt)),
			"Secret":       second(r.Secret(ctx, bolt, "x")),
		} {
			if !errors.Is(err, keyring.ErrNoTenant) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"", "Seed", "a b", "../x", strings.Repeat("x", 101), "x\x00"} {
			if _, err := r.Secret(ctx, acme, name); err == nil {
				t.Errorf("secret %q accepted", name)
			}
		}
		if got, err := r.Ciphers(ctx, acme, nil); len(got) != 0 || err != nil {
			t.Errorf("no data subjects: %v, %v", got, err)
		}
	})
}

func TestBulk(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root := t.Context(), newRoot(t)
		r := newRing(t, root, keyring.SQLStore(db, d), nil)
		noError(t, r.CreateTenant(ctx, acme))
		people := subjects(2300) // more than one batch
		twice := append(append([]uuid.UUID{}, people...), people[:10]...)
		made := value(r.CreateCiphers(ctx, acme, twice))(t)
		if len(made) != len(people) {
			t.Fatalf("%d ciphers", len(made))
		}
		noError(t, r.Shred(ctx, acme, people[0]))
		store := &counting{Store: keyring.SQLStore(db, d)}
		cold := newRing(t, root, store, nil)
		ask := append(subjects(1), people[:500]...)
		got := value(cold.Ciphers(ctx, acme, ask))(t)
		if trips := store.trips.Load(); trips != 1 {
			t.Errorf("%d round trips for 500 cold keys and the KEK", trips)
		}
		if c, there := got[people[0]]; c != nil || !there {
			t.Error("the erased one is not present as nil")
		}
		if _, there := got[ask[0]]; there || len(got) != 500 {
			t.Errorf("%d ciphers, unknown there %t", len(got), there)
		}
		for _, p := range people[1:500] {
			sealed := value(made[p].Seal(nil, []byte("x"), place))(t)
			if _, err := got[p].Open(nil, sealed, place); err != nil {
				t.Fatalf("keys are mixed up: %v", err)
			}
		}
		value(cold.Ciphers(ctx, acme, people[:500]))(t)
		if trips := store.trips.Load(); trips != 1 {
			t.Errorf("%d round trips after warm keys", trips)
		}
		value(cold.CreateCipher(ctx, acme, uuid.New()))(t)
		if trips := store.trips.Load(); trips != 2 {
			t.Errorf("%d round trips for a new key with a warm KEK", trips-1)
		}
	})
}

// TestOneKey lets several instances create the same keys at once.
func TestOneKey(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root := t.Context(), newRoot(t)
		people := subjects(5)
		var mu sync.Mutex
		sealed, secrets := make(map[uuid.UUID][][]byte), make(map[string]bool)
		var wg sync.WaitGroup
		for range 8 {
			r := newRing(t, root, keyring.SQLStore(db, d), nil)
			wg.Go(func() {
				if err := r.CreateTenant(ctx, acme); err != nil {
					t.Error(err)
					return
				}
				secret, err := r.Secret(ctx, acme, "seed")
				got, err2 := r.CreateCiphers(ctx, acme, people)
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				secrets[string(secret)] = true
				for p, c := range got {
					s, err := c.Seal(nil, nil, place)
					if err != nil {
						t.Error(err)
					}
					sealed[p] = append(sealed[p], s)
				}
			})
		}
		wg.Wait()
		final := newRing(t, root, keyring.SQLStore(db, d), nil)
		if len(secrets) != 1 {
			t.Errorf("%d secrets of one name", len(secrets))
		}
		for p, list := range sealed {
			c := value(final.Cipher(ctx, acme, p))(t)
			for i, s := range list {
				if _, err := c.Open(nil, s, place); err != nil {
					t.Errorf("instance %d has another key", i)
				}
			}
		}
	})
}

func TestCheck(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx := t.Context()
		r := newRing(t, newRoot(t), keyring.SQLStore(db, d), nil)
		value(r.Check(ctx))(t) // empty is no error
		noError(t, r.CreateTenant(ctx, acme))
		noError(t, r.CreateTenant(ctx, bolt))
		people := subjects(3)
		value(r.CreateCiphers(ctx, acme, people))(t)
		noError(t, r.Shred(ctx, acme, people[0]))
		noError(t, r.Shred(ctx, acme, uuid.New()))
		value(r.Secret(ctx, acme, "seed"))(t)
		got := fmt.Sprint(value(r.Check(ctx))(t))
		if want := "tenants=2 subjects=2 erased=2 secrets=1"; !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
