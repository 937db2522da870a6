package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// grown is a schema as applications have it, of a login that owns its tables.
const grown = `
	CREATE TABLE firms (id uuid PRIMARY KEY, name text NOT NULL, contact uuid);
	CREATE TABLE countries (code text PRIMARY KEY);
	CREATE TABLE customers (
		id uuid PRIMARY KEY, tenant_id uuid REFERENCES firms (id), email text CONSTRAINT once UNIQUE, number bigserial,
		country text REFERENCES countries (code), UNIQUE (number) DEFERRABLE INITIALLY DEFERRED);
	ALTER TABLE firms ADD FOREIGN KEY (contact) REFERENCES customers (id);
	CREATE UNIQUE INDEX lower_email ON customers (lower(email) text_pattern_ops DESC) INCLUDE (country) WHERE country IS NOT NULL;
	CREATE TABLE tickets (
		id bigserial PRIMARY KEY, customer_id uuid NOT NULL CONSTRAINT of_customer REFERENCES customers ON DELETE CASCADE,
		parent bigint REFERENCES tickets ON DELETE SET NULL, title text);
	CREATE TABLE comments (id bigserial PRIMARY KEY, ticket bigint NOT NULL REFERENCES tickets ON UPDATE CASCADE DEFERRABLE, text text);
	CREATE TABLE bookings (tenant_id uuid NOT NULL, room int, day int, CONSTRAINT no_two EXCLUDE (room WITH =, day WITH =) WHERE (day > 0));
	CREATE SCHEMA billing;
	CREATE TABLE billing.invoices (id uuid, org_id uuid NOT NULL, at int NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE billing.invoices_1 PARTITION OF billing.invoices FOR VALUES FROM (0) TO (10) PARTITION BY LIST (at);
	CREATE TABLE billing.invoices_11 PARTITION OF billing.invoices_1 DEFAULT;
	CREATE TABLE "Tab""le '1' $art32$ %s
; DROP TABLE countries CASCADE; --" ("the ""key' %" int PRIMARY KEY, "tenantId" uuid NOT NULL, "order" text, UNIQUE ("order"));
	CREATE TABLE "user" (tenant_id uuid NOT NULL, "group" int UNIQUE,
		"ref" int REFERENCES "Tab""le '1' $art32$ %s
; DROP TABLE countries CASCADE; --" ("the ""key' %") MATCH FULL, CONSTRAINT "select" UNIQUE ("ref", "group"));
	CREATE VIEW open_tickets AS SELECT t.id, t.title, c.email FROM tickets t JOIN customers c ON c.id = t.customer_id;
	CREATE VIEW of_view WITH (security_barrier) AS SELECT count(*) FROM open_tickets;
	CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM customers;
	GRANT SELECT ON totals TO PUBLIC;
`

// grownWorld is a database with such a schema, its login, and two firms' rows.
type grownWorld struct {
	world

	shop  string
	admin *sqlx.DB
	firms [2]uuid.UUID
}

