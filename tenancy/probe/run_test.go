package probe_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/probe"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestNothingStays: a run leaves each row, sequence, object, right and setting as it
// was, also where the attacks work, and where it panics.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		engine, spoil string
		bend          func(tb testing.TB, w *tenancytest.World) *tenancy.DB
	}{
		"held":             {engine: probe.Postgres},
		"broken":           {engine: probe.Postgres, spoil: unprotected + spill + "DELETE ON notes FOR EACH ROW EXECUTE FUNCTION spill()"},
		"panic":            {engine: probe.Postgres, spoil: unprotected, bend: panics},
		"sqlite":           {engine: probe.SQLite},
		"sqlite unguarded": {engine: probe.SQLite, bend: unguardedFiles},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", measure)
			w := newWorld(t, c.engine)
			if c.spoil != "" {
				_, err := w.Raw(t, w.A).ExecContext(t.Context(), names(t, w).Replace(c.spoil))
				must(t, err)
			}
			db := w.DB
			if c.bend != nil {
				db = c.bend(t, w)
			}
			before := everything(t, w)
			func() {
				defer func() {
					if got := recover(); (got != nil) != (name == "panic") {
						t.Errorf("recovered %v", got)
					}
				}()
				if r := tried(t, w, db); r.OK() != (name == "held" || name == "sqlite") {
					t.Errorf("broken: %v, missing: %v", found(r), r.Missing())
				}
			}()
			if diff := cmp.Diff(before, everything(t, w)); diff != "" || len(before) < 20 {
				t.Errorf("%d lines; the run changed something (-before +after):\n%s", len(before), diff)
			}
		})
	}
}

// panics ends the program's flow behind the first deletion of the library's.
func panics(tb testing.TB, w *tenancytest.World) *tenancy.DB {
	tb.Helper()
	return on(tb, w, &bent{
		Engine: w.DB.Engine(engine.Library), bend: func(s engine.Stmt) engine.Stmt { return s },
		then: func(s engine.Stmt) {
			if strings.HasPrefix(s.SQL, "DELETE") {
				panic("behind a deletion")
			}
		},
	})
}

// everything is what the databases of a world hold.
func everything(tb testing.TB, w *tenancytest.World) (all []string) {
	tb.Helper()
	if w.Engine == tenancytest.SQLite {
		for _, id := range []tenancy.ID{{}, w.A, w.B} {
			db := w.Raw(tb, id)
			for _, table := range lines(tb, db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1") {
				columns := strings.Join(lines(tb, db, "SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('"+table+"')"), " || ',' || ")
				all = append(all, lines(tb, db, "SELECT "+columns+" FROM \""+table+"\" ORDER BY 1")...)
			}
			all = append(all, lines(tb, db, "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY 1")...)
			must(tb, db.Close())
		}
		return all
	}
	db := w.Raw(tb, w.A)
	for _, table := range lines(tb, db, "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information)' ORDER BY 1") {
		all = append(all, lines(tb, db, "SELECT '"+table+" ' || x::text || xmin || ctid FROM ONLY "+table+" x ORDER BY 1")...)
	}
	for _, q := range []string{
		"SELECT s.schemaname || s.sequencename || coalesce(s.last_value, 0) FROM pg_sequences s ORDER BY 1",
		"SELECT relname || relkind::text || coalesce(relacl::text, '') || relowner::text || relrowsecurity || relforcerowsecurity FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_(toast|temp)' ORDER BY oid",
		"SELECT proname || coalesce(proacl::text, '') FROM pg_proc ORDER BY oid", "SELECT oid::text FROM pg_largeobject_metadata",
		"SELECT r.rolname || rolsuper || rolbypassrls FROM pg_roles r WHERE starts_with(rolname, current_database()) ORDER BY 1",
		"SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())",
		"SELECT pubname FROM pg_publication", "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
		"SELECT count(*)::text FROM pg_prepared_xacts WHERE database = current_database()",
		"SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
	} {
		all = append(all, lines(tb, db, q)...)
	}
	must(tb, db.Close())
	return all
}

func lines(tb testing.TB, db *sql.DB, query string) (all []string) {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query)
	must(tb, err)
	defer rows.Close()
	for rows.Next() {
		var text sql.NullString
		must(tb, rows.Scan(&text))
		all = append(all, text.String)
	}
	must(tb, rows.Err())
	return all
}

// TestProduction: where a stamp does not say otherwise nothing is tried.
func TestProduction(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", measure)
			w := newWorld(t, engine)
			table := map[string]string{tenancytest.SQLite: "art32_environment", tenancytest.Postgres: "art32.environment"}[engine]
			raw := w.Raw(t, tenancy.ID{})
			for _, change := range []string{"UPDATE " + table + " SET name = 'production'", "DELETE FROM " + table} {
				_, err := raw.ExecContext(t.Context(), change)
				must(t, err)
				if r, err := probe.Run(t.Context(), w.DB, nil); !errors.Is(err, probe.ErrProduction) || len(r.Probes) != 0 {
					t.Errorf("after %s: %v, want ErrProduction", change, err)
				}
			}
		})
	}
}

// TestOptions: what is chosen, what is accepted, and what there is to try between.
func TestOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tenancytest.SQLite)
	r, err := probe.Run(t.Context(), w.DB, nil) // finds the tenants
	if err != nil || !r.OK() || r.Tenants != [2]string{w.A.String(), w.B.String()} && r.Tenants != [2]string{w.B.String(), w.A.String()} {
		t.Errorf("tenants %v, %v", r.Tenants, err)
	}
	for _, o := range []probe.Options{{Probes: []string{"no such"}}, {Accept: []string{""}}, {Accept: []string{"no such"}}} {
		if _, err := probe.Run(t.Context(), w.DB, &o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	db := unguardedFiles(t, w)
	r, err = probe.Run(t.Context(), db, &probe.Options{Probes: []string{"attach"}, Accept: []string{"attach", "shared-keys"}})
	if err != nil || !r.OK() || len(r.Probes) != 1 || r.Probes[0].State() != probe.Broken || !r.Probes[0].Accepted {
		t.Errorf("accepted: %+v, %v", r.Probes, err)
	}
	empty := tenancytest.New(t, schema, options(t, tenancytest.SQLite))
	if _, err := probe.Run(t.Context(), empty.DB, nil); !errors.Is(err, probe.ErrNoTenants) {
		t.Errorf("without rows: %v", err)
	}
	r = tried(t, empty, empty.DB)
	if r.OK() || len(r.Missing()) != len(schema) || len(r.Broken()) != 0 {
		t.Errorf("tables without rows: %v", r.Missing())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe.Run(ctx, w.DB, nil); err == nil {
		t.Error("a report of a run that was cut short")
	}
}

// TestNoValues: no value of a row is in a report, whatever was found.
func TestNoValues(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", measure)
	w := newWorld(t, tenancytest.Postgres)
	_, err := w.Raw(t, w.A).ExecContext(t.Context(), unprotected+"ALTER TABLE customers ADD CHECK (city <> 'x')")
	must(t, err)
	r := tried(t, w, w.DB)
	text := fmt.Sprintf("%+v", r)
	if len(r.Broken()) == 0 || strings.Contains(text, "canary") {
		t.Errorf("a value shows: %s", text)
	}
}
