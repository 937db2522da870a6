// Package migratetest gives tests a migrated database on each engine, with the
// logins that production has: an owner who migrates, a library role that works.
package migratetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/migrate"
)

// Database is a database of one test. On SQLite all names are the same file.
type Database struct {
	Dialect migrate.Dialect // SQL it speaks
	Admin   string          // data source name that row security does not bind
	Owner   string          // owner of the database, no superuser
	Library string          // member of art32_library
}

// Each runs f in a subtest per engine, on a database that holds lines.
func Each(t *testing.T, f func(t *testing.T, db Database), lines ...migrate.Line) {
	t.Helper()
	for _, d := range []migrate.Dialect{migrate.SQLite, migrate.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			db := create(t, d)
			if len(lines) > 0 {
				db.Up(t, lines...)
			}
			f(t, db)
		})
	}
}

// Up migrates as the owner and fails the test on an error.
func (d Database) Up(tb testing.TB, lines ...migrate.Line) {
	tb.Helper()
	if _, err := migrate.Up(tb.Context(), Conn(tb, d.Open(tb, d.Owner)), d.Dialect, lines...); err != nil {
		tb.Fatal(err)
	}
}

// Open opens a pool that is closed when the test ends.
func (d Database) Open(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	db, err := Open(d.Dialect, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close database: %v", err)
		}
	})
	return db
}

// Open opens a pool by the driver of a dialect.
func Open(d migrate.Dialect, dsn string) (*sql.DB, error) {
	if d == migrate.SQLite {
		return sql.Open("sqlite", dsn)
	}
	return sql.Open("pgx", dsn)
}

// Conn takes a connection that goes back when the test ends.
func Conn(tb testing.TB, db *sql.DB) *sql.Conn {
	tb.Helper()
	c, err := db.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Table is the name of a table of the library in the dialect.
func (d Database) Table(name string) string {
	if d.Dialect == migrate.SQLite {
		return "art32_" + name
	}
	return "art32." + name
}

// Exec runs a statement as the admin and fails the test on an error.
func (d Database) Exec(tb testing.TB, query string, args ...any) {
	tb.Helper()
	db := d.Open(tb, d.Admin)
	if _, err := db.ExecContext(tb.Context(), query, args...); err != nil {
		tb.Fatal(err)
	}
}

// Int returns the one number that query yields to the admin.
func (d Database) Int(tb testing.TB, query string, args ...any) (n int) {
	tb.Helper()
	db := d.Open(tb, d.Admin)
	if err := db.QueryRowContext(tb.Context(), query, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

const (
	envChild   = "ART32_CHILD"
	envDialect = "ART32_CHILD_DIALECT"
	envDSN     = "ART32_CHILD_DSN"
	envArgs    = "ART32_CHILD_ARGS"
)

// Child returns a command that runs this test binary again with the one test
// named, which must ask InChild first.
func (d Database) Child(tb testing.TB, test, dsn string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), envChild+"="+test, envDialect+"="+string(d.Dialect), envDSN+"="+dsn,
		envArgs+"="+strings.Join(args, "\n"))
	return cmd
}

// InChild reports whether this process is a child for the running test, and if
// so with which database and arguments.
func InChild(t *testing.T) (db *sql.DB, d migrate.Dialect, args []string, ok bool) {
	t.Helper()
	if os.Getenv(envChild) != t.Name() {
		return nil, "", nil, false
	}
	d = migrate.Dialect(os.Getenv(envDialect))
	db, err := Open(d, os.Getenv(envDSN))
	if err != nil {
		t.Fatal(err)
	}
	return db, d, strings.Split(os.Getenv(envArgs), "\n"), true
}

func create(tb testing.TB, d migrate.Dialect) Database {
	tb.Helper()
	if d == migrate.SQLite {
		dsn := "file:" + filepath.Join(tb.TempDir(), "art32.db") + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
		return Database{Dialect: d, Admin: dsn, Owner: dsn, Library: dsn}
	}
	admin := dbtest.Postgres(tb)
	db := Database{Dialect: d, Admin: admin, Owner: login(tb, admin, "owner"), Library: login(tb, admin, "library")}
	if err := roles(tb.Context(), db); err != nil {
		tb.Fatal(err)
	}
	return db
}

// login is admin's URL with a user of the database's own.
func login(tb testing.TB, admin, role string) string {
	tb.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.UserPassword(strings.TrimPrefix(u.Path, "/")+"_"+role, "test")
	return u.String()
}

func roles(ctx context.Context, d Database) (err error) {
	u, err := url.Parse(d.Admin)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(u.Path, "/")
	db, err := Open(d.Dialect, d.Admin)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for _, group := range []string{"art32_library", "art32_app"} {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(`DO $$ BEGIN CREATE ROLE %s NOLOGIN;
			EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`, group)); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf(`CREATE ROLE "%[1]s_owner" LOGIN PASSWORD 'test';
		CREATE ROLE "%[1]s_library" LOGIN PASSWORD 'test' IN ROLE art32_library;
		ALTER DATABASE "%[1]s" OWNER TO "%[1]s_owner"; ALTER SCHEMA public OWNER TO "%[1]s_owner"`, name))
	return err
}
