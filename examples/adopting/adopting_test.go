package adopting_test

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/examples/adopting"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/tenancytest"
)

var (
	//go:embed shop.sql
	shopSQL string
	//go:embed encrypt.sql
	encryptSQL string
)

// carriage is a shop that is carried over.
type carriage struct {
	owner, login, dsn string
	admin             *sqlx.DB
	logins            postgres.Logins
	keys              *keyring.Ring
	shop              *adopting.Shop
	log               bytes.Buffer
	firms             [2]uuid.UUID
	tickets           [2]uuid.UUID
	migrations        string
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// found is the shop as it was: with a login that owns its tables.
func found(t *testing.T) *carriage {
	t.Helper()
	c := &carriage{owner: dbtest.Postgres(t), login: "shop_" + strings.ReplaceAll(uuid.NewString(), "-", ""), migrations: t.TempDir()}
	var err error
	c.admin, err = sqlx.Open("pgx", c.owner)
	must(t, err)
	t.Cleanup(func() { _ = c.admin.Close() })
	c.admin.MustExec("CREATE ROLE " + c.login + " LOGIN PASSWORD 'shop'; GRANT ALL ON SCHEMA public TO " + c.login)
	t.Cleanup(func() { c.admin.MustExec("DROP OWNED BY " + c.login + " CASCADE; DROP ROLE " + c.login) })
	c.dsn = c.owner + "&user=" + c.login + "&password=shop"
	c.shop, err = adopting.OpenWatched(c.dsn, slog.New(slog.NewTextHandler(&c.log, nil)))
	must(t, err)
	t.Cleanup(func() { _ = c.shop.DB.Close() })
	c.shop.DB.MustExec(shopSQL)
	c.fill(c.shop.DB)
	return c
}

// fill writes two firms, each with a customer and a ticket.
func (c *carriage) fill(db *sqlx.DB) {
	for i, name := range []string{"Nordlicht", "Südwind"} {
		customer := uuid.New()
		c.firms[i], c.tickets[i] = uuid.New(), uuid.New()
		db.MustExec("INSERT INTO firms VALUES ($1, $2)", c.firms[i], name)
		db.MustExec("INSERT INTO customers VALUES ($1, $2, $3, 'free')", customer, c.firms[i], strings.ToLower(name)+"@example.org")
		db.MustExec("INSERT INTO tickets VALUES ($1, $2, $3, $4, true)", c.tickets[i], c.firms[i], customer, "of "+name)
	}
}

func (c *carriage) plan(t *testing.T, o *postgres.PlanOptions) *postgres.Migration {
	t.Helper()
	m, err := postgres.Plan(t.Context(), c.owner, nil, o)
	must(t, err)
	return m
}

// run runs a plan: what needs a superuser by hand, the rest as migrations.
func (c *carriage) run(t *testing.T, m *postgres.Migration) {
	t.Helper()
	for _, s := range m.Stages {
		if s.ByHand {
			c.admin.MustExec(s.SQL)
			continue
		}
		c.add(t, s.Name, s.SQL)
	}
	must(t, postgres.Migrate(t.Context(), c.owner, c.options()))
}

// add writes a migration behind the others.
func (c *carriage) add(t *testing.T, name, text string) {
	t.Helper()
	all, err := os.ReadDir(c.migrations)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(c.migrations, fmt.Sprintf("%04d_%s.sql", len(all)+1, name)), []byte(text), 0o600))
}

func (c *carriage) options() *postgres.SetupOptions {
	o := &postgres.SetupOptions{Lines: []tenancy.Line{audit.Line()}}
	if all, err := os.ReadDir(c.migrations); err == nil && len(all) > 0 {
		o.Migrations = os.DirFS(c.migrations)
	}
	return o
}

// open opens the database as the carried-over application does.
func (c *carriage) open(t *testing.T, schema tenancy.Schema, unsafe ...postgres.Weakness) (*tenancy.DB, error) {
	t.Helper()
	if c.keys == nil {
		store, err := postgres.OpenKeystore(t.Context(), c.logins.Library)
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		path := filepath.Join(t.TempDir(), "root.key")
		must(t, keyring.CreateKeyFile(path))
		root, err := keyring.KeyFile(path)
		must(t, err)
		c.keys, err = keyring.New(root, store, nil)
		must(t, err)
	}
	log, err := audit.New(c.keys, nil)
	must(t, err)
	db, err := postgres.Open(t.Context(), c.logins, schema, c.keys, log, &postgres.Options{
		SetupOptions: *c.options(), Unsafe: unsafe, Logger: slog.New(slog.NewTextHandler(&c.log, nil)),
	})
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
	}
	return db, err
}

func (c *carriage) opened(t *testing.T, schema tenancy.Schema, unsafe ...postgres.Weakness) *tenancy.DB {
	t.Helper()
	db, err := c.open(t, schema, unsafe...)
	must(t, err)
	return db
}

func (c *carriage) ctx(t *testing.T, firm int) context.Context {
	t.Helper()
	return tenancy.WithTenant(tenancy.WithActor(t.Context(), tenancy.MustService("shop")), tenancy.ID(c.firms[firm]))
}

// works looks that the old application does what it did.
func (c *carriage) works(t *testing.T, when string) {
	t.Helper()
	titles, err := c.shop.Titles(t.Context(), c.firms[0])
	if err != nil || !slices.Equal(titles, []string{"of Nordlicht"}) {
		t.Errorf("%s: the old application lists %v, %v", when, titles, err)
	}
}

func (c *carriage) logged() string {
	defer c.log.Reset()
	return c.log.String()
}

// TestAdopting goes the way of docs/adopting.md.
func TestAdopting(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	c := found(t)

	// 1. Look, give the old login its rights, prepare.
	for _, s := range c.plan(t, nil).Stages {
		if s.Name == "logins" {
			c.admin.MustExec(s.SQL)
		}
	}
	var err error
	c.logins, err = postgres.Setup(t.Context(), c.owner, c.options())
	must(t, err)
	c.works(t, "after Setup")

	// 2. Tenants. Open needs a table: the plan comes next, and it needs the tenants.
	described, err := tenancy.Described([]tenancy.TableInfo{{Name: "events_of_shop", Key: "id", Tenant: "tenant_id", Columns: []tenancy.ColumnInfo{
		{Name: "id", Class: tenancy.Open}, {Name: "tenant_id", Class: tenancy.Open},
	}}})
	must(t, err)
	_ = described
}

// TestImport takes one SQLite file apart into those of its tenants.
func TestImport(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	old, err := sqlx.Open("sqlite", filepath.Join(t.TempDir(), "shop.db"))
	must(t, err)
	defer old.Close()
	old.MustExec(shopSQL)
	c := &carriage{}
	c.fill(old)
	migrations, err := adopting.Migrations()
	must(t, err)
	w := tenancytest.New(t, adopting.Schema, &tenancytest.Options{Migrations: migrations})
	ctx := tenancy.WithActor(t.Context(), w.Actor)
	for range 2 {
		must(t, adopting.Import(ctx, w.DB, old))
	}
	for i, want := range []string{"of Nordlicht", "of Südwind"} {
		titles, err := adopting.Titles(c.ctx(t, i), w.DB)
		if err != nil || !slices.Equal(titles, []string{want}) {
			t.Errorf("firm %d has %v, %v", i, titles, err)
		}
	}
	n, err := adopting.Customers.Count(c.ctx(t, 0), w.DB, adopting.CustomerEmail.Eq("Nordlicht@example.org"))
	if err != nil || n != 1 {
		t.Errorf("%d customers found by their address, %v", n, err)
	}
	_ = field.ErrErased
}
