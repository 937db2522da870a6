package probe_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/probe"
	"github.com/art32/art32/tenancy/tenancytest"
)

// fixture is a database in which a defence is missing, and the probes that must find
// out.
type fixture struct {
	name, engine string
	spoil        string // SQL of the administrator; APP, LIBRARY, DATABASE, A and B are filled in
	bend         func(tb testing.TB, w *tenancytest.World) *tenancy.DB
	caught       string
}

// flaw is one of many that stand in one database, the probe that must find it, and
// what that must say of it.
type flaw struct {
	name, spoil, caught, object, says string
}

const (
	unprotected = "ALTER TABLE customers DISABLE ROW LEVEL SECURITY; ANALYZE customers; "
	sealed      = "tenant_id = (SELECT tenant FROM art32.ctx)"
	claim       = "nullif(split_part(current_setting('art32.ctx', true), '.', 2), '')::uuid"
	spill       = `CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 THEN
		PERFORM set_config('art32.tenant', 'B', true); UPDATE customers SET city = 'spilt'; PERFORM set_config('art32.tenant', 'A', true);
		END IF; RETURN NULL; END $$; CREATE TRIGGER spill AFTER `
)

// app makes a condition the one of the app login.
func app(table, using string) string {
	return "ALTER POLICY art32_app ON " + table + " USING (" + using + "); ALTER POLICY art32_app_guard ON " + table + " USING (" + using + "); "
}

var fixtures = []fixture{
	{"a superuser", probe.Postgres, "ALTER ROLE APP SUPERUSER", nil, "roles set-role server read write control-tables"},
	{"bypass", probe.Postgres, "ALTER ROLE LIBRARY BYPASSRLS", nil, "roles read"},
	{"a member of the library's group", probe.Postgres, "GRANT art32_library TO APP", nil, "set-role"},
	{"no force", probe.Postgres, "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY", nil, "row-security"},
	{"a partition that is reached", probe.Postgres, "GRANT SELECT, INSERT, DELETE ON notes_0 TO art32_app", nil, "row-security policies read write row-security-off"},
	{"a second policy without guard", probe.Postgres, "CREATE POLICY everyone ON customers USING (true) WITH CHECK (true); DROP POLICY art32_app_guard ON customers; DROP POLICY art32_library_guard ON customers", nil,
		"policies read write upsert merge no-context"},
	{"no row-level security", probe.Postgres, unprotected, nil, "row-security read write upsert merge row-security-off no-context statistics side-channels"},
	{"an old server", probe.Postgres, "", oldServer, "known-faults"},
	{"a policy that believes a claim", probe.Postgres, app("customers", "tenant_id = (SELECT "+claim+")"), nil, "forged-context"},
	{"a policy that lets nobody's session see all", probe.Postgres, app("customers", sealed+" OR coalesce(current_setting('art32.ctx', true), '') = ''"), nil, "no-context"},
	{"a policy by a function said to be immutable", probe.Postgres, "CREATE FUNCTION tenant() RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN nullif(current_setting('art32.tenant', true), '')::uuid; END $$;" +
		"ALTER POLICY art32_library ON customers USING (tenant_id = tenant()); ALTER POLICY art32_library_guard ON customers USING (tenant_id = tenant())", nil, "generic-plan"},
	{"a sealed policy by a function said to be immutable", probe.Postgres, "CREATE FUNCTION tenant() RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT tenant FROM art32.ctx); END $$;" +
		app("customers", "tenant_id = tenant()"), nil, "prepared-plan"},
	{"a trigger that spills edits", probe.Postgres, spill + "UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION spill()", nil, "trigger-effects"},
	{"a trigger that spills deletions", probe.Postgres, spill + "DELETE ON notes FOR EACH ROW EXECUTE FUNCTION spill()", nil, "trigger-effects"},
	{"the usual driver", probe.Postgres, "", usualDriver, "settings prepared-names cursors notify advisory-locks injected-commit statistics"},
	{"the usual driver without policies", probe.Postgres, unprotected, usualDriver, "copy"},
	{"a file with a row of another", probe.SQLite, "UPDATE notes SET tenant_id = 'B'", nil, "own-file"},
	{"plain connections", probe.SQLite, "", unguardedFiles, "attach vacuum pragmas functions control-tables schema injected-commit every-connection"},
	{"another's file", probe.SQLite, "", otherFile, "own-rows"},
	{"a trigger into the log", probe.SQLite, "CREATE TRIGGER evil AFTER UPDATE ON customers BEGIN DELETE FROM art32_events; END", nil, "library-triggers"},
	{"a trigger on the log", probe.SQLite, "CREATE TRIGGER evil AFTER INSERT ON art32_events BEGIN SELECT 1; END", nil, "library-triggers"},
}

