package keyring_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// rotated is a keystore in which each key has two versions.
func rotated(t *testing.T) (root keyring.Wrapper, store keyring.Store, all *sealed) {
	t.Helper()
	root, store = newRoot(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	r := newRing(t, root, store, quick)
	all = seal(t, r, acme, 3)
	seal(t, r, bolt, 1)
	for _, kind := range []keyring.Kind{keyring.SubjectKeys, keyring.IndexKeys, keyring.DataKey, keyring.KEK} {
		value(r.Rotate(t.Context(), acme, kind, time.Now(), nil))(t)
	}
	return root, store, all
}

// TestDamageOfVersions exchanges what an attacker who may write the keystore can
// exchange once keys have versions.
func TestDamageOfVersions(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx := t.Context()
	root, inner, all := rotated(t)
	foreign := value(inner.Get(ctx, bolt, []string{"tenant"}))(t)[0].Wrapped
	exchange := func(name string) func([]keyring.Record) {
		return func(records []keyring.Record) {
			var two []*keyring.Record
			for i := range records {
				if strings.HasPrefix(records[i].Name, name) {
					two = append(two, &records[i])
				}
			}
			if len(two) >= 2 {
				two[0].Wrapped, two[1].Wrapped = two[1].Wrapped, two[0].Wrapped
			}
		}
	}
	of := func(name string, version uint32, change func(*keyring.Record)) func([]keyring.Record) {
		return func(records []keyring.Record) {
			for i := range records {
				if strings.HasPrefix(records[i].Name, name) && (version == 0 || records[i].Version == version) {
					change(&records[i])
				}
			}
		}
	}
	for what, change := range map[string]func([]keyring.Record){
		"versions exchanged":           exchange("subject/"),
		"versions of the KEK":          exchange("tenant"),
		"numbers exchanged":            of("subject/", 0, func(r *keyring.Record) { r.Version = 3 - r.Version }),
		"retired version flipped":      of("subject/", 1, func(r *keyring.Record) { r.Wrapped[30] ^= 1 }),
		"active version flipped":       of("subject/", 2, func(r *keyring.Record) { r.Wrapped[30] ^= 1 }),
		"claims the retired KEK":       of("subject/", 0, func(r *keyring.Record) { r.Wrapped[4] = 1 }),
		"claims a KEK there never was": of("subject/", 0, func(r *keyring.Record) { r.Wrapped[4] = 9 }),
		"retired bytes empty":          of("subject/", 1, func(r *keyring.Record) { r.Wrapped = nil }),
		"retired KEK of another":       of("tenant", 1, func(r *keyring.Record) { r.Wrapped = foreign }),
		"KEK empty":                    of("tenant", 2, func(r *keyring.Record) { r.Wrapped = nil }),
		"no version seals":             of("subject/", 2, func(r *keyring.Record) { r.State = keyring.Retired }),
		"no version of the KEK seals":  of("tenant", 2, func(r *keyring.Record) { r.State = keyring.Retired }),
		"the KEK's version is missing": of("tenant", 2, func(r *keyring.Record) { r.Version = 7 }),
	} {
		cold := newRing(t, root, &tampering{inner, change}, nil)
		if _, err := cold.Cipher(ctx, acme, all.people[0]); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	all.opens(t, newRing(t, root, inner, nil))
}

// TestLackingKEK: a cached KEK that lacks the version under which a key is
// wrapped is read again, once and without an error being kept.
func TestLackingKEK(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, root, inner := t.Context(), newRoot(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	all := seal(t, newRing(t, root, inner, quick), acme, 3)
	store := &counting{Store: inner}
	stale := newRing(t, root, store, &keyring.Options{TTL: time.Hour}) // against the rules
	value(stale.Cipher(ctx, acme, all.people[0]))(t)
	value(newRing(t, root, inner, quick).Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)

	down := errors.New("store is down")
	failing := &failsAt{Store: store, name: "tenant", err: down}
	other := newRing(t, root, failing, &keyring.Options{TTL: time.Hour})
	if _, err := other.Cipher(ctx, acme, all.people[1]); !errors.Is(err, down) {
		t.Errorf("down: %v", err)
	}
	failing.err = nil
	value(other.Cipher(ctx, acme, all.people[1]))(t)

	before := store.trips.Load()
	value(stale.Cipher(ctx, acme, all.people[1]))(t)
	if n := store.trips.Load() - before; n != 2 {
		t.Errorf("%d round trips for a key under a new KEK", n)
	}
	before = store.trips.Load()
	value(stale.Cipher(ctx, acme, all.people[2]))(t)
	if n := store.trips.Load() - before; n != 1 {
		t.Errorf("%d round trips for the next", n)
	}
	all.opens(t, stale)
}

// failsAt is a keystore that does not hand out records of a name.
type failsAt struct {
	keyring.Store

	name string
	err  error
}

func (f *failsAt) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	for _, n := range names {
		if n == f.name && f.err != nil {
			return nil, f.err
		}
	}
	return f.Store.Get(ctx, tenant, names)
}

// TestRotateDamaged: one damaged key does not keep the others from being wrapped
// anew, and is reported.
func TestRotateDamaged(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, migrate.SQLite)
	r := newRing(t, root, store, quick)
	all := seal(t, r, acme, 6)
	broken := "subject/" + all.people[3].String()
	flipped := value(store.Get(ctx, acme, []string{broken}))(t)[0].Wrapped
	flipped[96] ^= 1
	_, err := db.ExecContext(ctx, `UPDATE art32_keys SET wrapped = $1 WHERE name = $2`, flipped, broken)
	noError(t, err)
	got, err := r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil)
	if !errors.Is(err, keyring.ErrDamaged) || got.Left != 1 || got.Rewrapped != 8 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := r.Destroy(ctx, acme, ripe(t, r, acme)[0]); !errors.Is(err, keyring.ErrInUse) {
		t.Errorf("destroyed under the damaged key: %v", err)
	}
	noError(t, r.Shred(ctx, acme, all.people[3]))
	got = value(r.Rotate(ctx, acme, keyring.KEK, time.Now().Add(-time.Hour), nil))(t)
	if got != (keyring.Rotation{}) {
		t.Errorf("%+v", got)
	}
	noError(t, r.Destroy(ctx, acme, ripe(t, r, acme)[0]))
}

// TestRootOfAnotherLength: a service may wrap to any length, in a SQLite keystore
// not to another one than before.
func TestRootOfAnotherLength(t *testing.T) {
	t.Parallel()
	ctx, old, store := t.Context(), newRoot(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	all := seal(t, newRing(t, old, store, nil), acme, 2)
	root := value(keyring.Roots(long{newRoot(t)}, old))(t)
	r := newRing(t, root, store, quick)
	if got, err := r.RotateRoot(ctx, nil); !errors.Is(err, keyring.ErrSize) || got.Rewrapped != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	all.opens(t, newRing(t, old, store, nil))
	value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t) // a new row may be longer
	all.opens(t, newRing(t, root, store, nil))
}

// long is a root whose service adds something of its own.
type long struct{ keyring.Wrapper }

func (l long) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	wrapped, err := l.Wrapper.Wrap(ctx, key, aad)
	return append(wrapped, "of the service"...), err
}

func (l long) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return l.Wrapper.Unwrap(ctx, []byte(strings.TrimSuffix(string(wrapped), "of the service")), aad)
}
