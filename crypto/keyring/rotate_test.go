package keyring_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// quick are options under which a rotation waits for moments.
var quick = &keyring.Options{TTL: 20 * time.Millisecond, Grace: 20 * time.Millisecond}

var kinds = []keyring.Kind{keyring.KEK, keyring.IndexKeys, keyring.DataKey, keyring.SubjectKeys}

// sealed is what was sealed of a tenant and must open as long as it is not
// destroyed.
type sealed struct {
	tenant  uuid.UUID
	people  []uuid.UUID
	fields  map[uuid.UUID][][]byte // of the zero subject: under the tenant's data key
	indexes map[string]bool        // keys under which values were computed
	secret  []byte
}

// seal creates the tenant with some people and seals for each of them.
func seal(tb testing.TB, r *keyring.Ring, tenant uuid.UUID, people int) *sealed {
	tb.Helper()
	noError(tb, r.CreateTenant(tb.Context(), tenant))
	s := &sealed{tenant: tenant, people: subjects(people), fields: make(map[uuid.UUID][][]byte), indexes: make(map[string]bool)}
	value(r.CreateCiphers(tb.Context(), tenant, s.people))(tb)
	s.secret = value(r.Secret(tb.Context(), tenant, "seed"))(tb)
	s.more(tb, r)
	return s
}

// more seals with whatever the ring seals now.
func (s *sealed) more(tb testing.TB, r *keyring.Ring) {
	tb.Helper()
	ctx := tb.Context()
	for _, p := range append([]uuid.UUID{uuid.Nil}, s.people...) {
		c := value(s.cipher(ctx, r, p))(tb)
		s.fields[p] = append(s.fields[p], value(c.Seal(nil, []byte(p.String()), place))(tb))
	}
	s.indexes[string(value(r.IndexKey(ctx, s.tenant))(tb))] = true
}

func (s *sealed) cipher(ctx context.Context, r *keyring.Ring, person uuid.UUID) (*field.Cipher, error) {
	if person == uuid.Nil {
		return r.TenantCipher(ctx, s.tenant)
	}
	return r.Cipher(ctx, s.tenant, person)
}

// opens fails unless r opens all of it.
func (s *sealed) opens(tb testing.TB, r *keyring.Ring) {
	tb.Helper()
	noError(tb, s.try(tb.Context(), r))
}

func (s *sealed) try(ctx context.Context, r *keyring.Ring) error {
	for p, list := range s.fields {
		c, err := s.cipher(ctx, r, p)
		if err != nil {
			return err
		}
		for _, ciphertext := range list {
			plain, err := c.Open(nil, ciphertext, place)
			if err != nil || string(plain) != p.String() {
				version, _ := field.KeyVersion(ciphertext)
				return fmt.Errorf("sealed with version %d, cipher of version %d: %w", version, c.Version(), err)
			}
		}
	}
	keys, err := r.IndexKeys(ctx, s.tenant)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, k := range keys {
		there[string(k.Key)] = true
	}
	for k := range s.indexes {
		if !there[k] {
			return errors.New("an index key is gone")
		}
	}
	secret, err := r.Secret(ctx, s.tenant, "seed")
	if err == nil && !bytes.Equal(secret, s.secret) {
		err = errors.New("another secret")
	}
	return err
}

// versions are the states of all versions of the tenant's keys.
func versions(tb testing.TB, store keyring.Store, tenant uuid.UUID) map[string][]keyring.Record {
	tb.Helper()
	out := make(map[string][]keyring.Record)
	for after := ""; ; {
		records, next, err := store.(keyring.Rotator).Page(tb.Context(), tenant, "", after, 100)
		noError(tb, err)
		for _, r := range records {
			out[r.Name] = append(out[r.Name], r)
		}
		if after = next; next == "" {
			return out
		}
	}
}

func states(records []keyring.Record) (out string) {
	for _, r := range records {
		out += fmt.Sprintf("%d %s ", r.Version, r.State)
	}
	return out
}

// TestRotate gives each kind a successor, twice, and opens all that was sealed
// before and between.
func TestRotate(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, d)
		r := newRing(t, root, store, quick)
		all := seal(t, r, acme, 5)
		other := seal(t, r, bolt, 2)
		const keys = 5
		want := map[keyring.Kind]keyring.Rotation{
			keyring.KEK:         {Introduced: 1, Retired: 1, Rewrapped: keys + 3}, // index, data, secret
			keyring.IndexKeys:   {Introduced: 1, Retired: 1},
			keyring.DataKey:     {Introduced: 1, Retired: 1},
			keyring.SubjectKeys: {Introduced: keys, Retired: keys},
		}
		for round := range 2 {
			for _, kind := range kinds {
				before := time.Now()
				got := value(r.Rotate(ctx, acme, kind, before, nil))(t)
				w := want[kind]
				if kind == keyring.KEK && round == 1 {
					w.Rewrapped += keys + 2 // the retired versions too, but there is one secret
				}
				if got != w {
					t.Errorf("%s, round %d: %+v, want %+v", kind, round, got, w)
				}
				if again := value(r.Rotate(ctx, acme, kind, before, nil))(t); again != (keyring.Rotation{}) {
					t.Errorf("%s: called again: %+v", kind, again)
				}
				cold := newRing(t, root, store, quick)
				all.opens(t, cold)
				all.more(t, cold)
				all.opens(t, r)
			}
		}
		for name, records := range versions(t, store, acme) {
			want := "1 retired 2 retired 3 active "
			if name == "secret/seed" {
				want = "1 active "
			}
			if got := states(records); got != want {
				t.Errorf("%s: %s", name, got)
			}
		}
		if v := value(r.TenantCipher(ctx, acme))(t).Version(); v != 3 {
			t.Errorf("seals with version %d", v)
		}
		for name, records := range versions(t, store, bolt) {
			if len(records) != 1 {
				t.Errorf("the other tenant's %s: %s", name, states(records))
			}
		}
		other.opens(t, r)
	})
}
