package tenancytest_test

import (
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/tenancytest"
)

// catalogue lists owners, rights, policies and settings, one a line, with the
// name of the database left out.
const catalogue = `SELECT replace(line, current_database(), 'DB') FROM (
	SELECT format('class %s owner %s rls %s %s', c.oid::regclass, c.relowner::regrole, relrowsecurity, relforcerowsecurity) AS line
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_|^information_schema$' AND relkind IN ('r', 'v', 'S', 'p')
	UNION ALL SELECT format('class %s %s', c.oid::regclass, a) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, unnest(relacl) a
		WHERE nspname !~ '^pg_|^information_schema$'
	UNION ALL SELECT format('function %s owner %s definer %s', p.oid::regprocedure, proowner::regrole, prosecdef)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname !~ '^pg_|^information_schema$'
	UNION ALL SELECT format('function %s %s', p.oid::regprocedure, a) FROM pg_proc p, unnest(proacl) a
	UNION ALL SELECT format('schema %s owner %s %s', nspname, nspowner::regrole, a) FROM pg_namespace, unnest(nspacl) a WHERE nspname !~ '^pg_toast|^pg_temp'
	UNION ALL SELECT format('language %s %s', lanname, a) FROM pg_language, unnest(lanacl) a
	UNION ALL SELECT format('policy %s on %s for %s %s to %s using %s check %s', polname, polrelid::regclass, polcmd, polpermissive,
		array(SELECT r::regrole FROM unnest(polroles) r), pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
	UNION ALL SELECT format('setting %s', s) FROM pg_db_role_setting, unnest(setconfig) s
		WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
	UNION ALL SELECT format('keys of the seal %s', count(*)) FROM art32.seal_keys
	UNION ALL SELECT format('migration %s/%s', line, name) FROM art32.migrations
) x ORDER BY 1`

// TestCopy: a database of a test is one that Setup prepared, in all that decides
// who may do what.
func TestCopy(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", "TOM-8.1")
		o := options(t)
		o.Engine = tenancytest.Postgres
		copied, twice := tenancytest.New(t, schema, o), tenancytest.New(t, schema, o)
		owner := dbtest.Postgres(t)
		_, err := postgres.Setup(t.Context(), owner, &postgres.SetupOptions{Migrations: o.Migrations, Lines: []tenancy.Line{audit.Line()}})
		if err != nil {
			t.Fatal(err)
		}
		want := lines(t, owner)
		if len(want) < 100 {
			t.Fatalf("%d lines: the query sees nothing", len(want))
		}
		for _, w := range []*tenancytest.World{copied, twice} {
			if diff := cmp.Diff(want, lines(t, w.Owner)); diff != "" {
				t.Errorf("(-set up +copied):\n%s", diff)
			}
		}
		if sealKey(t, copied.Owner) == sealKey(t, twice.Owner) {
			t.Error("two databases share the key of the seal")
		}
	})
}

func lines(t *testing.T, dsn string) (all []string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), catalogue)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func sealKey(t *testing.T, dsn string) (key string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT encode(ipad, 'hex') FROM art32.seal_keys").Scan(&key); err != nil {
		t.Fatal(err)
	}
	return key
}
