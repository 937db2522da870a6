package keyringtest_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/migrate"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// TestStores runs the kit over the keystore on both engines.
func TestStores(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		keyringtest.RunStore(t, func(t *testing.T) keyring.Store {
			t.Helper()
			path := filepath.Join(t.TempDir(), "keys.db")
			db := open(t, "sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(20000)&_txlock=immediate")
			if err := up(t.Context(), db, migrate.SQLite); err != nil {
				t.Fatal(err)
			}
			return keyring.SQLStore(db, migrate.SQLite)
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		store := openPostgres(t)
		keyringtest.RunStore(t, func(*testing.T) keyring.Store { return store })
	})
}

func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func up(ctx context.Context, db *sql.DB, d migrate.Dialect) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = migrate.Up(ctx, conn, d, keyring.Migrations())
	return err
}

func openPostgres(t *testing.T) keyring.Store {
	t.Helper()
	dsn := dbtest.FromTemplate(t, "keyringtest", func(ctx context.Context, dsn string) error {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return err
		}
		defer db.Close()
		if _, err := db.ExecContext(ctx, `DO $$ BEGIN CREATE ROLE art32_library NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`); err != nil {
			return err
		}
		return up(ctx, db, migrate.Postgres)
	})
	return keyring.SQLStore(open(t, "pgx", dsn+"&role=art32_library"), migrate.Postgres)
}
