package dbtest_test

import (
	"database/sql"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/internal/dbtest"
)

// TestSettled: a transaction in another database of the server keeps VACUUM FULL
// from taking a dead row, and Settled waits for its end.
func TestSettled(t *testing.T) {
	t.Parallel()
	open := func() *sql.DB {
		db, err := sql.Open("pgx", dbtest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	exec := func(db interface {
		Exec(query string, args ...any) (sql.Result, error)
	}, texts ...string,
	) {
		for _, text := range texts {
			if _, err := db.Exec(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	}
	size := func(db *sql.DB) (n int64) {
		if err := db.QueryRow(`SELECT pg_relation_size('x')`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	here, elsewhere := open(), open()
	long, err := elsewhere.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec(long, `CREATE TABLE y ()`)
	exec(here, `CREATE TABLE x AS SELECT 1 AS n`, `DELETE FROM x`, `VACUUM FULL x`)
	if size(here) == 0 {
		t.Fatal("VACUUM FULL takes the row all the same: nothing need be waited for")
	}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		dbtest.Settled(t, here)
	}()
	select {
	case <-settled:
		t.Error("it did not wait")
	case <-time.After(100 * time.Millisecond):
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-settled
	exec(here, `VACUUM FULL x`)
	if size(here) != 0 {
		t.Error("after the wait VACUUM FULL keeps the row still")
	}
}
