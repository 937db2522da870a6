package pgsource_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// change alters a file of what tenants share.
func (k *taken) change(t *testing.T, name string, to func(string) string) {
	t.Helper()
	files := append([]file(nil), k.parts[tenancy.ID{}]...)
	for i, f := range files {
		if f.name == name {
			files[i].text = []byte(to(string(f.text)))
			k.parts[tenancy.ID{}] = files
			return
		}
	}
	t.Fatalf("no file %s", name)
}

// No text that comes out of a backup is run with a superuser's rights, neither at
// once nor by what it leaves behind.
func TestTextsRunWithoutRights(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	const app = "migrations/app/0001_app.sql"
	for name, c := range map[string]struct{ file, text string }{
		"partitions":                 {"partitions.sql", "RESET ROLE; RESET SESSION AUTHORIZATION; %s"},
		"sequences":                  {"sequences.sql", "COMMIT; RESET ROLE; %s"},
		"a migration":                {app, "RESET ROLE; %s"},
		"a migration of the library": {"migrations/tenancy/0001_tenancy.sql", "RESET ROLE; %s"},
		"a trigger on rows": {app, `CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RESET ROLE; %s RETURN coalesce(NEW, OLD); END $f$;
			CREATE TRIGGER evil BEFORE INSERT OR DELETE ON plans FOR EACH ROW EXECUTE FUNCTION evil();
			ALTER TABLE plans ENABLE ALWAYS TRIGGER evil;`},
		"a trigger on the seal": {app, `CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RESET ROLE; %s RETURN coalesce(NEW, OLD); END $f$;
			CREATE TRIGGER evil BEFORE INSERT ON art32.seal_keys FOR EACH ROW EXECUTE FUNCTION evil();
			ALTER TABLE art32.seal_keys ENABLE ALWAYS TRIGGER evil;`},
		"a check of rows": {app, `CREATE FUNCTION evil() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RESET ROLE; %s RETURN true; END $f$;
			ALTER TABLE customers ADD CHECK (evil());`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := w.run(t, nil)
			dsn := dbtest.Postgres(t)
			db := admin(t, dsn)
			var evil string
			must(t, db.Get(&evil, "SELECT current_database() || '_evil'"))
			t.Cleanup(func() { db.MustExec(fmt.Sprintf("DROP ROLE IF EXISTS %q", evil)) })
			k.change(t, c.file, func(s string) string {
				return s + "\n;" + fmt.Sprintf(c.text, fmt.Sprintf("CREATE ROLE %q SUPERUSER;", evil)) + "\n"
			})
			d := into(t, dsn)
			if _, err := k.feed(t.Context(), d); err == nil {
				t.Error("it was loaded, so that nothing was tried")
			}
			var n int
			must(t, db.Get(&n, "SELECT count(*) FROM pg_roles WHERE rolname = $1", evil))
			if n != 0 {
				t.Error("a text of the backup made a superuser")
			}
			must(t, d.Abort(t.Context()))
		})
	}
}

// A name that the backup chose is found by no statement of a superuser's, and the
// login of the restore is gone with it.
func TestLoginOfTheRestore(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	k := w.run(t, nil)
	dsn := dbtest.Postgres(t)
	db := admin(t, dsn)
	left := func() (n int) {
		must(t, db.Get(&n, `SELECT count(*) FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
			WHERE r.rolname LIKE 'art32\_restore\_%' AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
				OR s.classid = 'pg_database'::regclass AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))`))
		return n
	}
	d := into(t, dsn)
	_, err := k.feed(t.Context(), d)
	must(t, err)
	var name string
	must(t, db.Get(&name, "SELECT obj_description('art32_restoring'::regnamespace, 'pg_namespace')"))
	var rights string
	must(t, db.Get(&rights, `SELECT concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin, rolvaliduntil < now() + interval '8 days')
		FROM pg_roles WHERE rolname = $1`, name))
	if rights != "f f f f t t" || left() == 0 {
		t.Errorf("the restore's login: %s", rights)
	}
	must(t, d.Finish(t.Context()))
	var n int
	must(t, db.Get(&n, "SELECT count(*) FROM pg_roles WHERE rolname = $1", name))
	if n != 0 || left() != 0 {
		t.Error("the restore's login is left")
	}
	must(t, d.Abort(t.Context()))
}

