package postgres_test

import (
	"context"
	"io/fs"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// region open

// prepare runs once, with the owner's login. It makes logins with new passwords: keep
// what it returns. New migrations are applied by postgres.Migrate.
func prepare(ctx context.Context, owner string, migrations fs.FS) (postgres.Logins, error) {
	return postgres.Setup(ctx, owner, &postgres.SetupOptions{Migrations: migrations, Lines: []tenancy.Line{audit.Line()}})
}

// open is for each start of the program; store is that of postgres.OpenKeystore.
func open(
	ctx context.Context, logins postgres.Logins, store keyring.Store, root keyring.Wrapper, schema tenancy.Schema,
) (*tenancy.DB, error) {
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, logins, schema, keys, log, nil)
}

// endregion

// TestReadme: the README's way to open a database leads to one that works.
func TestReadme(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	logins, err := prepare(t.Context(), dbtest.Postgres(t), options(t).Migrations)
	must(t, err)
	store, err := postgres.OpenKeystore(t.Context(), logins.Library)
	must(t, err)
	defer store.Close()
	db, err := open(t.Context(), logins, store, w.root, schema)
	must(t, err)
	defer db.Close()
	made, err := db.CreateTenant(tenancy.WithActor(tenancy.WithReason(t.Context(), "a new customer"), someone), tenancy.Tenant{Name: "A"})
	must(t, err)
	ctx := tenancy.WithActor(tenancy.WithTenant(t.Context(), made.ID), someone)
	must(t, customers.Insert(ctx, db, newCustomer("a@example.org", "Anton")))
	if n, err := customers.Count(ctx, db, tenancy.Where("city <> ''")); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}
