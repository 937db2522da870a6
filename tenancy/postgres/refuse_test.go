package postgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/tenancy/postgres"
)

func badMigration(tb testing.TB) fs.FS {
	tb.Helper()
	dir := tb.TempDir()
	write(tb, filepath.Join(dir, "0001_broken.sql"), "CREATE TABLE half (id int); SELECT 1 / 0")
	return os.DirFS(dir)
}

// flaw is a change of the database for which Open refuses it. ROLE stands for
// the name of the database's app login, LIBRARY, OWNER and DATABASE likewise.
type flaw struct {
	name, spoil, want, mend string
}

var flaws = []flaw{
	{"a restore", "CREATE SCHEMA art32_restoring", "has not finished", "DROP SCHEMA art32_restoring"},
	{"superuser", "ALTER ROLE ROLE SUPERUSER", "steps over row-level security", "ALTER ROLE ROLE NOSUPERUSER"},
	{"bypass", "ALTER ROLE LIBRARY BYPASSRLS", "steps over row-level security", "ALTER ROLE LIBRARY NOBYPASSRLS"},
	{"createrole", "ALTER ROLE ROLE CREATEROLE", "may create roles", "ALTER ROLE ROLE NOCREATEROLE"},
	{"owner's group", "GRANT OWNER TO ROLE", "owns table", "REVOKE OWNER FROM ROLE"},
	{"library's group", "GRANT art32_library TO ROLE", "is a member of art32_library", "REVOKE art32_library FROM ROLE"},
	{"server's files", "GRANT pg_read_server_files TO ROLE", "is a member of pg_read_server_files", "REVOKE pg_read_server_files FROM ROLE"},
	{"programs", "GRANT pg_execute_server_program TO LIBRARY", "is a member of pg_execute_server_program", "REVOKE pg_execute_server_program FROM LIBRARY"},
	{"setting", "ALTER ROLE ROLE SET search_path = x", ": search_path", "ALTER ROLE ROLE RESET ALL"},
	{"setting here", "ALTER ROLE ROLE IN DATABASE DATABASE SET art32.ctx = 'x'", ": art32.ctx", "ALTER ROLE ROLE IN DATABASE DATABASE RESET ALL"},
	{"temp", "GRANT TEMP ON DATABASE DATABASE TO PUBLIC", "(TEMP)", "REVOKE ALL ON DATABASE DATABASE FROM PUBLIC"},
	{"create", "GRANT CREATE ON DATABASE DATABASE TO ROLE", "(CREATE)", "REVOKE CREATE ON DATABASE DATABASE FROM ROLE"},
	{"schema", "GRANT CREATE ON SCHEMA public TO PUBLIC", "may create in schema public", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"},
	{"truncate", "GRANT TRUNCATE ON customers TO art32_app", "may TRUNCATE on customers", "SELECT art32.protect('customers')"},
	{"trigger", "GRANT TRIGGER ON customers TO PUBLIC", "may TRIGGER on customers", "SELECT art32.protect('customers')"},
	{"references", "GRANT REFERENCES ON trace TO ROLE", "may REFERENCES on trace", "REVOKE REFERENCES ON trace FROM ROLE"},
	{"no force", "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY", "table customers can be reached", "SELECT art32.protect('customers')"},
	{"disabled", "ALTER TABLE trace DISABLE ROW LEVEL SECURITY", "table trace can be reached", "SELECT art32.protect('trace')"},
	{"policy dropped", "DROP POLICY art32_app_guard ON customers", "lacks policy art32_app_guard", "SELECT art32.protect('customers')"},
	{"policy for nobody", "ALTER POLICY art32_app_guard ON customers TO pg_monitor", "lacks policy art32_app_guard", "SELECT art32.protect('customers')"},
	{"policy loosened", "ALTER POLICY art32_app_guard ON customers USING (true)", "lacks policy art32_app_guard", "SELECT art32.protect('customers')"},
	{"policy loosened beside the seal", "ALTER POLICY art32_app_guard ON customers USING (true OR tenant_id = (SELECT tenant FROM art32.ctx))", "lacks policy art32_app_guard", "SELECT art32.protect('customers')"},
	{"policy loosened for writes", "ALTER POLICY art32_app_guard ON customers WITH CHECK (true)", "lacks policy art32_app_guard", "SELECT art32.protect('customers')"},
	{"report dropped", "DROP TRIGGER art32_report_update ON customers", "lacks trigger art32_report_update", "SELECT art32.protect('customers')"},
	{"report disabled", "ALTER TABLE customers DISABLE TRIGGER art32_report_delete", "lacks trigger art32_report_delete", "SELECT art32.protect('customers')"},
	{"report never", "CREATE OR REPLACE TRIGGER art32_report_insert AFTER INSERT ON customers REFERENCING NEW TABLE AS written FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION art32.report_write()", "lacks trigger art32_report_insert", "SELECT art32.protect('customers')"},
	{"no demand", "DO $$ BEGIN EXECUTE (SELECT format('DROP TRIGGER %I ON customers', tgname) FROM pg_trigger WHERE tgrelid = 'customers'::regclass AND tgname LIKE 'art32_demand%'); END $$", "lacks trigger art32_demand_event", "SELECT art32.protect('customers')"},
	{"partition", `CREATE TABLE parts (tenant_id uuid, id uuid) PARTITION BY HASH (id); CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		SELECT art32.protect('parts'); GRANT SELECT ON part TO art32_app`, "table part can be reached", "SELECT art32.protect('part')"},
	{"unprotected", "CREATE TABLE bare (id int); GRANT SELECT (id) ON bare TO art32_app", "table bare can be reached", "REVOKE SELECT (id) ON bare FROM art32_app"},
	{"view", "CREATE VIEW v AS SELECT * FROM customers; GRANT SELECT ON v TO art32_app", "view v reads with", "ALTER VIEW v SET (security_invoker = true)"},
	{"view to write", "CREATE VIEW v AS SELECT * FROM customers; GRANT DELETE ON v TO art32_app", "view v reads with", "ALTER VIEW v SET (security_invoker = 1)"},
	{"materialised view", "CREATE MATERIALIZED VIEW m AS SELECT * FROM customers; GRANT SELECT ON m TO art32_app", "view m reads with", "REVOKE ALL ON m FROM art32_app"},
	{"definer", "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.customers'", "function f() runs with", "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC"},
	{"the library's tables", "GRANT INSERT (id) ON art32.accesses TO art32_app", "may write to art32.accesses", "REVOKE INSERT (id) ON art32.accesses FROM art32_app"},
	{"column", "ALTER TABLE customers RENAME COLUMN email_bidx TO elsewhere", "column public.customers.email_bidx is declared", "ALTER TABLE customers RENAME COLUMN elsewhere TO email_bidx"},
	{"table", "ALTER TABLE customers RENAME TO elsewhere", "table public.customers is declared", "ALTER TABLE elsewhere RENAME TO customers"},
	{"log", "ALTER DATABASE DATABASE SET log_parameter_max_length = -1; ALTER DATABASE DATABASE SET log_statement = 'mod'", "logs statements with their parameters", "ALTER DATABASE DATABASE SET log_parameter_max_length = 0"},
	{"sessions", "GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC", "may execute pg_terminate_backend(integer,bigint)", "REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC"},
	{"activity", "GRANT EXECUTE ON FUNCTION pg_stat_get_activity TO art32_app", "may execute pg_stat_get_activity(integer)", "REVOKE EXECUTE ON FUNCTION pg_stat_get_activity FROM art32_app"},
	{"large objects", "GRANT EXECUTE ON FUNCTION lo_create TO ROLE", "may execute lo_create(oid)", "REVOKE EXECUTE ON FUNCTION lo_create FROM ROLE"},
	{"messages", "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO PUBLIC", "may execute pg_logical_emit_message(boolean,text,text)", "REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM PUBLIC"},
	{"unique", "ALTER TABLE customers ADD CONSTRAINT u UNIQUE (plan)", "unique index u of table customers leaves out the tenant", "ALTER TABLE customers DROP CONSTRAINT u"},
	{"unique expression", "CREATE UNIQUE INDEX u ON customers (lower(plan))", "unique index u of table customers", "DROP INDEX u; CREATE UNIQUE INDEX u ON customers (tenant_id, lower(plan))"},
	{"unique of two", "CREATE UNIQUE INDEX u ON customers (plan, id) INCLUDE (tenant_id)", "unique index u of table customers", "DROP INDEX u"},
	{"exclusion", "ALTER TABLE customers ADD CONSTRAINT e EXCLUDE (plan WITH =)", "exclusion constraint e of table customers", "ALTER TABLE customers DROP CONSTRAINT e"},
	{"foreign key", `ALTER TABLE customers ADD CONSTRAINT k UNIQUE (id); CREATE TABLE notes (tenant_id uuid NOT NULL, id uuid NOT NULL, customer uuid CONSTRAINT f REFERENCES customers (id) ON DELETE CASCADE, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('notes')`, "foreign key f of table notes leaves out the tenant",
		"ALTER TABLE notes DROP CONSTRAINT f, ADD CONSTRAINT f FOREIGN KEY (tenant_id, customer) REFERENCES customers(tenant_id, id) ON DELETE CASCADE"},
	{"foreign key that sets null", `ALTER TABLE customers ADD CONSTRAINT k UNIQUE (id); CREATE TABLE notes (tenant_id uuid NOT NULL, id uuid NOT NULL, customer uuid CONSTRAINT f REFERENCES customers (id) ON DELETE SET NULL, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('notes')`, "foreign key f of table notes leaves out the tenant",
		"ALTER TABLE notes DROP CONSTRAINT f, ADD CONSTRAINT f FOREIGN KEY (tenant_id, customer) REFERENCES customers(tenant_id, id) ON DELETE SET NULL (customer)"},
	{"untouched", "DROP TABLE customers; CREATE TABLE customers (id int)", "table customers is declared and not protected", mendTable},
	{"granted to another login", "DROP TABLE customers; CREATE TABLE customers (id int); GRANT SELECT ON customers TO LIBRARY", "table customers lacks policy", mendTable},
	{"foreign table", `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE remote (id int) SERVER s;
		GRANT SELECT ON remote TO art32_app`, "table remote can be reached", "REVOKE ALL ON remote FROM art32_app"},
}

// mendTable makes the table anew as its migration does.
const mendTable = `DROP TABLE customers; CREATE TABLE customers (tenant_id uuid NOT NULL, id uuid NOT NULL, email bytea, email_bidx bytea,
	name bytea, city text, plan text, visits int, born timestamptz, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('customers')`

func (w *world) tryOpen(t *testing.T, o *postgres.Options) error {
	t.Helper()
	db, err := postgres.Open(t.Context(), w.logins, schema, w.keys, trace{}, o)
	if err == nil {
		_ = db.Close()
	}
	return err
}

func (w *world) names(t *testing.T) *strings.Replacer {
	t.Helper()
	var database string
	if err := w.admin(t).Get(&database, "SELECT quote_ident(current_database())"); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("ROLE ROLE", "ROLE "+w.role(t, "app"), "TO ROLE", "TO "+w.role(t, "app"), "FROM ROLE", "FROM "+w.role(t, "app"),
		"LIBRARY", w.role(t, "library"), "GRANT OWNER", "GRANT "+w.role(t, "owner"), "REVOKE OWNER", "REVOKE "+w.role(t, "owner"),
		"DATABASE DATABASE", "DATABASE "+database)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	for _, f := range flaws {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-8.1")
			w := newWorld(t)
			_ = w.db.Close()
			names := w.names(t)
			w.admin(t).MustExec(names.Replace(f.spoil))
			refused, ok := errors.AsType[*postgres.RefusedError](w.tryOpen(t, nil))
			if !ok {
				t.Fatal("opened")
			}
			found := false
			for _, x := range refused.Findings {
				found = found || strings.Contains(x.What, f.want)
				if x.Mend == "" {
					t.Errorf("%s: nothing says what to do", x.What)
				}
			}
			if !found {
				t.Errorf("no finding says %q: %v", f.want, refused)
			}
			w.admin(t).MustExec(names.Replace(f.mend))
			if err := w.tryOpen(t, nil); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

// All that is wrong is said at once.
func TestOpenSaysAll(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	names := w.names(t)
	want := []string{"(TEMP)", "may TRUNCATE on customers", "table trace can be reached", "view v reads with", "function f() runs with", "column public.customers.born"}
	w.admin(t).MustExec(names.Replace(`GRANT TEMP ON DATABASE DATABASE TO PUBLIC; GRANT TRUNCATE ON customers TO art32_app;
		ALTER TABLE trace DISABLE ROW LEVEL SECURITY; ALTER TABLE customers DROP COLUMN born; CREATE VIEW v AS SELECT 1; GRANT SELECT ON v TO art32_app;
		CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`))
	err := w.tryOpen(t, nil)
	for _, s := range want {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is not said in: %v", s, err)
		}
	}
	// The owner's login in place of both.
	w = newWorld(t)
	w.logins = postgres.Logins{Library: w.owner, App: w.owner}
	refused, ok := errors.AsType[*postgres.RefusedError](w.tryOpen(t, nil))
	if !ok || len(refused.Findings) < 6 {
		t.Fatalf("the owner's login: %v", refused)
	}
	// Each login in place of the other.
	w = newWorld(t)
	w.logins.App, w.logins.Library = w.logins.Library, w.logins.App
	if err := w.tryOpen(t, nil); err == nil {
		t.Error("opened with the logins exchanged")
	}
	w.logins.Library = w.logins.App
	if err := w.tryOpen(t, nil); err == nil || !strings.Contains(err.Error(), "is a member of art32_library") {
		t.Errorf("the library login for both: %v", err)
	}
}

func TestOpenRefusesPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	copyFile(t, "testdata/app/0001_customers.sql", filepath.Join(dir, "0001_customers.sql"))
	write(t, filepath.Join(dir, "0002_trace.sql"), string(mustRead(t, "0002_trace.sql")))
	write(t, filepath.Join(dir, "0003_more.sql"), "CREATE TABLE more (tenant_id uuid, id uuid); SELECT art32.protect('more')")
	o := &postgres.Options{SetupOptions: postgres.SetupOptions{Migrations: os.DirFS(dir)}}
	err := w.tryOpen(t, o)
	if err == nil || !strings.Contains(err.Error(), "migration app/0003_more.sql is pending") {
		t.Errorf("%v, want the pending migration", err)
	}
	if err := postgres.Migrate(t.Context(), w.owner, &o.SetupOptions); err != nil {
		t.Fatal(err)
	}
	if err := w.tryOpen(t, o); err != nil {
		t.Errorf("migrated: %v", err)
	}
}

// mustRead gives one of the files of migrations.
func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(migrations(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