// Of restores into one place, one goes on; the others harm nothing.
func TestTwoRestores(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	k := w.run(t, nil)
	dsn := dbtest.Postgres(t)
	all := make([]*pgsource.Destination, 4)
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i := range all {
		all[i] = into(t, dsn)
		wg.Go(func() { errs[i] = all[i].Begin(t.Context()) })
	}
	wg.Wait()
	first := -1
	for i, err := range errs {
		switch {
		case err == nil && first >= 0:
			t.Fatal("two have begun")
		case err == nil:
			first = i
		case !errors.Is(err, backup.ErrNotEmpty):
			t.Errorf("%v, want ErrNotEmpty", err)
		}
	}
	for i, d := range all {
		if i != first {
			must(t, d.Abort(t.Context()))
		}
	}
	_, err := k.load(t.Context(), all[first])
	must(t, err)
	must(t, all[first].Finish(t.Context()))

	// One whose mark was taken away finds another's place.
	dsn = dbtest.Postgres(t)
	db := admin(t, dsn)
	stale, next := into(t, dsn), into(t, dsn)
	must(t, stale.Begin(t.Context()))
	db.MustExec("DROP SCHEMA art32_restoring")
	_, err = k.feed(t.Context(), next)
	must(t, err)
	must(t, next.Finish(t.Context()))
	if _, err := k.load(t.Context(), stale); err == nil {
		t.Error("loaded into a place that is in use")
	}
	if err := stale.Abort(t.Context()); err == nil {
		t.Error("Abort does not say that it did nothing")
	}
	var n int
	must(t, db.Get(&n, "SELECT count(*) FROM customers"))
	if n != 1 {
		t.Errorf("%d customers are left, want 1", n)
	}
}

// Until a restore has finished, its database may hold people who were erased:
// nobody opens it.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	k := w.run(t, nil)
	dsn := dbtest.Postgres(t)
	d := into(t, dsn)
	_, err := k.feed(t.Context(), d)
	must(t, err) // and here it dies
	o := &postgres.SetupOptions{Migrations: appFiles(), Lines: lines}
	if _, err := postgres.Setup(t.Context(), dsn, o); err == nil || !strings.Contains(err.Error(), "drop the database") {
		t.Errorf("%v, want what to do", err)
	}
	if err := into(t, dsn).Begin(t.Context()); !errors.Is(err, backup.ErrNotEmpty) || !strings.Contains(err.Error(), "drop the database") {
		t.Errorf("%v, want what to do", err)
	}
	if out, err := psql(t, dsn, k.unpack(t), "shared/schema.sql"); err == nil {
		t.Errorf("restored by hand into it: %s", out)
	}
	must(t, d.Finish(t.Context()))
	_, err = postgres.Setup(t.Context(), dsn, o)
	must(t, err)
}

// A restore that fails takes no right in another database.
func TestAbortElsewhere(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	db := admin(t, w.owner)
	var live string
	must(t, db.Get(&live, "SELECT current_database()"))
	dsn := dbtest.Postgres(t)
	var other string
	must(t, admin(t, dsn).Get(&other, "SELECT current_database()"))
	for _, role := range []string{live + "_reporting", other + "_owner"} {
		db.MustExec(fmt.Sprintf("CREATE ROLE %q; GRANT CONNECT ON DATABASE %q TO %[1]q", role, live))
		t.Cleanup(func() {
			for _, db := range []string{dsn, w.owner} {
				admin(t, db).MustExec(fmt.Sprintf("DROP OWNED BY %q CASCADE", role))
			}
			db.MustExec(fmt.Sprintf("DROP ROLE %q", role))
		})
	}
	k := w.run(t, nil)
	k.change(t, "migrations/app/0001_app.sql", func(s string) string {
		return s + fmt.Sprintf("\n;CREATE TABLE figures (n int); GRANT SELECT ON figures TO %q;", live+"_reporting")
	})
	may := func(role string) (can bool) {
		must(t, db.Get(&can, "SELECT has_database_privilege($1::name, $2, 'CONNECT')", role, live))
		return can
	}
	d := into(t, dsn)
	_, err := k.feed(t.Context(), d)
	must(t, err)
	if err := d.Abort(t.Context()); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("%v: an owner of tables with rights elsewhere was swept", err)
	}
	if !may(other+"_owner") || !may(live+"_reporting") {
		t.Error("rights in another database are gone")
	}

	dsn2 := dbtest.Postgres(t)
	d = into(t, dsn2)
	_, err = k.feed(t.Context(), d)
	must(t, err)
	gone(t, d, dsn2)
	if !may(live + "_reporting") {
		t.Error("rights in another database are gone")
	}
	// An owner who was there before, and has nothing elsewhere, stays.
	dsn3 := dbtest.Postgres(t)
	var third string
	must(t, admin(t, dsn3).Get(&third, "SELECT current_database()"))
	db.MustExec(fmt.Sprintf("CREATE ROLE %q", third+"_owner"))
	t.Cleanup(func() { db.MustExec(fmt.Sprintf("DROP ROLE %q", third+"_owner")) })
	d = into(t, dsn3)
	_, err = k.feed(t.Context(), d)
	must(t, err)
	must(t, d.Abort(t.Context()))
	again := into(t, dsn3)
	must(t, again.Begin(t.Context()))
	must(t, again.Abort(t.Context()))
	// One who may do more than own tables is not taken.
	db.MustExec(fmt.Sprintf("GRANT pg_read_server_files TO %q", third+"_owner"))
	d = into(t, dsn3)
	if _, err := k.feed(t.Context(), d); err == nil || !strings.Contains(err.Error(), "pg_read_server_files") {
		t.Errorf("%v, want a refusal", err)
	}
	must(t, d.Abort(t.Context()))
}

