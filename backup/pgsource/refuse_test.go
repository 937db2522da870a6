package pgsource_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// refused takes a snapshot that must be refused, and gives the mends.
func (w *world) refused(t *testing.T, o *pgsource.Options, role bool, want ...string) (mends []string) {
	t.Helper()
	snap, err := w.source(t, o).Snapshot(t.Context())
	if err == nil {
		must(t, snap.Close())
		t.Fatalf("accepted, want a refusal: %q", want)
	}
	if errors.Is(err, backup.ErrRole) != role {
		t.Errorf("ErrRole: %v, want %v: %v", !role, role, err)
	}
	findings := strings.Split(err.Error(), "\n- ")[1:]
	if len(findings) != len(want) {
		t.Errorf("%d findings, want %d: %v", len(findings), len(want), err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v\ndoes not say %q", err, text)
		}
	}
	for _, f := range findings {
		_, mend, _ := strings.Cut(f, "; mend: ")
		mends = append(mends, mend)
	}
	return mends
}

// ofAudit names the migrations of the log's line as a refusal does.
func ofAudit(t *testing.T) (all []string) {
	t.Helper()
	files, err := fs.Glob(audit.Line().FS, "postgres/*.sql")
	must(t, err)
	for _, f := range files {
		all = append(all, "migration "+path.Base(f)+" of line audit")
	}
	return all
}

// A login that does not see all rows is refused, with everything that it lacks,
// and what mends it to the letter.
func TestRoleIsRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	whole := w.run(t, nil)
	db, login := admin(t, w.owner), role(t, w.logins.Backup)

	db.MustExec(fmt.Sprintf("ALTER ROLE %q NOBYPASSRLS", login))
	for _, mend := range w.refused(t, nil, true, "login "+login+" does not see all rows") {
		db.MustExec(mend)
	}
	same(t, whole.tables, w.run(t, nil).tables)

	db.MustExec(fmt.Sprintf("REVOKE pg_read_all_data FROM %q; ALTER ROLE %[1]q NOBYPASSRLS", login))
	db.MustExec(fmt.Sprintf(`GRANT USAGE ON SCHEMA public, art32, art32_keys TO %q;
		GRANT SELECT ON ALL TABLES IN SCHEMA public, art32, art32_keys, billing TO %[1]q;
		GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, art32 TO %[1]q;
		REVOKE SELECT ON customers, art32_keys.uses FROM %[1]q; REVOKE SELECT ON SEQUENCE plans_id_seq FROM %[1]q`, login))
	mends := w.refused(t, &pgsource.Options{}, true, append(ofAudit(t),
		"does not see all rows", "may not read sequence public.plans_id_seq", "may not read public.customers",
		"may not read billing.invoices", "may not read art32_keys.uses", "migration 0001_app.sql of line app")...)
	for _, mend := range mends {
		if !strings.HasPrefix(mend, "give ") {
			db.MustExec(mend)
		}
	}
	same(t, whole.tables, w.run(t, nil).tables)
}

// A login that loses its right between the look and the rows reads an error, not
// nothing.
func TestRoleThatIsTakenAway(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	db, login := admin(t, w.owner), role(t, w.logins.Backup)
	snap, err := w.source(t, nil).Snapshot(t.Context())
	must(t, err)
	defer snap.Close()
	db.MustExec(fmt.Sprintf("ALTER ROLE %q NOBYPASSRLS", login))
	got := &taken{parts: make(map[tenancy.ID][]file), tables: make(map[tenancy.ID][]backup.Table)}
	if err := snap.Write(t.Context(), got); err == nil {
		t.Fatalf("wrote %v", got.tables)
	}
	if len(got.tables[w.a]) != 0 {
		t.Error("tables were told as complete")
	}
}

