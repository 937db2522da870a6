package dbtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
)

// TestPair: what was committed on the first is on the second when it takes over.
func TestPair(t *testing.T) {
	t.Parallel()
	first, second := dbtest.Pair(t)
	if _, err := connect(t, first.URL()).Exec(t.Context(), "CREATE TABLE x AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	conn := connect(t, second.URL())
	if !ask[bool](t, conn, "SELECT pg_is_in_recovery()") || !ask[bool](t, conn, "SELECT pg_promote()") {
		t.Error("the second did not follow, or does not take over")
	}
	if n := ask[int](t, conn, "SELECT n FROM x"); n != 7 {
		t.Errorf("got %d", n)
	}
	if _, err := pgx.Connect(t.Context(), first.URL()); err == nil {
		t.Error("the first is still there")
	}
}
