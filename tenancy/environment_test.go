package tenancy_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// openAs opens a world's database as an environment, and says what it counts as.
func openAs(t *testing.T, w *tenancytest.World, environment string) (is string, err error) {
	t.Helper()
	var db *tenancy.DB
	if w.Engine == tenancytest.SQLite {
		db, err = sqlite.Open(t.Context(), w.Dir, office, w.Keys, w.Log, &sqlite.Options{Migrations: officeMigrations(), Environment: environment})
	} else {
		o := &postgres.Options{SetupOptions: postgres.SetupOptions{Environment: environment, Lines: []tenancy.Line{audit.Line()}}}
		db, err = postgres.Open(t.Context(), w.Logins, office, w.Keys, w.Log, o)
	}
	if err != nil {
		return "", err
	}
	is, err = db.Environment(t.Context())
	return is, errors.Join(err, db.Close())
}

// TestEnvironment: a database is opened as what it was stamped as, and counts as
// production without a stamp, whatever else it is said to be.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-8.1")
			w := newOffice(t, engine, nil) // stamped as test
			opens := func(environment, want string) {
				t.Helper()
				if is, err := openAs(t, w, environment); err != nil || is != want {
					t.Errorf("opened as %q: counts as %q, %v; want %q", environment, is, err, want)
				}
			}
			refuses := func(environment, word string) {
				t.Helper()
				if _, err := openAs(t, w, environment); err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("opened as %q: %v, want %q", environment, err, word)
				}
			}
			opens("", "test")
			opens("test", "test")
			refuses("production", "counts as test and not as production")
			refuses("staging", "counts as test and not as staging")
			for _, name := range []string{"Test", "1", "a b", "te'st", strings.Repeat("x", 32)} {
				refuses(name, "the name must be")
			}
			raw := w.Raw(t, tenancy.ID{})
			_, err := raw.ExecContext(t.Context(), "DELETE FROM "+controlTable(w, "environment"))
			must(t, err)
			opens("", tenancy.Production)
			refuses("test", "counts as production and not as test") // it has tenants
			opens(tenancy.Production, tenancy.Production)
			refuses("test", "counts as production and not as test")
		})
	}
}

// TestStamp: the owner stamps an empty database once, and the logins of the
// application cannot.
func TestStamp(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newOffice(t, tenancytest.Postgres, nil)
	setup := func(environment string) error {
		_, err := postgres.Setup(t.Context(), w.Owner, &postgres.SetupOptions{Environment: environment, Lines: []tenancy.Line{audit.Line()}})
		return err
	}
	must(t, setup("test"))
	must(t, setup(""))
	raw := w.Raw(t, tenancy.ID{})
	o := &postgres.SetupOptions{Environment: "staging", Lines: []tenancy.Line{audit.Line()},
		Migrations: fstest.MapFS{"0001_harm.sql": {Data: []byte("CREATE TABLE harm ();")}}}
	_, err := postgres.Setup(t.Context(), w.Owner, o)
	for verb, err := range map[string]error{"Setup": err, "Migrate": postgres.Migrate(t.Context(), w.Owner, o)} {
		if err == nil || !strings.Contains(err.Error(), "counts as test") {
			t.Errorf("%s of another environment: %v", verb, err)
		}
	}
	var harmed bool
	if must(t, raw.QueryRowContext(t.Context(), "SELECT to_regclass('harm') IS NOT NULL").Scan(&harmed)); harmed {
		t.Error("it was refused and migrated")
	}
	for _, role := range []string{"art32_library", "art32_app"} {
		var may bool
		must(t, raw.QueryRowContext(t.Context(), "SELECT has_table_privilege($1, 'art32.environment', 'INSERT, UPDATE, DELETE')", role).Scan(&may))
		if may {
			t.Errorf("%s may stamp", role)
		}
	}
	_, err = raw.ExecContext(t.Context(), "DELETE FROM art32.environment")
	must(t, err)
	if err := setup("staging"); err == nil || !strings.Contains(err.Error(), "counts as production") {
		t.Errorf("a database with tenants became staging: %v", err)
	}
	_, err = raw.ExecContext(t.Context(), "DELETE FROM art32.tenants")
	must(t, err)
	must(t, setup("staging"))
}

// TestStampOfTheUsed: what holds rows of an application before it is set up counts as
// production, whatever the caller takes it for.
func TestStampOfTheUsed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	owner := dbtest.Postgres(t)
	db := sqlx.MustOpen("pgx", owner)
	defer db.Close()
	db.MustExec("CREATE TABLE older (id int); INSERT INTO older VALUES (1); CREATE TABLE empty (id int)")
	o := &postgres.SetupOptions{Environment: "staging", Lines: []tenancy.Line{audit.Line()}}
	_, err := postgres.Setup(t.Context(), owner, o)
	if err == nil || !strings.Contains(err.Error(), "tables hold rows already") {
		t.Fatalf("%v, want a refusal", err)
	}
	var changed bool
	if must(t, db.Get(&changed, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname LIKE 'art32%')")); changed {
		t.Error("it was refused and changed")
	}
	o.Environment = ""
	_, err = postgres.Setup(t.Context(), owner, o)
	must(t, err)
	o.Environment = "staging"
	if _, err = postgres.Setup(t.Context(), owner, o); err == nil || !strings.Contains(err.Error(), "tables hold rows already") {
		t.Errorf("set up without a name before: %v, want a refusal", err)
	}
	db.MustExec("DELETE FROM older")
	_, err = postgres.Setup(t.Context(), owner, o)
	must(t, err)
}
