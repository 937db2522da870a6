package keyring_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// TestOneRead lets many goroutines ask for the same cold keys.
func TestOneRead(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ctx, root := t.Context(), newRoot(t)
	setup := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
	noError(t, setup.CreateTenant(ctx, acme))
	people := subjects(20)
	value(setup.CreateCiphers(ctx, acme, people))(t)
	store := &counting{Store: keyring.SQLStore(db, migrate.SQLite)}
	store.delay.Store(int64(50 * time.Millisecond))
	r := newRing(t, root, store, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got, err := r.Ciphers(ctx, acme, people); err != nil || len(got) != len(people) {
				t.Errorf("%d ciphers, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if trips := store.trips.Load(); trips > 2 {
		t.Errorf("%d round trips", trips)
	}
}

// TestErrorsAreNotKept: neither a failing store nor the end of the reader's
// own context is handed on.
func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ctx, root := t.Context(), newRoot(t)
	setup := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
	noError(t, setup.CreateTenant(ctx, acme))
	person := uuid.New()
	value(setup.CreateCipher(ctx, acme, person))(t)
	store := &counting{Store: keyring.SQLStore(db, migrate.SQLite)}
	r := newRing(t, root, store, nil)
	down := errors.New("store is down")
	store.fail.Store(&down)
	if _, err := r.Cipher(ctx, acme, person); !errors.Is(err, down) {
		t.Errorf("down: %v", err)
	}
	store.fail.Store(nil)
	value(r.Cipher(ctx, acme, person))(t)
}

// TestReaderLeaves: one who waits for another's read is served, though the
// other's context ends while the store is at it.
func TestReaderLeaves(t *testing.T) {
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		ctx, root := t.Context(), newRoot(t)
		setup := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
		noError(t, setup.CreateTenant(ctx, acme))
		person := uuid.New()
		value(setup.CreateCipher(ctx, acme, person))(t)
		store := &counting{Store: keyring.SQLStore(db, migrate.SQLite)}
		store.delay.Store(int64(time.Minute))
		r := newRing(t, root, store, nil)
		ending, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = r.Cipher(ending, acme, person) })
		synctest.Wait() // the first is in the store
		wg.Go(func() { value(r.Cipher(ctx, acme, person))(t) })
		synctest.Wait() // the second waits for it
		cancel()
		wg.Wait()
	})
}

func TestCacheBounds(t *testing.T) {
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		ctx, root := t.Context(), newRoot(t)
		store := &counting{Store: keyring.SQLStore(db, migrate.SQLite)}
		r := newRing(t, root, store, &keyring.Options{MaxKeys: 10, TTL: time.Minute})
		noError(t, r.CreateTenant(ctx, acme))
		people := subjects(30)
		for _, p := range people {
			value(r.CreateCipher(ctx, acme, p))(t)
		}
		trips := func(do func()) int64 {
			before := store.trips.Load()
			do()
			return store.trips.Load() - before
		}
		last := people[29]
		value(r.Cipher(ctx, acme, last))(t)
		if n := trips(func() { value(r.Cipher(ctx, acme, last))(t) }); n != 0 {
			t.Errorf("warm key: %d round trips", n)
		}
		if n := trips(func() { value(r.Cipher(ctx, acme, people[0]))(t) }); n != 1 {
			t.Errorf("key that must have left: %d round trips", n)
		}
		time.Sleep(time.Minute - time.Second)
		if n := trips(func() { value(r.Cipher(ctx, acme, people[0]))(t) }); n != 0 {
			t.Errorf("before the TTL: %d round trips", n)
		}
		time.Sleep(time.Second)
		if n := trips(func() { value(r.Cipher(ctx, acme, people[0]))(t) }); n != 1 {
			t.Errorf("after the TTL: %d round trips", n)
		}
		for _, attr := range value(r.Check(ctx))(t) {
			if attr.Key == "cached" && attr.Value.Int64() > 10 {
				t.Errorf("%s keys cached", attr.Value)
			}
		}
	})
}