// flaws are what the catalogue shows; none hides another.
var flaws = []flaw{
	{"a member of the server's files", "GRANT pg_read_server_files TO APP", "roles", "", "pg_read_server_files"},
	{"a login that replicates", "ALTER ROLE APP REPLICATION", "replication", "", "it has the attribute REPLICATION"},
	{"a login that owns a view", "ALTER VIEW plans OWNER TO APP", "roles", "plans", "it belongs to the login"},
	{"a table without policies", "CREATE TABLE bare (id int); GRANT SELECT ON bare TO art32_app", "row-security", "bare", "it can be reached and has no forced"},
	{"TRUNCATE", "GRANT TRUNCATE ON customers TO art32_library", "privileges", "customers", "TRUNCATE is granted"},
	{"TRIGGER", "GRANT TRIGGER ON customers TO APP", "privileges", "customers", "TRIGGER is granted"},
	{"REFERENCES of a column", "GRANT REFERENCES (id) ON customers TO APP", "privileges", "customers", "REFERENCES is granted"},
	{"an access over tenants that writes", "GRANT INSERT ON customers TO art32_across", "privileges", "customers", "may do more than read"},
	{"an access over tenants without a guard", "DROP POLICY art32_across_guard ON customers", "policies", "customers", "nothing restricts art32_across"},
	{"a publication", "CREATE PUBLICATION flaw FOR TABLE customers", "publications", "customers", "publication flaw carries it"},
	{"CREATE in a schema", "GRANT CREATE ON SCHEMA public TO art32_app", "create", "public", "may create in it"},
	{"CREATE in the database", "GRANT CREATE ON DATABASE DATABASE TO APP", "create", "", "may create schemas"},
	{"TEMP", "GRANT TEMP ON DATABASE DATABASE TO APP", "temporary-objects", "", "INTO TEMP art32_probe (app): carried out"},
	{"a view of a superuser", "CREATE VIEW v AS SELECT id, plan FROM customers; GRANT SELECT ON v TO art32_app", "views", "v", "it reads with the rights of its owner"},
	{"a materialised view", "CREATE MATERIALIZED VIEW m AS SELECT * FROM customers; GRANT SELECT ON m TO art32_app", "materialised-views", "m", "it can be reached"},
	{"a function of a superuser", "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.customers'", "definer-functions", "f()", "it runs with the rights of"},
	{"a function that claims to be tight", "CREATE FUNCTION f(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true'", "leaky-functions", "f(text)", "it is marked LEAKPROOF"},
	{"a unique key across tenants", "ALTER TABLE customers ADD CONSTRAINT flaw_unique UNIQUE (plan)", "unique-keys", "customers", "flaw_unique leaves out the tenant"},
	{"an exclusion across tenants", "ALTER TABLE customers ADD CONSTRAINT flaw_exclude EXCLUDE (plan WITH =)", "unique-keys", "customers", "flaw_exclude leaves out the tenant"},
	{"a foreign key across tenants", "ALTER TABLE customers ADD UNIQUE (id); ALTER TABLE notes ADD CONSTRAINT flaw_key FOREIGN KEY (customer_id) REFERENCES customers (id)", "foreign-keys", "notes", "flaw_key leaves out the tenant"},
	{"a cascade across tenants", "ALTER TABLE notes ADD CONSTRAINT flaw_cascade FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE", "cascades", "notes", "flaw_cascade leaves out the tenant"},
	{"the keys of the seal", "GRANT SELECT ON art32.seal_keys TO art32_app", "control-tables", "art32.seal_keys", "SELECT is granted"},
	{"the log", "GRANT DELETE ON art32.events TO art32_app", "control-tables", "art32.events", "DELETE is granted"},
	{"what people's data is in the log", "GRANT INSERT (tenant_id, event_id, part) ON art32.event_parts TO art32_app", "control-tables", "art32.event_parts", "INSERT is granted"},
	{"a function that reads files", "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC", "server", "", "pg_read_file"},
	{"the sessions of others", "GRANT EXECUTE ON FUNCTION pg_stat_get_activity TO PUBLIC", "shared-sessions", "pg_stat_get_activity(integer)", "may call it"},
	{"the end of others", "GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC", "shared-sessions", "pg_terminate_backend(integer,bigint)", "may call it"},
	{"the statements of others", "CREATE EXTENSION pg_stat_statements", "statement-statistics", "pg_stat_statements", "may read it"},
	{"messages in the write-ahead log", "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO PUBLIC", "write-ahead-log", "", "pg_logical_emit_message(false"},
	{"large objects", "GRANT EXECUTE ON FUNCTION lo_create TO PUBLIC", "large-objects", "", "lo_create(0) (app): carried out"},
}