// What is set for the login or the database changes nothing of what is read.
func TestSettingsOfTheLogin(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.furnish(t)
	db, login := admin(t, w.owner), role(t, w.logins.Backup)
	db.MustExec(`CREATE SCHEMA decoy; CREATE TABLE decoy.tenants (id uuid); CREATE TABLE decoy.pg_class (oid oid)`)
	whole := w.run(t, nil)
	for _, setting := range []string{
		"search_path = decoy, public", "row_security = on", "DateStyle = 'German, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'Asia/Tokyo'",
		"extra_float_digits = -15", "bytea_output = escape", "client_encoding = LATIN1", "quote_all_identifiers = on",
		"default_transaction_isolation = 'read committed'",
	} {
		db.MustExec(fmt.Sprintf("ALTER ROLE %q SET %s", login, setting))
	}
	k := w.run(t, nil)
	delete(k.tables, tenancy.ID{})
	for id, tables := range k.tables {
		same(t, map[tenancy.ID][]backup.Table{id: whole.tables[id]}, map[tenancy.ID][]backup.Table{id: tables})
	}
	if !strings.Contains(whole.script("partitions.sql"), "PARTITION OF public.measurements ") {
		t.Errorf("partitions of a table somewhere:\n%s", whole.script("partitions.sql"))
	}
	for _, name := range []string{"partitions.sql", "sequences.sql"} {
		if diff := cmp.Diff(whole.script(name), k.script(name)); diff != "" || whole.script(name) == "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Whatever would make a backup that holds less than it seems to is refused.
func TestRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	full := func() *pgsource.Options { return &pgsource.Options{Migrations: appFiles(), Lines: lines} }
	without := func(table string) func() *pgsource.Options {
		return func() *pgsource.Options {
			o := full()
			o.Exclude = map[string]string{table: "a reason"}
			return o
		}
	}
	for name, c := range map[string]struct {
		sql     string
		options func() *pgsource.Options
		want    []string
	}{
		"a declared table is gone":       {"ALTER TABLE customers RENAME TO clients", full, []string{"declares table customers"}},
		"columns and a table by hand":    {`ALTER TABLE customers ADD COLUMN remark text; CREATE TABLE leftover (remark text); ALTER TABLE ticket_log ADD COLUMN "Größe; --x" int`, full, []string{`column "remark" of table public.customers`, "table public.leftover", `column "Größe; --x" of table public.ticket_log`}},
		"a declared table is a view":     {"DROP TABLE tickets; CREATE MATERIALIZED VIEW tickets AS SELECT 1 AS n", full, []string{"declares table tickets, which would be left out (a materialized view"}},
		"a partition with a line end":    {`CREATE TABLE "near" (x int) PARTITION BY LIST (x); CREATE TABLE "a` + "\n" + `b" PARTITION OF near DEFAULT; CREATE SEQUENCE "s` + "\n" + `b"`, full, []string{"name of partition public.\"a?b\"", "name of sequence public.\"s?b\""}},
		"the keystore is another's":      {"DELETE FROM art32_keys.keys", full, []string{"2 of 2 tenants have no key"}},
		"one tenant has no key":          {"DELETE FROM art32_keys.keys WHERE tenant_id = (SELECT id FROM art32.tenants LIMIT 1)", full, []string{"1 of 2 tenants have no key"}},
		"the keystore is gone":           {"DROP SCHEMA art32_keys CASCADE", full, []string{"holds none"}},
		"large objects":                  {"SELECT lo_from_bytea(0, 'x')", full, []string{"1 large objects"}},
		"a partition elsewhere":          {"CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE TABLE near (x int) PARTITION BY LIST (x); CREATE FOREIGN TABLE far PARTITION OF near DEFAULT SERVER s", full, []string{"partition public.far lies on another server"}},
		"an heir without protection":     {"CREATE TABLE heirs () INHERITS (customers)", full, []string{"table public.heirs is part of"}},
		"a protected part of an open":    {"CREATE TABLE open (tenant_id uuid) PARTITION BY HASH (tenant_id); CREATE TABLE part PARTITION OF open FOR VALUES WITH (MODULUS 1, REMAINDER 0); SELECT art32.protect('part')", full, []string{"table public.open is part of"}},
		"a policy of two columns":        {"CREATE TABLE two (tenant_id uuid, b uuid); SELECT art32.protect('two'); DROP POLICY art32_library ON two; CREATE POLICY art32_library ON two USING (tenant_id = b)", full, []string{"table public.two"}},
		"the tenant is computed":         {"CREATE TABLE computed (a text, tenant_id uuid GENERATED ALWAYS AS (a::uuid) STORED); SELECT art32.protect('computed')", full, []string{"table public.computed"}},
		"a name with a line end":         {`CREATE TABLE "a` + "\n" + `b" (x int)`, full, []string{"control character"}},
		"half of a reference":            {"", without("customers"), []string{"public.tickets refers to table public.customers"}},
		"an excluded table is misspelt":  {"", without("custommers"), []string{"no table public.custommers"}},
		"a migration is not at hand":     {"", func() *pgsource.Options { return &pgsource.Options{Lines: lines} }, []string{"migration 0001_app.sql of line app"}},
		"a migration was edited":         {"UPDATE art32.migrations SET checksum = 'x' WHERE line = 'audit' AND version = 1", full, []string{"migration 0001_audit.sql of line audit"}},
		"a line is newer than the files": {"INSERT INTO art32.migrations VALUES ('tenancy', 99, '0099_new.sql', 'x', now())", full, []string{"migration 0099_new.sql of line tenancy"}},
		"it was not set up":              {"DROP TABLE art32.migrations", full, []string{"not set up by art32"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.sql != "" {
				admin(t, w.owner).MustExec(c.sql)
			}
			w.refused(t, c.options(), false, c.want...)
		})
	}
}

func TestAnotherDatabase(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	s, err := pgsource.New(dbtest.Postgres(t), nil)
	must(t, err)
	if _, err := s.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), "not set up by art32") {
		t.Errorf("an empty database: %v", err)
	}
	w := newWorld(t)
	for name, change := range map[string]func(*url.URL){
		"no such database": func(u *url.URL) { u.Path = "/nowhere" },
		"no such login":    func(u *url.URL) { u.User = url.UserPassword("nobody", "canary-password") },
		"no server":        func(u *url.URL) { u.Host = "127.0.0.1:1" },
	} {
		u, err := url.Parse(w.logins.Backup)
		must(t, err)
		change(u)
		s, err := pgsource.New(u.String(), nil)
		must(t, err)
		_, err = s.Snapshot(t.Context())
		if !errors.Is(err, tenancy.ErrUnavailable) && err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	for dsn, role := range map[string]bool{
		"postgres://u:canary@db.example.org/app":                                    true,
		"postgres://u:canary@db.example.org/app?sslmode=require":                    true,
		"postgres://u:canary@localhost,db.example.org/app?sslmode=prefer":           true,
		"postgres://u:canary@db.example.org:port/app":                               false,
		"postgres://u:canary@db.example.org/app?sslmode=verify-full&sslrootcert=/x": false,
	} {
		_, err := pgsource.New(dsn, nil)
		if err == nil || errors.Is(err, backup.ErrRole) != role || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, ErrRole: want %v", dsn, err, role)
		}
		if _, err := pgsource.Into(dsn, nil); err == nil {
			t.Errorf("%s: accepted to restore into", dsn)
		}
	}
	for _, dsn := range []string{"postgres://u@db.example.org/app?sslmode=verify-full", "postgres://u@127.0.0.1/app", "host=/run/postgresql dbname=app"} {
		if _, err := pgsource.New(dsn, nil); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	if _, err := pgsource.Into("host=127.0.0.1 dbname=app", nil); err == nil {
		t.Error("accepted to restore by a DSN from which none of another login can be made")
	}
	if _, err := pgsource.New("postgres://u@127.0.0.1/app", &pgsource.Options{Exclude: map[string]string{"a": ""}}); err == nil {
		t.Error("a table was excluded without a reason")
	}
}

