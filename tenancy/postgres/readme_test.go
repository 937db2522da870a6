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
func open(ctx context.Context, owner string, root keyring.Wrapper, schema tenancy.Schema, migrations fs.FS) (*tenancy.DB, error) {
	setup := postgres.SetupOptions{Migrations: migrations, Lines: []tenancy.Line{audit.Line()}} // the log's tables
	logins, err := postgres.Setup(ctx, owner, &setup)                                           // once: keep the logins; later Migrate
	if err != nil {
		return nil, err
	}
	store, err := postgres.OpenKeystore(ctx, logins.Library)
	if err != nil {
		return nil, err
	}
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
	db, err := open(t.Context(), dbtest.Postgres(t), w.root, schema, options(t).Migrations)
	must(t, err)
	defer db.Close()
	made, err := db.CreateTenant(tenancy.WithActor(t.Context(), someone), tenancy.Tenant{Name: "A"})
	must(t, err)
	ctx := tenancy.WithActor(tenancy.WithTenant(t.Context(), made.ID), someone)
	must(t, customers.Insert(ctx, db, newCustomer("a@example.org", "Anton")))
	if n, err := customers.Count(ctx, db, tenancy.Where("city <> ''")); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}
