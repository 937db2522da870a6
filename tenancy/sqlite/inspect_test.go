package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

type order struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Total  int        `db:"total"     art32:"open"`
}

var orders = tenancy.MustRepository[order]("sales.orders")

// made is one migration.
func made(text string) fstest.MapFS {
	return fstest.MapFS{"0001_made.sql": {Data: []byte(text)}}
}

func (h house) reopen(t *testing.T, s tenancy.Schema, o *sqlite.Options) (*tenancy.DB, error) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), h.dir, s, h.keys, journal{}, o)
	if err == nil {
		t.Cleanup(func() { must(t, db.Close()) })
	}
	return db, err
}

// Open refuses a schema that its migrations do not make, with the complete list.
func TestOpenRefusesMissingTables(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	h := newHouse(t, journal{})
	_, err := h.reopen(t, tenancy.Schema{customers, orders}, &sqlite.Options{Migrations: made(
		`CREATE TABLE customers (id TEXT NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, email BLOB, name BLOB, city TEXT NOT NULL)`)})
	refused, ok := errors.AsType[*sqlite.RefusedError](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, f := range refused.Findings {
		got = append(got, f.What)
		if !strings.Contains(err.Error(), "- "+f.What+"; mend: write the migration that ") {
			t.Errorf("the text does not say what to do: %v", err)
		}
	}
	want := []string{
		"column customers.email_bidx is declared and not there", "column customers.plan is declared and not there",
		"table sales_orders is declared and not there",
	}
	if diff := cmp.Diff(want, got); diff != "" || refused.File != "" {
		t.Errorf("of file %q (-want +got):\n%s", refused.File, diff)
	}
	if left, _ := filepath.Glob(h.dir + "/tenants/*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	_, err = h.reopen(t, tenancy.Schema{orders}, &sqlite.Options{Migrations: made( // as SQLite compares names
		`CREATE TABLE Sales_Orders (ID TEXT NOT NULL PRIMARY KEY, Tenant_ID TEXT NOT NULL, half INTEGER, total INTEGER AS (2 * half))`)})
	must(t, err)
}

// Where the application makes its tables in another way, the first use of a tenant
// tells, and names the file; any use does until they are there.
func TestFirstUseRefusesMissingTables(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	h := newHouse(t, journal{})
	db, err := h.reopen(t, tenancy.Schema{orders}, nil)
	must(t, err)
	ctx := h.tenant(t)
	id, err := tenancy.TenantFrom(ctx)
	must(t, err)
	for name, use := range map[string]func(ctx context.Context) error{
		"insert": func(ctx context.Context) error { return orders.Insert(ctx, db, &order{Total: 1}) },
		"raw": func(ctx context.Context) error {
			return db.InSQL(ctx, func(context.Context, *tenancy.SQLTx) error { return nil })
		},
	} {
		err := use(ctx)
		refused, ok := errors.AsType[*sqlite.RefusedError](err)
		if !ok || refused.File != "tenants/"+id.String()+".db" || len(refused.Findings) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := sql.Open("sqlite", filepath.Join(h.dir, "tenants", id.String()+".db"))
	must(t, err)
	defer raw.Close()
	_, err = raw.ExecContext(t.Context(), "CREATE TABLE sales_orders (id TEXT NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, total INTEGER NOT NULL)")
	must(t, err)
	must(t, orders.Insert(ctx, db, &order{Total: 1}))
}

// A program without the structs takes files as they are: a description can be of
// another version than they.
func TestDescribedTablesAreNotRequired(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journal{})
	known, err := tenancy.Described(tenancy.Schema{orders}.Info())
	must(t, err)
	for _, o := range []*sqlite.Options{nil, {Migrations: customerSQL}} {
		db, err := h.reopen(t, known, o)
		must(t, err)
		must(t, db.In(h.tenant(t), func(ctx context.Context, tx *tenancy.Tx) error {
			return journal{}.Change(ctx, tx, tenancy.Change{Action: "test"})
		}))
	}
}