// What is left out is told, with its reason.
func TestExcluded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin(t, w.owner).MustExec(`CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
		CREATE FOREIGN TABLE far (x int) SERVER s; CREATE TABLE nothing (); SELECT lo_from_bytea(0, 'x'); CREATE UNLOGGED TABLE fast (x int)`)
	k := w.run(t, &pgsource.Options{Migrations: appFiles(), Lines: lines, Exclude: map[string]string{
		"ticket_log": "it is made anew", "pg_catalog.pg_largeobject": "thumbnails",
	}})
	want := []backup.Excluded{
		{Table: "art32.leases", Reason: "a restore ends all leases"},
		{Table: "art32.migrations", Reason: "written by the migrations, which the backup carries"},
		{Table: "art32.pattern", Reason: "made by the migrations, and always empty"},
		{Table: "art32.seal_keys", Reason: "the key of the seal is drawn anew"},
		{Table: "art32_keys.keys", Reason: "the keystore is copied apart"},
		{Table: "art32_keys.uses", Reason: "the keystore is copied apart"},
		{Table: "pg_catalog.pg_largeobject", Reason: "thumbnails"},
		{Table: "public.far", Reason: "the rows of a foreign table lie on another server"},
		{Table: "public.nothing", Reason: "the table has no column to carry"},
		{Table: "public.plan_names", Reason: "a materialized view is made anew"},
		{Table: "public.ticket_log", Reason: "it is made anew"},
	}
	if diff := cmp.Diff(want, k.excluded); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	var names []string
	for _, table := range k.tables[tenancy.ID{}] {
		names = append(names, table.Name)
	}
	for _, name := range []string{"public.plans", "public.old_plans", "public.fast", "art32.tenants", "art32.declared"} {
		if !strings.Contains(strings.Join(names, " "), name) {
			t.Errorf("%s is not carried: %v", name, names)
		}
	}
}

// The keystore may lie in another database.
func TestKeystoreElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := dbtest.Postgres(t)
	logins, err := postgres.Setup(t.Context(), other, nil)
	must(t, err)
	var rows []string
	must(t, admin(t, w.owner).Select(&rows, `SELECT k::text FROM art32_keys.keys k`))
	for _, r := range rows {
		admin(t, other).MustExec(`INSERT INTO art32_keys.keys SELECT ($1::art32_keys.keys).*`, r)
	}
	admin(t, w.owner).MustExec("DELETE FROM art32_keys.keys")
	o := &pgsource.Options{Migrations: appFiles(), Lines: []tenancy.Line{audit.Line()}, Keystore: logins.Backup}
	k := w.run(t, o)
	n := 0
	for _, f := range k.keystore {
		if strings.HasPrefix(f.name, "data/art32_keys.keys/") {
			n += strings.Count(string(f.text), "\n")
		}
	}
	if n == 0 || n != len(rows) {
		t.Errorf("%d keys of %d", n, len(rows))
	}
}
