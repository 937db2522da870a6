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

	// 2. Tenants: the tables are named as not carried over yet.
	if _, err := c.open(t, adopting.Schema); err == nil || !strings.Contains(err.Error(), "table customers is declared and not protected") {
		t.Fatalf("opened without a word: %v", err)
	}
	db := c.opened(t, adopting.Schema, postgres.UnsafeUnprotected)
	for range 2 {
		must(t, adopting.CreateTenants(c.ctx(t, 0), db, c.shop.DB))
	}
	if _, err := adopting.Titles(c.ctx(t, 0), db); err == nil {
		t.Error("the library reads a table that is not protected")
	}

	// 3. Report only: everything works as before, and the log tells of two mistakes.
	c.run(t, c.plan(t, &postgres.PlanOptions{UnsafeWatch: c.login}))
	c.works(t, "watched")
	c.logged()
	leaked, err := c.shop.Search(t.Context(), c.firms[0], "of N%", "of S%")
	if err != nil || len(leaked) != 2 {
		t.Errorf("the old search finds %v, %v", leaked, err)
	}
	if log := c.logged(); !strings.Contains(log, "reads rows of several tenants in table public.tickets, which protection would hide") ||
		!strings.Contains(log, "tenant_id = $1 AND title LIKE $2 OR title LIKE $3") {
		t.Errorf("the log says nothing of the search: %s", log)
	}
	title, err := c.shop.Ticket(t.Context(), c.firms[0], c.tickets[1])
	if err != nil || title != "of Südwind" {
		t.Errorf("the old page of a ticket shows %q, %v", title, err)
	}
	if log := c.logged(); !strings.Contains(log, "reads rows of another tenant in table public.tickets, which protection would hide") {
		t.Errorf("the log says nothing of the ticket: %s", log)
	}

	// 4. One table is closed to the old login.
	if _, err := c.open(t, adopting.Schema); err == nil || !strings.Contains(err.Error(), "table tickets is watched") {
		t.Fatalf("opened without a word: %v", err)
	}
	c.run(t, c.plan(t, &postgres.PlanOptions{Only: []string{"customers"}}))
	var n int
	if err := c.shop.DB.GetContext(t.Context(), &n, "SELECT count(*) FROM customers"); err != nil || n != 0 {
		t.Errorf("the old login counts %d customers, %v", n, err)
	}
	c.works(t, "customers closed")

	// 5. Its repository, and encryption.
	c.add(t, "encrypt", encryptSQL)
	must(t, postgres.Migrate(t.Context(), c.owner, c.options()))
	db = c.opened(t, adopting.Schema, postgres.UnsafeWatched)
	for firm := range c.firms {
		for _, want := range []int{1, 0} {
			if n, err := adopting.Seal(c.ctx(t, firm), db, c.keys); n != want || err != nil {
				t.Errorf("%d rows sealed, want %d, %v", n, want, err)
			}
		}
	}
	if err := c.admin.Get(&n, "SELECT count(*) FROM customers WHERE email_bidx IS NULL OR position('example.org' IN encode(email, 'escape')) > 0"); err != nil || n != 0 {
		t.Errorf("%d customers are in clear, %v", n, err)
	}
	for firm, want := range []int{1, 0} {
		if n, err := adopting.Customers.Count(c.ctx(t, firm), db, adopting.CustomerEmail.Eq("NORDLICHT@example.org")); n != want || err != nil {
			t.Errorf("firm %d finds %d, want %d, %v", firm, n, want, err)
		}
	}

	// 6. The rest: nothing is left, and nothing needs to be named.
	c.run(t, c.plan(t, nil))
	if m := c.plan(t, nil); !m.Empty() {
		t.Errorf("left:\n%s", m)
	}
	db = c.opened(t, adopting.Schema)
	for firm, want := range []string{"of Nordlicht", "of Südwind"} {
		titles, err := adopting.Titles(c.ctx(t, firm), db)
		searched, serr := adopting.Search(c.ctx(t, firm), db, "of N%", "of S%")
		if err != nil || serr != nil || !slices.Equal(titles, []string{want}) || !slices.Equal(searched, []string{want}) {
			t.Errorf("firm %d lists %v and finds %v, %v, %v", firm, titles, searched, err, serr)
		}
	}
	if titles, err := c.shop.Titles(t.Context(), c.firms[0]); err != nil || len(titles) > 0 {
		t.Errorf("the old login still lists %v, %v", titles, err)
	}
}

// The guide shows the migration that the test ran.
func TestGuideShowsMigration(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/adopting.md")
	must(t, err)
	_, statements, _ := strings.Cut(encryptSQL, "\n")
	if !strings.Contains(string(guide), statements) {
		t.Error("docs/adopting.md shows another migration than encrypt.sql")
	}
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
}
