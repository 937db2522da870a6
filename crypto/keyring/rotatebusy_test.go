package keyring_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// shelf holds what all instances have sealed, as the rows of a database would.
type shelf struct {
	mu      sync.Mutex
	people  []uuid.UUID
	rows    map[uuid.UUID][][]byte
	indexes [][]byte
}

func (s *shelf) someone() uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.people[rand.IntN(len(s.people))]
}

func (s *shelf) put(p uuid.UUID, ciphertext, index []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[p] == nil {
		s.people = append(s.people, p)
	}
	s.rows[p] = append(s.rows[p], ciphertext)
	s.indexes = append(s.indexes, index)
}

// some returns rows of p, the newest among them, and values of indexes.
func (s *shelf) some(p uuid.UUID) (rows, indexes [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.rows[p]
	rows = [][]byte{list[len(list)-1], list[rand.IntN(len(list))]}
	return rows, [][]byte{s.indexes[len(s.indexes)-1], s.indexes[rand.IntN(len(s.indexes))]}
}

// work seals and opens, the row being read before the key, as a repository does.
func (s *shelf) work(ctx context.Context, r *keyring.Ring) error {
	p := s.someone()
	if rand.IntN(4) == 0 {
		p = uuid.New()
	} else if err := s.read(ctx, r, p); err != nil {
		return err
	}
	seals, err := r.TenantCipher(ctx, acme)
	if p != uuid.Nil {
		seals, err = r.CreateCipher(ctx, acme, p)
	}
	if err != nil {
		return err
	}
	keys, err := r.IndexKeys(ctx, acme)
	if err != nil {
		return err
	}
	ciphertext, err := seals.Seal(nil, []byte("x"), place)
	if err == nil {
		s.put(p, ciphertext, keys[0].Key)
	}
	return err
}

func (s *shelf) read(ctx context.Context, r *keyring.Ring, p uuid.UUID) error {
	rows, indexes := s.some(p)
	all := &sealed{tenant: acme}
	c, err := all.cipher(ctx, r, p)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if _, err := c.Open(nil, row, place); err != nil {
			return err
		}
	}
	keys, err := r.IndexKeys(ctx, acme)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, k := range keys {
		there[string(k.Key)] = true
	}
	for _, x := range indexes {
		if !there[string(x)] {
			return errors.New("a value would not be found")
		}
	}
	return nil
}

// TestNoDowntime has two instances rotate all kinds, and the root, over and
// over, while others seal and open: not one of them may see an error.
func TestNoDowntime(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		const rounds = 2
		options := &keyring.Options{TTL: 100 * time.Millisecond, Grace: 2 * time.Second}
		old, next := newRoot(t), newRoot(t)
		roots := [2]keyring.Wrapper{value(keyring.Roots(old, next))(t), value(keyring.Roots(next, old))(t)}
		instance := func(n int) *keyring.Ring { return newRing(t, roots[n%2], keyring.SQLStore(db, d), options) }
		first := instance(0)
		noError(t, first.CreateTenant(t.Context(), acme))
		rows := &shelf{rows: make(map[uuid.UUID][][]byte)}
		rows.put(uuid.Nil, value(value(first.TenantCipher(t.Context(), acme))(t).Seal(nil, nil, place))(t), value(first.IndexKey(t.Context(), acme))(t))

		var over atomic.Bool
		var workers, rotators sync.WaitGroup
		var done atomic.Int64
		for n := range 3 {
			r := instance(n)
			workers.Go(func() {
				for !over.Load() {
					if err := rows.work(t.Context(), r); err != nil {
						t.Errorf("instance %d: %v", n, err)
						return
					}
					done.Add(1)
				}
			})
		}
		for n := range 2 {
			r := instance(n)
			rotators.Go(func() {
				for range rounds {
					for _, kind := range kinds {
						if _, err := r.Rotate(t.Context(), acme, kind, time.Now(), nil); err != nil {
							t.Errorf("rotate %s: %v", kind, err)
						}
					}
					if _, err := r.RotateRoot(t.Context(), nil); err != nil {
						t.Errorf("rotate root: %v", err)
					}
				}
			})
		}
		rotators.Wait()
		over.Store(true)
		workers.Wait()
		last := value(instance(0).IndexKeys(t.Context(), acme))(t)
		t.Logf("%d times sealed and opened, %d versions", done.Load(), len(last))
		if len(last) <= rounds || done.Load() == 0 {
			t.Error("nothing happened")
		}
		for p := range rows.rows {
			noError(t, rows.read(t.Context(), instance(0), p))
		}
	})
}

