package keyring_test

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

var (
	acme  = uuid.MustParse("00000000-0000-4000-8000-00000000ac3e")
	bolt  = uuid.MustParse("00000000-0000-4000-8000-00000000b017")
	place = field.Scope{Tenant: "acme", Table: "customers", Column: "email", Row: "42"}
)

// engines runs test on both, each with a keystore of its own.
func engines(t *testing.T, test func(t *testing.T, db *sql.DB, d migrate.Dialect)) {
	t.Helper()
	for d, open := range map[migrate.Dialect]func(testing.TB) *sql.DB{migrate.SQLite: openSQLite, migrate.Postgres: openPostgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, open(t), d)
		})
	}
}

func openSQLite(tb testing.TB) *sql.DB {
	tb.Helper()
	return openFile(tb, filepath.Join(tb.TempDir(), "keys.db"))
}

func openFile(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db := open(tb, "sqlite", fileDSN(path))
	up(tb, db, migrate.SQLite)
	return db
}

func fileDSN(path string) string {
	return "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(60000)&_txlock=immediate"
}

// openPostgres migrates as the owner and returns a pool of a login that is in
// the role library and owns nothing.
func openPostgres(tb testing.TB) *sql.DB {
	tb.Helper()
	return open(tb, "pgx", postgresDSN(tb))
}

func postgresDSN(tb testing.TB) string {
	tb.Helper()
	dsn := dbtest.FromTemplate(tb, "keyring", func(ctx context.Context, dsn string) error {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		if _, err := db.ExecContext(ctx, `DO $$ BEGIN CREATE ROLE art32_library NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`); err != nil {
			return err
		}
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = migrate.Up(ctx, conn, migrate.Postgres, keyring.Migrations())
		return err
	})
	return dsn + "&role=art32_library"
}

func open(tb testing.TB, driver, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func up(tb testing.TB, db *sql.DB, d migrate.Dialect) {
	tb.Helper()
	conn, err := db.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if _, err := migrate.Up(tb.Context(), conn, d, keyring.Migrations()); err != nil {
		tb.Fatal(err)
	}
}

func newRoot(tb testing.TB) keyring.Wrapper {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		tb.Fatal(err)
	}
	return value(keyring.KeyFile(path))(tb)
}

// counting counts the calls that reach the keystore: its round trips.
type counting struct {
	keyring.Store
	trips atomic.Int64
	fail  atomic.Pointer[error]
	delay atomic.Int64
}

func (c *counting) trip() error {
	c.trips.Add(1)
	time.Sleep(time.Duration(c.delay.Load()))
	if err := c.fail.Load(); err != nil {
		return *err
	}
	return nil
}

func (c *counting) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	if err := c.trip(); err != nil {
		return nil, err
	}
	return c.Store.Get(ctx, tenant, names)
}

func (c *counting) Insert(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	if err := c.trip(); err != nil {
		return nil, err
	}
	return c.Store.Insert(ctx, records)
}

func (c *counting) List(ctx context.Context) iter.Seq2[keyring.Record, error] {
	return c.Store.(keyring.Lister).List(ctx)
}

func newRing(tb testing.TB, root keyring.Wrapper, store keyring.Store, o *keyring.Options) *keyring.Ring {
	tb.Helper()
	return value(keyring.New(root, store, o))(tb)
}

// value(f())(t) is f's value, or the end of the test.
func value[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func noError(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func subjects(n int) []uuid.UUID {
	out := make([]uuid.UUID, n)
	for i := range out {
		out[i] = uuid.New()
	}
	return out
}

// memory is a keystore that costs nothing to read.
type memory map[string][]keyring.Record

func (m memory) Get(_ context.Context, _ uuid.UUID, names []string) (out []keyring.Record, err error) {
	for _, n := range names {
		out = append(out, m[n]...)
	}
	return out, nil
}

func (memory) Insert(context.Context, []keyring.Record) ([]keyring.Record, error) {
	return nil, errReadOnly
}

func (memory) Shred(context.Context, uuid.UUID, string, time.Time) error { return errReadOnly }

func (memory) Reserve(context.Context, uuid.UUID, string, uint32, int64, int64) (bool, error) {
	return false, errReadOnly
}

var errReadOnly = errors.New("read only")
