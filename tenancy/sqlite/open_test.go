package sqlite_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"unique=email_bidx:email"`
	Name   field.Encrypted[string] `db:"name"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
}

var (
	customers = tenancy.MustRepository[customer]("customers")
	email     = tenancy.MustColumn[string](customers, "email")
	schema    = tenancy.Schema{customers}
)

var customerSQL = fstest.MapFS{"0001_customers.sql": {Data: []byte(`
	CREATE TABLE customers (
		id TEXT NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, email BLOB, email_bidx BLOB,
		name BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, UNIQUE (tenant_id, email_bidx)
	); CREATE INDEX customers_city ON customers (city);`)}}

// journal is a log that counts rows in a table of its own.
type journal struct{ fail bool }

func (j journal) Lines() []tenancy.Line {
	text := "CREATE TABLE art32_journal (action TEXT NOT NULL, actor TEXT NOT NULL, object TEXT);"
	return []tenancy.Line{{Name: "journal", FS: fstest.MapFS{"0001_journal.sql": {Data: []byte(text)}}}}
}

func (j journal) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if j.fail {
		return errors.New("journal is full")
	}
	actor, err := tenancy.ActorFrom(ctx)
	if err != nil {
		return err
	}
	tx.Engine(engine.Library).Queue(engine.Stmt{
		SQL: "INSERT INTO art32_journal (action, actor, object) VALUES ($1, $2, $3)", Args: []any{c.Action, actor.String(), c.Object}, Rows: 1,
	})
	return nil
}

type house struct {
	dir  string
	keys *keyring.Ring
	db   *tenancy.DB
}

func newHouse(t testing.TB, log tenancy.ChangeRecorder) house {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.OpenKeystore(t.Context(), filepath.Join(dir, "keys"))
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	rootPath := filepath.Join(dir, "root.key")
	must(t, keyring.CreateKeyFile(rootPath))
	root, err := keyring.KeyFile(rootPath)
	must(t, err)
	keys, err := keyring.New(root, store, nil)
	must(t, err)
	h := house{dir: filepath.Join(dir, "data"), keys: keys}
	h.db, err = sqlite.Open(t.Context(), h.dir, schema, keys, log, &sqlite.Options{Migrations: customerSQL})
	must(t, err)
	t.Cleanup(func() { must(t, h.db.Close()) })
	return h
}

func (h house) tenant(t testing.TB) context.Context {
	t.Helper()
	ctx := tenancy.WithActor(t.Context(), tenancy.MustService("test"))
	tenant, err := h.db.CreateTenant(ctx, tenancy.Tenant{Name: "Müller GmbH"})
	must(t, err)
	return tenancy.WithTenant(ctx, tenant.ID)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("sqlite/verbs", verbs)
	t.Run("sqlite/raw SQL", rawSQL)
	t.Run("sqlite/log fails", logFails)
	t.Run("sqlite/nothing in clear", nothingInClear)
	t.Run("sqlite/refuses", openRefuses)
}

func verbs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journal{})
	a, b := h.tenant(t), h.tenant(t)
	c := customer{Email: field.New("zoe@example.com"), Name: field.New("Zoë"), City: "Köln", Plan: "free"}
	must(t, customers.Insert(a, h.db, &c))
	got, err := customers.Get(a, h.db, c.ID)
	must(t, err)
	if name, err := got.Name.Reveal(); err != nil || name != "Zoë" || got.City != "Köln" {
		t.Fatal(name, got.City, err)
	}
	if _, err := customers.Get(b, h.db, c.ID); !errors.Is(err, tenancy.ErrNotFound) {
		t.Fatal(err)
	}
	must(t, customers.Edit(a, h.db, c.ID, func(c *customer) error { c.Plan = "pro"; return nil }))
	n := 0
	for c, err := range customers.List(a, h.db, email.Eq("zoe@example.com")) {
		must(t, err)
		n++
		if c.Plan != "pro" {
			t.Error(c.Plan)
		}
	}
	if n != 1 {
		t.Fatalf("%d customers", n)
	}
	twin := customer{Email: field.New("zoe@example.com"), Name: field.New("Z"), City: "x", Plan: "x"}
	if err := customers.Insert(a, h.db, &twin); !errors.Is(err, tenancy.ErrExists) {
		t.Fatal(err)
	}
	must(t, customers.Delete(a, h.db, c.ID))
	if _, err := customers.Get(a, h.db, c.ID); !errors.Is(err, tenancy.ErrNotFound) {
		t.Fatal(err)
	}
	stranger := tenancy.WithTenant(a, tenancy.NewID())
	if _, err := customers.Get(stranger, h.db, c.ID); !errors.Is(err, tenancy.ErrUnknownTenant) {
		t.Fatal(err)
	}
}

