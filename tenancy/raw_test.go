package tenancy_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// rawTenant opens the data of a tenant past the library, as its owner could.
func rawTenant(tb testing.TB, w *tenancytest.World, tenant tenancy.ID) *sql.DB {
	tb.Helper()
	driver, dsn := "pgx", w.Owner
	if w.Engine == tenancytest.SQLite {
		driver, dsn = "sqlite", filepath.Join(w.Dir, "tenants", tenant.String()+".db")
	}
	db, err := sql.Open(driver, dsn)
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// rawCount runs a query that counts; $1 is the tenant.
func rawCount(tb testing.TB, w *tenancytest.World, tenant tenancy.ID, query string) (n int) {
	tb.Helper()
	db := rawTenant(tb, w, tenant)
	must(tb, db.QueryRowContext(tb.Context(), query, tenant.String()).Scan(&n))
	must(tb, db.Close())
	return n
}

// rawExec changes the data of a tenant past the library; $1 is the tenant.
func rawExec(tb testing.TB, w *tenancytest.World, tenant tenancy.ID, text string) {
	tb.Helper()
	db := rawTenant(tb, w, tenant)
	_, err := db.ExecContext(tb.Context(), text, tenant.String())
	must(tb, err)
	must(tb, db.Close())
}

// controlTable is the name of a table of the library's own.
func controlTable(w *tenancytest.World, name string) string {
	if w.Engine == tenancytest.SQLite {
		return "art32_" + name
	}
	return "art32." + name
}