// TestBroken: each missing defence is found out, and each probe finds one.
func TestBroken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	finders := map[string]bool{}
	t.Run("fixtures", func(t *testing.T) {
		for _, f := range fixtures {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				t.Attr("art32.measure", measure)
				want := strings.Fields(f.caught)
				w := newWorld(t, f.engine)
				if f.spoil != "" {
					_, err := w.Raw(t, w.A).ExecContext(t.Context(), names(t, w).Replace(f.spoil))
					must(t, err)
				}
				db := w.DB
				if f.bend != nil {
					db = f.bend(t, w)
				}
				got := found(tried(t, w, db, want...))
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("found by %v, want %v", got, want)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, name := range got {
					finders[f.engine+"/"+name] = true
				}
			})
		}
	})
	t.Run("flaws", func(t *testing.T) {
		for name := range flawed(t) {
			finders[probe.Postgres+"/"+name] = true
		}
	})
	for _, p := range probe.Probes() {
		if !finders[p.Engine+"/"+p.Name] {
			t.Errorf("probe %s of %s finds no broken database", p.Name, p.Engine)
		}
	}
}

// flawed makes one database with all flaws, and gives the probes that found theirs.
func flawed(t *testing.T) map[string]bool {
	t.Helper()
	t.Attr("art32.measure", measure)
	w := newWorld(t, probe.Postgres)
	var probes []string
	for _, f := range flaws {
		_, err := w.Raw(t, w.A).ExecContext(t.Context(), names(t, w).Replace(f.spoil))
		must(t, err)
		probes = append(probes, f.caught)
	}
	r, finders := tried(t, w, w.DB, probes...), map[string]bool{}
	for _, f := range flaws {
		is := func(x probe.Result) bool {
			return x.State == probe.Broken && (f.object == "" || x.Object == f.object) && strings.Contains(x.What.English, f.says)
		}
		if !slices.ContainsFunc(r.Probes, func(o probe.Outcome) bool { return o.Name == f.caught && slices.ContainsFunc(o.Results, is) }) {
			t.Errorf("%s: %s did not find it", f.name, f.caught)
			continue
		}
		finders[f.caught] = true
	}
	return finders
}

// names fills what a fixture leaves open.
func names(tb testing.TB, w *tenancytest.World) *strings.Replacer {
	tb.Helper()
	fill := []string{"'A'", "'" + w.A.String() + "'", "'B'", "'" + w.B.String() + "'"}
	if w.Engine == tenancytest.Postgres {
		var database string
		must(tb, w.Raw(tb, w.A).QueryRowContext(tb.Context(), "SELECT current_database()").Scan(&database))
		fill = append(fill, " APP", ` "`+database+`_app"`, " LIBRARY", ` "`+database+`_library"`, "DATABASE DATABASE", `DATABASE "`+database+`"`)
	}
	return strings.NewReplacer(fill...)
}

// TestClean: a database with all defences passes all probes, on both engines.
func TestClean(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", measure)
			w := newWorld(t, engine)
			r := tried(t, w, w.DB)
			if !r.OK() || len(r.Probes) < 10 || len(r.Tables) != len(schema) {
				t.Errorf("%d probes, %d tables; missing %v", len(r.Probes), len(r.Tables), r.Missing())
			}
			for _, o := range r.Broken() {
				t.Errorf("%s: %+v", o.Name, o.Results)
			}
		})
	}
}