func newGrown(t *testing.T, schema string) *grownWorld {
	t.Helper()
	g := &grownWorld{shop: "shop_" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	g.owner = dbtest.Postgres(t)
	g.admin = g.world.admin(t)
	g.admin.MustExec("CREATE ROLE " + g.shop + " LOGIN PASSWORD 'shop'; GRANT ALL ON SCHEMA public TO " + g.shop)
	t.Cleanup(func() { g.admin.MustExec("DROP OWNED BY " + g.shop + " CASCADE; DROP ROLE " + g.shop) })
	g.admin.MustExec(g.names(t).Replace("GRANT CREATE ON DATABASE DATABASE TO " + g.shop))
	g.admin.MustExec("SET ROLE " + g.shop + ";" + schema + "; CREATE TABLE IF NOT EXISTS firms (id uuid PRIMARY KEY, name text NOT NULL); RESET ROLE")
	return g
}

func (g *grownWorld) plan(t *testing.T, s tenancy.Schema, o *postgres.PlanOptions) *postgres.Migration {
	t.Helper()
	m, err := postgres.Plan(t.Context(), g.owner, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// apply runs a migration as people do: what needs a superuser by hand, the rest
// as migrations of their own.
func (g *grownWorld) apply(t *testing.T, m *postgres.Migration) error {
	t.Helper()
	dir := t.TempDir()
	n := 0
	for _, s := range m.Stages {
		if s.ByHand {
			if _, err := g.admin.ExecContext(t.Context(), s.SQL); err != nil {
				t.Fatalf("stage %s: %v\n%s", s.Name, err, s.SQL)
			}
			continue
		}
		n++
		write(t, filepath.Join(dir, fmt.Sprintf("%04d_%s.sql", n, s.Name)), s.SQL)
	}
	if n == 0 {
		return nil
	}
	return postgres.Migrate(t.Context(), g.owner, &postgres.SetupOptions{Migrations: os.DirFS(dir)})
}

// prepare does what comes before: the rights of logins, Setup, the tenants.
func (g *grownWorld) prepare(t *testing.T) {
	t.Helper()
	for _, s := range g.plan(t, nil, nil).Stages {
		if s.Name == "logins" {
			g.admin.MustExec(s.SQL)
		}
	}
	var err error
	if g.logins, err = postgres.Setup(t.Context(), g.owner, nil); err != nil {
		t.Fatal(err)
	}
	for i := range g.firms {
		g.firms[i] = uuid.New()
		g.admin.MustExec("INSERT INTO firms VALUES ($1, 'Firm')", g.firms[i])
		g.admin.MustExec("INSERT INTO art32.tenants VALUES ($1, 'Firm', now())", g.firms[i])
	}
}

// openable are the findings of Open.
func (g *grownWorld) findings(t *testing.T) []postgres.Finding {
	t.Helper()
	found, err := postgres.Inspect(t.Context(), g.logins, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPlan(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	g := newGrown(t, grown)
	g.prepare(t)
	a, b := g.firms[0], g.firms[1]
	customerA, customerB := uuid.New(), uuid.New()
	g.admin.MustExec("INSERT INTO countries VALUES ('DE')")
	g.admin.MustExec("INSERT INTO customers VALUES ($1, $2, 'a@example.org', 101, 'DE'), ($3, $4, 'b@example.org', 102, NULL)", customerA, a, customerB, b)
	g.admin.MustExec("INSERT INTO tickets VALUES (101, $1, NULL, 'of A'), (102, $2, NULL, 'of B'), (103, $2, 102, 'of B')", customerA, customerB)
	g.admin.MustExec("INSERT INTO comments VALUES (101, 101, 'of A'), (102, 102, 'of B')")
	g.admin.MustExec("INSERT INTO billing.invoices VALUES ($1, $2, 3)", uuid.New(), a)

	m := g.plan(t, nil, nil)
	if err := g.apply(t, m); err != nil {
		t.Fatalf("%v\n%s", err, m)
	}
	if found := g.findings(t); len(found) > 0 {
		t.Errorf("Open refuses it: %v", found)
	}
	again := g.plan(t, nil, nil)
	if !again.Empty() {
		t.Errorf("a second plan is not empty:\n%s", again)
	}
	g.sees(t, a, map[string]int{"customers": 1, "tickets": 1, "comments": 1, "billing.invoices": 1, "billing.invoices_11": 1, "open_tickets": 1})
	if _, err := g.admin.ExecContext(t.Context(), "TABLE countries"); err != nil {
		t.Errorf("a name was run as a statement: %v", err)
	}
	// What one has is hidden from the other, and cannot be referred to.
	g.mayNot(t, a, "INSERT INTO tickets (tenant_id, customer_id) VALUES ($1, '"+customerB.String()+"')", "23503")
	g.mayNot(t, a, "INSERT INTO comments (id, tenant_id, ticket) VALUES (7, $1, 102)", "23503")
	for _, text := range []string{
		"INSERT INTO tickets (tenant_id, id, customer_id) VALUES ($1, 102, '" + customerA.String() + "')",
		"INSERT INTO customers (tenant_id, id, email) VALUES ($1, gen_random_uuid(), 'b@example.org')",
	} {
		if err := g.as(t, a, text, a); err != nil {
			t.Errorf("%s: %v: it tells what another has", text, err)
		}
	}
	g.mayNot(t, a, "INSERT INTO customers (tenant_id, id, email) VALUES ($1, gen_random_uuid(), 'b@example.org')", "23505")
	// A parent that goes leaves the tenant where it was.
	if err := g.as(t, b, "DELETE FROM comments"); err != nil {
		t.Error(err)
	}
	if err := g.as(t, b, "DELETE FROM tickets WHERE id = 102 AND tenant_id = $1", b); err != nil {
		t.Error(err)
	}
	g.sees(t, b, map[string]int{"tickets WHERE parent IS NULL": 1})
}

// as runs a statement as the app login would, for a tenant that the policies of the
// library's login take on trust.
func (g *grownWorld) as(t *testing.T, tenant uuid.UUID, text string, args ...any) error {
	t.Helper()
	db, err := sqlx.Open("pgx", g.logins.Library)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec("SELECT set_config('art32.tenant', $1, true)", tenant.String())
	if _, err := tx.Exec(text, args...); err != nil {
		return err
	}
	return tx.Commit()
}

func (g *grownWorld) mayNot(t *testing.T, tenant uuid.UUID, text, code string) {
	t.Helper()
	if err := g.as(t, tenant, text, tenant); err == nil || !strings.Contains(err.Error(), code) {
		t.Errorf("%s: %v, want %s", text, err, code)
	}
}

func (g *grownWorld) sees(t *testing.T, tenant uuid.UUID, want map[string]int) {
	t.Helper()
	for table, n := range want {
		if err := g.as(t, tenant, fmt.Sprintf("SELECT 1 / (CASE WHEN count(*) = %d THEN 1 ELSE 0 END) FROM %s", n, table)); err != nil && table != "open_tickets" {
			t.Errorf("%s: not %d rows: %v", table, n, err)
		}
	}
}

// What stands yields nothing; what somebody took away yields its repair alone.
func TestPlanRepairs(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	g := &grownWorld{world: *w, admin: w.admin(t)}
	if m := g.plan(t, schema, nil); !m.Empty() {
		t.Fatalf("of a schema that Open accepts:\n%s", m)
	}
	for _, spoil := range []string{
		"DROP POLICY art32_app_guard ON customers",
		"ALTER POLICY art32_app_guard ON customers USING (true)",
		"ALTER POLICY art32_library ON customers TO PUBLIC",
		"ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
		"GRANT TRUNCATE ON customers TO art32_app",
		"DROP TRIGGER art32_report_insert ON customers",
		"REVOKE UPDATE ON customers FROM art32_library",
		"CREATE UNIQUE INDEX again ON customers (plan)",
		"ALTER TABLE customers DROP CONSTRAINT customers_pkey; ALTER TABLE customers ALTER tenant_id DROP NOT NULL",
		"ALTER TABLE customers DROP COLUMN email_bidx",
		"ALTER TABLE customers DROP COLUMN email",
		"CREATE VIEW v AS SELECT * FROM customers; GRANT SELECT ON v TO art32_app",
		"CREATE TABLE notes (tenant_id uuid, id int UNIQUE, c uuid)",
	} {
		g.admin.MustExec(spoil)
		m := g.plan(t, schema, nil)
		if m.Empty() {
			t.Errorf("%s: the plan is empty", spoil)
		}
		for _, s := range m.Stages {
			if strings.Contains(s.SQL, "trace") {
				t.Errorf("%s: the plan touches what stands:\n%s", spoil, m)
			}
			g.admin.MustExec(s.SQL)
		}
		if again := g.plan(t, schema, nil); !again.Empty() {
			t.Errorf("%s: a second plan is not empty:\n%s", spoil, again)
		}
		if err := w.tryOpen(t, nil); err != nil {
			t.Errorf("%s: %v", spoil, err)
		}
	}
}

// One table at a time, watched before it is closed.
func TestPlanOneTable(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	g := newGrown(t, grown)
	g.prepare(t)
	step := func(o *postgres.PlanOptions) {
		t.Helper()
		m := g.plan(t, nil, o)
		for _, s := range m.Stages {
			g.admin.MustExec(s.SQL)
		}
		if again := g.plan(t, nil, o); len(again.Stages) > 0 {
			t.Errorf("a second plan is not empty:\n%s", again)
		}
	}
	watched := func() (n int) {
		t.Helper()
		for _, f := range g.findings(t) {
			if f.Weakness == postgres.UnsafeWatched {
				n++
			} else {
				t.Errorf("Open refuses it: %v", f)
			}
		}
		return n
	}
	step(&postgres.PlanOptions{Only: []string{"customers"}, UnsafeWatch: g.shop})
	if n := watched(); n != 1 {
		t.Errorf("%d tables are watched, want 1", n)
	}
	step(&postgres.PlanOptions{Only: []string{"customers"}})
	if n := watched(); n != 0 {
		t.Errorf("%d tables are watched, want none", n)
	}
	step(&postgres.PlanOptions{UnsafeWatch: g.shop})
	if n := watched(); n != 8 { // all but customers: what was closed stays so
		t.Errorf("%d tables are watched, want 8", n)
	}
	step(nil)
	if n := watched(); n != 0 {
		t.Errorf("%d tables are watched, want none", n)
	}
	if m := g.plan(t, nil, nil); !m.Empty() {
		t.Errorf("%s", m)
	}
}

// What a plan cannot know it leaves to a person, and says so.
func TestPlanLeaves(t *testing.T) {
	t.Parallel()
	g := newGrown(t, `CREATE TABLE orders (id int PRIMARY KEY, org_id int);
		CREATE TABLE two (org_id uuid, customer_id uuid);
		CREATE TABLE rest (tenant_id uuid, id int PRIMARY KEY);
		CREATE TABLE audited (id int REFERENCES rest (id));
		CREATE TABLE odd (tenant_id uuid, r int REFERENCES rest (id) ON UPDATE SET NULL);
		CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`)
	g.prepare(t)
	text := g.plan(t, schema, &postgres.PlanOptions{Shared: []string{"audited"}}).String()
	for _, want := range []string{
		"table public.orders names its tenant by org_id of type integer", "table public.two has several columns that may name its tenant: customer_id, org_id",
		"unique index public.rest_pkey of table public.rest leaves out the tenant, and foreign key audited_id_fkey",
		"foreign key odd_r_fkey of table public.odd leaves out the tenant and has ON UPDATE SET NULL", "function public.f() runs with the rights",
		"table customers is declared and not there",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, text)
		}
	}
	for _, o := range []*postgres.PlanOptions{{Only: []string{"order"}}, {Shared: []string{"x"}}, {Tenants: map[string]string{"y": "z"}}} {
		if _, err := postgres.Plan(t.Context(), g.owner, nil, o); err == nil || !strings.Contains(err.Error(), "no table is called") {
			t.Errorf("%v: %v", o, err)
		}
	}
}

// Rows of tenants that nobody made stop the plan before keys are touched.
func TestPlanUnknownTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	g := newGrown(t, "CREATE TABLE customers (tenant_id uuid, id uuid PRIMARY KEY)")
	g.prepare(t)
	g.admin.MustExec("INSERT INTO customers VALUES (gen_random_uuid(), gen_random_uuid())")
	err := g.apply(t, g.plan(t, nil, nil))
	if err == nil || !strings.Contains(err.Error(), "filled") {
		t.Errorf("%v, want stage filled to fail", err)
	}
	if found := g.findings(t); len(found) > 0 {
		t.Errorf("%v", found)
	}
	if _, err := postgres.Plan(context.Background(), "postgres://nobody@localhost:1/x", nil, nil); errors.Is(err, nil) {
		t.Error("a plan of nothing")
	}
}

// A migration that stops anywhere is taken up again by the next plan, also where the
// indexes were built concurrently before.
func TestPlanStageByStage(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	g := newGrown(t, grown)
	g.prepare(t)
	built := 0
	for _, last := range []string{"owners", "columns", "filled", "indexes", "keys", "checked", "apart"} {
		for _, stage := range g.plan(t, nil, nil).Stages {
			for line := range strings.Lines(stage.SQL) {
				if _, text, ok := strings.Cut(line, ": CREATE UNIQUE INDEX CONCURRENTLY"); ok && strings.HasSuffix(line, ";\n") && !strings.Contains(line, `Tab""`) {
					g.admin.MustExec("CREATE UNIQUE INDEX CONCURRENTLY" + text)
					built++
				}
			}
			g.admin.MustExec(stage.SQL)
			if stage.Name == last {
				break
			}
		}
	}
	if m := g.plan(t, nil, nil); !m.Empty() {
		t.Errorf("left:\n%s", m)
	}
	if found := g.findings(t); len(found) > 0 || built < 5 {
		t.Errorf("%d indexes built before; Open refuses %v", built, found)
	}
	var open int
	err := g.admin.Get(&open, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated OR connamespace = 'public'::regnamespace AND contype = 'c' AND conname LIKE '%tenant_art32'")
	if err != nil || open != 0 {
		t.Errorf("%d constraints are not valid or left over, %v", open, err)
	}
}
