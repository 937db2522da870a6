package tenancytest

import (
	"database/sql"
	"math"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "modernc.org/sqlite"             // driver "sqlite"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// Raw is the database past all protection, as its administrator has it, for
// attacks and for a look at what is stored: on PostgreSQL a superuser's
// connection, on SQLite the file of the tenant, or for the zero ID that of the
// platform. It has one connection, and closes with tb. In a bubble of
// testing/synctest it must be used inside.
func (w *World) Raw(tb testing.TB, tenant tenancy.ID) *sql.DB {
	tb.Helper()
	driver, dsn := "sqlite", w.file(tenant)+"?_pragma=busy_timeout(5000)"
	if w.Engine == Postgres {
		driver, dsn = "pgx", w.Owner
	}
	db, err := sql.Open(driver, dsn)
	check(tb, err)
	db.SetMaxOpenConns(1) // settings hold for a connection
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// file is where SQLite keeps the rows of a tenant, or of the platform.
func (w *World) file(tenant tenancy.ID) string {
	if tenant.IsZero() {
		return filepath.Join(w.Dir, "platform.db")
	}
	return filepath.Join(w.Dir, "tenants", tenant.String()+".db")
}

// Seal gives all events that were written their places in the logs, and returns
// how many those are.
func (w *World) Seal(tb testing.TB) int {
	tb.Helper()
	n, err := w.Sealer.SealDue(tb.Context())
	check(tb, err)
	return n
}

// Verify verifies the log of the platform and those of all tenants, what waits
// for the sealer included, and fails tb with what is wrong.
func (w *World) Verify(tb testing.TB) {
	tb.Helper()
	tenants, err := w.DB.Tenants(tb.Context())
	check(tb, err)
	for _, t := range append(tenants, tenancy.Tenant{}) {
		report, err := audit.Verify(tb.Context(), w.DB, t.ID, &audit.VerifyOptions{Log: w.Log, MaxPending: forEver})
		check(tb, err)
		for _, f := range report.Findings {
			tb.Errorf("tenancytest: log of %s: %s: %s", nameOf(t.ID), f.Kind, f.Text)
		}
		if !report.OK() && len(report.Findings) == 0 {
			tb.Errorf("tenancytest: log of %s: %d events are of the future", nameOf(t.ID), report.Overdue)
		}
	}
}

// forEver is how long an event may wait: a test seals when it likes.
const forEver = time.Duration(math.MaxInt64)

func nameOf(tenant tenancy.ID) string {
	if tenant.IsZero() {
		return "the platform"
	}
	return "tenant " + tenant.String()
}
