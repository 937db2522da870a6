package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

// app is the user's migrations in these tests.
func app() fs.FS {
	return fstest.MapFS{"0001_things.sql": {Data: []byte(`
		CREATE TABLE things (
			id        TEXT NOT NULL PRIMARY KEY,
			tenant_id TEXT NOT NULL,
			n         INTEGER CHECK (n < 1000),
			at        TIMESTAMP,
			data      BLOB,
			UNIQUE (tenant_id, n)
		);
		CREATE TABLE parts (thing TEXT REFERENCES things (id) ON DELETE CASCADE);
		CREATE VIEW view_things AS SELECT id, n FROM things;
		CREATE TRIGGER things_small AFTER INSERT ON things WHEN NEW.n < 0 BEGIN SELECT RAISE(ABORT, 'small'); END;
		CREATE VIRTUAL TABLE notes USING fts5(body);
		CREATE TABLE counted (n INTEGER PRIMARY KEY AUTOINCREMENT);
		INSERT INTO counted DEFAULT VALUES;
		ANALYZE;
	`)}}
}

type world struct {
	dir string
	eng engine.Engine
}

func open(t testing.TB, o *sqlite.Options) world {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "data"), o)
}

func openAt(t testing.TB, dir string, o *sqlite.Options) world {
	t.Helper()
	w, err := tryOpen(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.eng.Close() })
	return w
}

func tryOpen(ctx context.Context, dir string, o *sqlite.Options) (world, error) {
	if o == nil {
		o = &sqlite.Options{}
	}
	if o.Migrations == nil {
		o.Migrations = app()
	}
	eng, err := sqlite.OpenEngine(ctx, dir, nil, o)
	return world{dir, eng}, err
}

// tenant makes a tenant known.
func (w world) tenant(t testing.TB) uuid.UUID {
	t.Helper()
	id := uuid.New()
	if err := w.addTenant(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

func (w world) addTenant(ctx context.Context, id uuid.UUID) error {
	_, err := w.exec(ctx, uuid.Nil, "INSERT INTO art32_tenants (id, name, created_at) VALUES ($1, $2, $3)", id, "T", time.Now())
	return err
}

// exec runs one statement of the library in a transaction of its own.
func (w world) exec(ctx context.Context, tenant uuid.UUID, text string, args ...any) (int64, error) {
	tx, err := w.eng.Begin(ctx, engine.Scope{Tenant: tenant})
	if err != nil {
		return 0, err
	}
	return tx.Run(ctx, engine.Stmt{SQL: text, Args: args}, engine.Commit, nil)
}

// one reads one value.
func one[T any](t testing.TB, w world, tenant uuid.UUID, text string, args ...any) (v T) {
	t.Helper()
	tx, err := w.eng.Begin(t.Context(), engine.Scope{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Run(t.Context(), engine.Stmt{SQL: text, Args: args, Rows: 1}, engine.Commit, func(r engine.Row) error { return r.Scan(&v) })
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// insert adds a thing.
func (w world) insert(t testing.TB, tenant uuid.UUID, n int) uuid.UUID {
	t.Helper()
	id := uuid.New()
	if _, err := w.exec(t.Context(), tenant, insertThing, id, tenant, n); err != nil {
		t.Fatal(err)
	}
	return id
}

const insertThing = "INSERT INTO main.things (id, tenant_id, n) VALUES ($1, $2, $3)"

// inSQL runs fn in a transaction of callers' text.
func (w world) inSQL(ctx context.Context, tenant uuid.UUID, fn func(tx engine.SQLTx) error) error {
	tx, err := w.eng.BeginSQL(ctx, engine.Scope{Tenant: tenant})
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	return tx.Commit(ctx)
}

func kind(err error) engine.Kind {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e.Kind
	}
	return -1
}

// want fails unless err is an engine's error of kind k.
func want(t testing.TB, err error, k engine.Kind) {
	t.Helper()
	if kind(err) != k {
		t.Fatalf("error %v, want one of kind %q", err, k)
	}
}
