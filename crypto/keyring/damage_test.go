package keyring_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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

// tampering changes what the keystore returns.
type tampering struct {
	keyring.Store
	change func([]keyring.Record)
}

func (s *tampering) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	records, err := s.Store.Get(ctx, tenant, names)
	s.change(records)
	return records, err
}

func TestDamage(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	db := openSQLite(t)
	ctx, root := t.Context(), newRoot(t)
	inner := keyring.SQLStore(db, migrate.SQLite)
	r := newRing(t, root, inner, nil)
	people := subjects(2)
	foreign := uuid.New()
	for tenant, list := range map[uuid.UUID][]uuid.UUID{acme: people, bolt: {foreign}} {
		noError(t, r.CreateTenant(ctx, tenant))
		value(r.CreateCiphers(ctx, tenant, list))(t)
	}
	name := func(id uuid.UUID) string { return "subject/" + id.String() }
	stolen := value(inner.Get(ctx, bolt, []string{name(foreign), "tenant"}))(t)
	each := func(part string, change func(*keyring.Record)) func([]keyring.Record) {
		return func(records []keyring.Record) {
			for i := range records {
				if strings.HasPrefix(records[i].Name, part) {
					change(&records[i])
				}
			}
		}
	}
	steal := func(name string) func(*keyring.Record) {
		return func(r *keyring.Record) {
			for _, s := range stolen {
				if s.Name == name {
					r.Wrapped = s.Wrapped
				}
			}
		}
	}
	for what, change := range map[string]func([]keyring.Record){
		"exchanged between data subjects": func(records []keyring.Record) {
			var two []*keyring.Record
			each("subject/", func(r *keyring.Record) { two = append(two, r) })(records)
			two[0].Wrapped, two[1].Wrapped = two[1].Wrapped, two[0].Wrapped
		},
		"flipped":               each("subject/", func(r *keyring.Record) { r.Wrapped[20] ^= 1 }),
		"truncated":             each("subject/", func(r *keyring.Record) { r.Wrapped = r.Wrapped[:50] }),
		"empty":                 each("subject/", func(r *keyring.Record) { r.Wrapped = nil }),
		"other version":         each("subject/", func(r *keyring.Record) { r.Version = 2 }),
		"of another tenant":     each("subject/", steal(name(foreign))),
		"KEK flipped":           each("tenant", func(r *keyring.Record) { r.Wrapped[20] ^= 1 }),
		"KEK truncated":         each("tenant", func(r *keyring.Record) { r.Wrapped = r.Wrapped[:10] }),
		"KEK of another tenant": each("tenant", steal("tenant")),
	} {
		cold := newRing(t, root, &tampering{inner, change}, nil)
		if _, err := cold.Ciphers(ctx, acme, people); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWrongRoot(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, person := t.Context(), uuid.New()
		right := newRing(t, newRoot(t), keyring.SQLStore(db, d), nil)
		noError(t, right.CreateTenant(ctx, acme))
		value(right.CreateCipher(ctx, acme, person))(t)
		wrong := newRing(t, newRoot(t), keyring.SQLStore(db, d), nil)
		for name, err := range map[string]error{
			"Cipher":       second(wrong.Cipher(ctx, acme, person)),
			"CreateCipher": second(wrong.CreateCipher(ctx, acme, uuid.New())),
			"CreateTenant": wrong.CreateTenant(ctx, bolt),
			"IndexKey":     second(wrong.IndexKey(ctx, acme)),
			"platform":     second(wrong.Secret(ctx, uuid.Nil, "x")),
			"Check":        second(wrong.Check(ctx)),
		} {
			if !errors.Is(err, keyring.ErrRoot) || !strings.Contains(err.Error(), "root key does not open this keystore") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := right.Cipher(ctx, bolt, person); !errors.Is(err, keyring.ErrNoTenant) {
			t.Errorf("the wrong root has left a tenant behind: %v", err)
		}
	})
}

func TestKeystoreMissing(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	for d, db := range map[migrate.Dialect]*sql.DB{
		migrate.SQLite:   open(t, "sqlite", "file:"+t.TempDir()+"/none.db"),
		migrate.Postgres: dropped(t),
	} {
		r := newRing(t, root, keyring.SQLStore(db, d), nil)
		for name, err := range map[string]error{
			"CreateTenant": r.CreateTenant(t.Context(), acme),
			"Cipher":       second(r.Cipher(t.Context(), acme, uuid.New())),
			"Shred":        r.Shred(t.Context(), acme, uuid.New()),
			"Check":        second(r.Check(t.Context())),
		} {
			if !errors.Is(err, keyring.ErrKeystore) || !strings.Contains(err.Error(), "migrations") {
				t.Errorf("%s: %s: %v", d, name, err)
			}
		}
	}
}

func dropped(t *testing.T) *sql.DB {
	t.Helper()
	db := openPostgres(t)
	if _, err := db.ExecContext(t.Context(), `SET ROLE NONE; DROP SCHEMA art32_keys CASCADE`); err != nil {
		t.Fatal(err)
	}
	return db
}

// leaking is a root that shows whether its keys reach an error.
type leaking struct{ keys [][]byte }

func (l *leaking) Wrap(_ context.Context, key, _ []byte) ([]byte, error) {
	l.keys = append(l.keys, bytes.Clone(key))
	return bytes.Clone(key), nil
}

func (l *leaking) Unwrap(_ context.Context, wrapped, _ []byte) ([]byte, error) {
	if len(wrapped) != field.KeySize {
		return nil, keyring.ErrUnwrap
	}
	return bytes.Clone(wrapped), nil
}

func TestNoKeyInErrors(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, root, db := t.Context(), &leaking{}, openSQLite(t)
	store := &tampering{keyring.SQLStore(db, migrate.SQLite), func([]keyring.Record) {}}
	r := newRing(t, root, store, nil)
	noError(t, r.CreateTenant(ctx, acme))
	person := uuid.New()
	value(r.CreateCipher(ctx, acme, person))(t)
	seen := string(value(r.Secret(ctx, acme, "seed"))(t))
	var text strings.Builder
	for _, cut := range []int{0, 1, 31, 32, 50} {
		store.change = func(records []keyring.Record) {
			for i := range records {
				records[i].Wrapped = records[i].Wrapped[:min(cut, len(records[i].Wrapped))]
			}
		}
		cold := newRing(t, root, store, nil)
		for _, err := range []error{second(cold.Cipher(ctx, acme, person)), second(cold.Secret(ctx, acme, "seed")), second(cold.Check(ctx))} {
			if err != nil {
				text.WriteString(err.Error())
			}
		}
	}
	if text.Len() == 0 {
		t.Fatal("no error to look at")
	}
	for _, key := range append(root.keys, []byte(seen)) {
		checkAbsent(t, text.String(), key)
	}
}

// TestDamageIsNobodysAnswer: who waits for the read of a key that turns out damaged
// learns that, and not that there is none; who waits for another key gets it.
func TestDamageIsNobodysAnswer(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	root, sql := newRoot(t), keyring.SQLStore(openSQLite(t), migrate.SQLite)
	setup, people := newRing(t, root, sql, nil), subjects(2)
	noError(t, setup.CreateTenant(t.Context(), acme))
	value(setup.CreateCiphers(t.Context(), acme, people))(t)
	records, bad := memory{}, "subject/"+people[1].String()
	for _, rec := range value(sql.Get(t.Context(), acme, []string{"tenant", "subject/" + people[0].String(), bad}))(t) {
		if rec.Name == bad {
			rec.Wrapped[20] ^= 1
		}
		records[rec.Name] = append(records[rec.Name], rec)
	}
	bubbletest.Run(t, func(t *testing.T) {
		store := &counting{Store: records}
		store.delay.Store(int64(time.Second))
		r := newRing(t, root, store, nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got, err := r.Ciphers(t.Context(), acme, people); !errors.Is(err, keyring.ErrDamaged) {
					t.Errorf("%v, %v", got, err)
				}
			})
			wg.Go(func() {
				if _, err := r.Cipher(t.Context(), acme, people[0]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