// TestInsertUnderDestroyed: an instance that still holds a KEK which was
// destroyed elsewhere creates keys all the same, under the one that stands, and
// none under that of a tenant that was shredded.
func TestInsertUnderDestroyed(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, d)
		r := newRing(t, root, store, quick)
		noError(t, r.CreateTenant(ctx, acme))
		stale := newRing(t, root, store, &keyring.Options{TTL: time.Hour}) // against the rules
		value(stale.CreateCipher(ctx, acme, uuid.New()))(t)
		value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
		destroyRetired(t, r, acme)
		person := uuid.New()
		c := value(stale.CreateCipher(ctx, acme, person))(t)
		row := value(c.Seal(nil, []byte("x"), place))(t)
		value(value(newRing(t, root, store, nil).Cipher(ctx, acme, person))(t).Open(nil, row, place))(t)
		if got := value(store.Get(ctx, acme, []string{"subject/" + person.String()}))(t); got[0].Wrapped[4] != 2 {
			t.Errorf("wrapped by version %d", got[0].Wrapped[4])
		}
		value(stale.Secret(ctx, acme, "later"))(t)

		noError(t, r.ShredTenant(ctx, acme))
		late := uuid.New()
		if _, err := stale.CreateCipher(ctx, acme, late); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("of a shredded tenant: %v", err)
		}
		if got := value(store.Get(ctx, acme, []string{"subject/" + late.String()}))(t); len(got) != 0 {
			t.Errorf("a key was stored: %v", got)
		}
		never := uuid.New() // shredded before it was created
		noError(t, r.ShredTenant(ctx, never))
		if err := newRing(t, root, store, nil).CreateTenant(ctx, never); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("created after it was shredded: %v", err)
		}
		if got := versions(t, store, never); len(got) != 1 {
			t.Errorf("keys were stored: %v", got)
		}
	})
}

// destroyRetired waits for the grace and destroys all that is retired.
func destroyRetired(tb testing.TB, r *keyring.Ring, tenant uuid.UUID) {
	tb.Helper()
	for v, err := range r.Retired(tb.Context(), tenant) {
		noError(tb, err)
		for err = keyring.ErrTooEarly; errors.Is(err, keyring.ErrTooEarly); {
			err = r.Destroy(tb.Context(), tenant, v)
		}
		noError(tb, err)
	}
}

// TestDestroyWhileInserting: a KEK is never destroyed under a key, whoever
// inserts at that moment.
func TestDestroyWhileInserting(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, d)
		for range 5 {
			tenant := uuid.New()
			r := newRing(t, root, store, quick)
			noError(t, r.CreateTenant(ctx, tenant))
			var stale []*keyring.Ring
			for range 3 {
				other := newRing(t, root, store, &keyring.Options{TTL: time.Hour})
				value(other.CreateCipher(ctx, tenant, uuid.New()))(t)
				stale = append(stale, other)
			}
			before := time.Now()
			for gone := false; !gone; {
				value(r.Rotate(ctx, tenant, keyring.KEK, before, nil))(t)
				var wg sync.WaitGroup
				for _, other := range stale {
					wg.Go(func() {
						if _, err := other.CreateCiphers(ctx, tenant, subjects(3)); err != nil {
							t.Error(err)
						}
					})
				}
				err := r.Destroy(ctx, tenant, keyring.Version{Kind: keyring.KEK, Version: 1})
				wg.Wait()
				if gone = err == nil; !gone && !errors.Is(err, keyring.ErrInUse) && !errors.Is(err, keyring.ErrTooEarly) {
					t.Fatal(err)
				}
			}
			for name, records := range versions(t, store, tenant) {
				if name != "tenant" && records[0].Wrapped[4] != 2 {
					t.Fatalf("%s is wrapped by a version that is destroyed", name)
				}
			}
		}
	})
}

// TestShredWhileRotating: no version of an erased data subject's key has bytes,
// though successors were introduced meanwhile.
func TestShredWhileRotating(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, store := t.Context(), keyring.SQLStore(db, d)
		r := newRing(t, newRoot(t), store, quick)
		noError(t, r.CreateTenant(ctx, acme))
		people := subjects(60)
		value(r.CreateCiphers(ctx, acme, people))(t)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 4 {
					value(r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(t)
				}
			})
		}
		for _, p := range people {
			noError(t, r.Shred(ctx, acme, p))
		}
		wg.Wait()
		for name, records := range versions(t, store, acme) {
			for _, rec := range records {
				if name != "tenant" && name != "index" && name != "data" && (rec.State != keyring.Erased || rec.Wrapped != nil) {
					t.Errorf("%s: version %d is %s", name, rec.Version, rec.State)
				}
			}
		}
	})
}