// Partitions that went, came back elsewhere or were never made by a migration
// hang in the restored database as they hung.
func TestPartitionsMoved(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	hangs := `SELECT string_agg(inhparent::regclass || ' ' || inhrelid::regclass || ' ' || pg_get_expr(c.relpartbound, c.oid), '; ' ORDER BY inhrelid::regclass::text)
		FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE relispartition AND relkind IN ('r', 'p')`
	for name, sql := range map[string]string{
		"detached":  "ALTER TABLE measurements DETACH PARTITION measurements_2025",
		"moved":     "ALTER TABLE measurements DETACH PARTITION measurements_2025; ALTER TABLE measurements ATTACH PARTITION measurements_2025 FOR VALUES FROM ('2025-01-01 00:00Z') TO ('2025-12-01 00:00Z')",
		"dropped":   "DROP TABLE measurements_2025",
		"made anew": "DROP TABLE measurements_2025; CREATE TABLE m PARTITION OF measurements DEFAULT; SELECT art32.protect('m')",
		"a value": `CREATE TABLE m PARTITION OF measurements DEFAULT PARTITION BY LIST ((value::text));
			SELECT art32.protect('m'); CREATE TABLE "b $art32$ \! :x" PARTITION OF m FOR VALUES IN (E'$art32$ '' \\! '' :x \n\\! y'); SELECT art32.protect('"b $art32$ \! :x"')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			db := admin(t, w.owner)
			db.MustExec("INSERT INTO measurements VALUES ($1, '2025-05-05', 1)", w.a)
			if name == "a value" {
				db.MustExec("ALTER TABLE measurements DROP CONSTRAINT measurements_pkey")
			}
			db.MustExec(sql)
			k := w.run(t, nil)
			dsn := dbtest.Postgres(t)
			d := into(t, dsn)
			if name == "a value" { // as the source
				k.change(t, "migrations/app/0001_app.sql", func(s string) string {
					return s + ";ALTER TABLE measurements DROP CONSTRAINT measurements_pkey;"
				})
			}
			tables, err := k.feed(t.Context(), d)
			must(t, err)
			same(t, k.tables, tables)
			must(t, d.Finish(t.Context()))
			var want, got string
			must(t, db.Get(&want, "SELECT coalesce(("+hangs+"), '')"))
			must(t, admin(t, dsn).Get(&got, "SELECT coalesce(("+hangs+"), '')"))
			if want != got {
				t.Errorf("they hang\n%s\nand hung\n%s", got, want)
			}
		})
	}
}

// What stands in the catalogue of a database reaches no shell by psql.
func TestByHandRunsNoCommand(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	ran := filepath.Join(t.TempDir(), "ran")
	evil := `\! touch ` + ran + ` #`
	db := admin(t, w.owner)
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	for i, mark := range []string{`$art32$ `, `' `, `'; `, `" `, "'\n", "$$\n", "\\'; "} {
		table := "regions" + string(rune('a'+i))
		db.MustExec(fmt.Sprintf(`CREATE TABLE %s (region text) PARTITION BY LIST (region);
			CREATE TABLE %s PARTITION OF %[1]s FOR VALUES IN (E'%[3]s')`, table, quote(mark[:1]+string(rune('a'+i))+` \! :x`),
			strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(mark+evil)))
	}
	db.MustExec(fmt.Sprintf("CREATE SEQUENCE %s", quote(`$$'\! :x`)))
	k := w.run(t, nil)
	var makes strings.Builder
	for i := range 7 {
		fmt.Fprintf(&makes, ";CREATE TABLE regions%c (region text) PARTITION BY LIST (region)", 'a'+i)
	}
	fmt.Fprintf(&makes, ";CREATE SEQUENCE %s;", quote(`$$'\! :x`))
	k.change(t, "migrations/app/0001_app.sql", func(s string) string { return s + makes.String() })
	dir, dsn := k.unpack(t), dbtest.Postgres(t)
	for _, script := range []string{"shared/schema.sql", "shared/load.sql", "keystore/load.sql"} {
		if out, err := psql(t, dsn, dir, script); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("psql ran a command that stood in a value")
	}
	var n int
	must(t, admin(t, dsn).Get(&n, "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE '%!%'"))
	if n != 7 {
		t.Errorf("%d partitions, want 7", n)
	}
}
