package dbtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
)

// TestPooler: in transaction mode two clients share the one connection to the
// server, in session mode the second has to wait.
func TestPooler(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Postgres(t)
	pid := func(dsn string) int {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), dsn+"&default_query_exec_mode=exec")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		n := ask[int](t, conn, "SELECT pg_backend_pid()")
		if n == int(conn.PgConn().PID()) {
			t.Error("the client talks to the server itself")
		}
		return n
	}
	shared := dbtest.Pooler(t, dbtest.PoolTransactions, &dbtest.PoolerOptions{Size: 1}, dsn)[0]
	if a, b := pid(shared), pid(shared); a != b {
		t.Errorf("processes %d and %d, want one", a, b)
	}
	own := dbtest.Pooler(t, dbtest.PoolSessions, nil, dsn)[0]
	if a, b := pid(own), pid(own); a == b {
		t.Error("two sessions share a process")
	}
}
