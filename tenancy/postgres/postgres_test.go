package postgres_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email"`
	Name   field.Encrypted[string] `db:"name"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
	Visits int32                   `db:"visits"    art32:"open"`
	Born   *time.Time              `db:"born"      art32:"personal"`
}

var (
	customers     = tenancy.MustRepository[customer]("customers")
	customerEmail = tenancy.MustColumn[string](customers, "email")
	customerPlan  = tenancy.MustColumn[string](customers, "plan")
	schema        = tenancy.Schema{customers}
)

// trace is a recorder with one table of its own: enough to see that an event
// commits with its change.
type trace struct{}

func (trace) Change(_ context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	tx.Engine(engine.Library).Queue(engine.Stmt{
		SQL:  "INSERT INTO public.trace (tenant_id, id, action, outcome, detail) VALUES ($1, $2, $3, $4, $5)",
		Args: []any{tx.Tenant().UUID(), uuid.New(), c.Action, int64(c.Outcome), c.Detail},
	})
	return nil
}

// world is a database that was set up, with two tenants.
type world struct {
	owner   string
	logins  postgres.Logins
	options *postgres.Options
	keys    *keyring.Ring
	root    keyring.Wrapper
	db      *tenancy.DB
	a, b    context.Context
}

func migrations(tb testing.TB) fs.FS {
	tb.Helper()
	dir := tb.TempDir()
	copyFile(tb, "testdata/app/0001_customers.sql", filepath.Join(dir, "0001_customers.sql"))
	write(tb, filepath.Join(dir, "0002_trace.sql"), `
		CREATE TABLE trace (tenant_id uuid NOT NULL, id uuid, action text, outcome int, detail text, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('trace');`)
	return os.DirFS(dir)
}

func copyFile(tb testing.TB, from, to string) {
	tb.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, to, string(b))
}

func write(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{owner: dbtest.Postgres(tb)}
	var err error
	if w.logins, err = postgres.Setup(tb.Context(), w.owner, &postgres.SetupOptions{Migrations: migrations(tb)}); err != nil {
		tb.Fatal(err)
	}
	w.open(tb)
	w.a, w.b = w.tenant(tb, "A"), w.tenant(tb, "B")
	return w
}

func (w *world) open(tb testing.TB) {
	tb.Helper()
	// The name tells the keystore's sessions from those of the data.
	store, err := postgres.OpenKeystore(tb.Context(), w.logins.Library+"&application_name=keystore")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	path := filepath.Join(tb.TempDir(), "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		tb.Fatal(err)
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	w.root = root
	if w.keys, err = keyring.New(root, store, nil); err != nil {
		tb.Fatal(err)
	}
	if w.db, err = postgres.Open(tb.Context(), w.logins, schema, w.keys, trace{}, w.options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
}

func (w *world) tenant(tb testing.TB, name string) context.Context {
	tb.Helper()
	ctx := tenancy.WithActor(tb.Context(), tenancy.MustService("test"))
	t, err := w.db.CreateTenant(ctx, tenancy.Tenant{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	return tenancy.WithTenant(ctx, t.ID)
}

func newCustomer(email, name string) *customer {
	return &customer{
		Email: field.New(email), Name: field.New(name), City: "Köln", Plan: "free",
	}
}
