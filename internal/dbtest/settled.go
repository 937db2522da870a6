package dbtest

import (
	"context"
	"database/sql"
	"testing"
	"time"
)

const settleLimit = 5 * time.Minute

// Settled waits until every transaction that runs on the server now has ended, in
// whichever database. Until then VACUUM and VACUUM FULL keep dead rows: a snapshot
// reaches back to the oldest transaction of the whole server. db is a superuser's.
func Settled(tb testing.TB, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), settleLimit)
	defer cancel()
	var now string
	if err := db.QueryRowContext(ctx, `SELECT pg_current_xact_id()::text`).Scan(&now); err != nil {
		tb.Fatalf("dbtest: %v", err)
	}
	const query = `SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8 AND NOT EXISTS (SELECT FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND age(backend_xmin) >= age($1::xid8::xid))`
	for settled := false; !settled; time.Sleep(10 * time.Millisecond) {
		if err := db.QueryRowContext(ctx, query, now).Scan(&settled); err != nil {
			tb.Fatalf("dbtest: waiting for older transactions to end: %v", err)
		}
	}
}