func rawSQL(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", measure)
	h := newHouse(t, journal{})
	a := h.tenant(t)
	c := customer{Email: field.New("zoe@example.com"), Name: field.New("Zoë"), City: "Köln", Plan: "free"}
	err := h.db.InSQL(a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if err := customers.Insert(ctx, tx, &c); err != nil { // writes the library's journal on the same connection
			return err
		}
		var cities []string
		return tx.SQLX().SelectContext(ctx, &cities, "SELECT city FROM customers WHERE id = $1", c.ID)
	})
	must(t, err)
	err = h.db.InSQL(a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if _, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET plan = 'raw'"); err != nil {
			return err
		}
		_, err := tx.SQLX().ExecContext(ctx, "DELETE FROM art32_journal")
		return err
	})
	if err == nil || kind(err) != engine.Forbidden {
		t.Fatal(err)
	}
	got, err := customers.Get(a, h.db, c.ID)
	if err != nil || got.Plan != "free" {
		t.Fatal(got.Plan, err)
	}
}

func logFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journal{})
	a := h.tenant(t)
	must(t, h.db.Close())
	db, err := sqlite.Open(t.Context(), h.dir, schema, h.keys, failingJournal, &sqlite.Options{Migrations: customerSQL})
	must(t, err)
	defer db.Close()
	c := customer{Email: field.New("zoe@example.com"), Name: field.New("Zoë"), City: "Köln", Plan: "free"}
	if err := customers.Insert(a, db, &c); err == nil {
		t.Fatal("written without its event")
	}
	if n, err := customers.Count(a, db); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

var failingJournal = journal{fail: true}

func nothingInClear(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journal{})
	a := h.tenant(t)
	c := customer{Email: field.New("canary@example.com"), Name: field.New("Canary Person"), City: "Köln", Plan: "free"}
	must(t, customers.Insert(a, h.db, &c))
	for _, plain := range []string{"canary@example.com", "Canary Person"} {
		if holds(t, filepath.Dir(h.dir), plain) {
			t.Errorf("%q lies on the disk", plain)
		}
	}
	if !holds(t, h.dir, "Köln") {
		t.Error("the test proves nothing: no row is on the disk")
	}
}

func openRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journal{})
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	cases := map[string]func(dir string) error{
		"no keys": func(dir string) error {
			_, err := sqlite.Open(t.Context(), dir, schema, nil, journal{}, nil)
			return err
		},
		"no log": func(dir string) error {
			_, err := sqlite.Open(t.Context(), dir, schema, h.keys, nil, nil)
			return err
		},
		"no tables": func(dir string) error {
			_, err := sqlite.Open(t.Context(), dir, nil, h.keys, journal{}, nil)
			return err
		},
		"unknown durability": func(dir string) error {
			_, err := sqlite.Open(t.Context(), dir, schema, h.keys, journal{}, &sqlite.Options{Durability: 7, Logger: quiet})
			return err
		},
		"migration of the library's": func(dir string) error {
			fs := fstest.MapFS{"0001_x.sql": {Data: []byte("DROP TABLE Art32_Journal;")}}
			_, err := sqlite.Open(t.Context(), dir, schema, h.keys, journal{}, &sqlite.Options{Migrations: fs})
			return err
		},
		"a file in its place": func(dir string) error {
			must(t, os.WriteFile(dir, nil, 0o600))
			_, err := sqlite.Open(t.Context(), dir, schema, h.keys, journal{}, nil)
			return err
		},
	}
	for name, fn := range cases {
		if err := fn(filepath.Join(t.TempDir(), "d")); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestKeystore(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o700))
		store, err := sqlite.OpenKeystore(t.Context(), dir)
		must(t, err)
		tenant := uuid.New()
		const wrapped = "canary-wrapped-key"
		_, err = store.Insert(t.Context(), []keyring.Record{{Tenant: tenant, Name: "tenant", Version: 1, State: keyring.Active, Wrapped: []byte(wrapped)}})
		must(t, err)
		must(t, store.Close())
		store, err = sqlite.OpenKeystore(t.Context(), dir)
		must(t, err)
		if !holds(t, dir, wrapped) {
			t.Fatal("the key was not stored")
		}
		st, err := os.Stat(dir + "/keystore.db")
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatal(st.Mode(), err)
		}
		must(t, store.Shred(t.Context(), tenant, "tenant", time.Now()))
		if holds(t, dir, wrapped) {
			t.Error("a destroyed key lies in a file of the keystore")
		}
		for r, err := range store.List(t.Context()) {
			if must(t, err); r.State != keyring.Erased {
				t.Error(r.State)
			}
		}
		must(t, store.Close())
		must(t, store.Close())
		flip(t, dir+"/keystore.db", 3)
		_, err = sqlite.OpenKeystore(t.Context(), dir)
		if err == nil || !strings.Contains(err.Error(), "keystore.db: the file is damaged") {
			t.Fatal(err)
		}
	})
}
