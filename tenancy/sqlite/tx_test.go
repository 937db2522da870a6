package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

func TestTx(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, w world, tenant uuid.UUID){
		"nothing sent":                  nothingSent,
		"queue runs first":              queueFirst,
		"wrong rows roll back":          wrongRows,
		"failed transaction is over":    failedIsOver,
		"error of the reader":           readerFails,
		"cancelled context rolls back":  cancelRollsBack,
		"library text beside callers'":  bothTexts,
		"caller cannot commit":          callerCommits,
		"caller cannot roll back":       callerRollsBack,
		"or rollback leaves no trace":   orRollback,
		"failed caller text ends it":    failedCaller,
		"denied is counted":             deniedCounted,
		"platform has no callers' text": platformSQL,
		"statement inside reader":       nestedRun,
		"two goroutines":                twoGoroutines,
		"no write outside":              writeOutside,
	}
	for name, check := range cases {
		t.Run("sqlite/"+name, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil)
			check(t, w, w.tenant(t))
		})
	}
}

func things(t testing.TB, w world, tenant uuid.UUID) int {
	t.Helper()
	return one[int](t, w, tenant, "SELECT count(*) FROM things")
}

func begin(t testing.TB, w world, tenant uuid.UUID) engine.Tx {
	t.Helper()
	tx, err := w.eng.Begin(t.Context(), engine.Scope{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func thing(tenant uuid.UUID, n int) engine.Stmt {
	return engine.Stmt{SQL: insertThing, Args: []any{uuid.New(), tenant, n}, Rows: 1}
}

func nothingSent(t *testing.T, w world, _ uuid.UUID) {
	tx := begin(t, w, uuid.New()) // unknown: the first statement would fail
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func queueFirst(t *testing.T, w world, tenant uuid.UUID) {
	tx := begin(t, w, tenant)
	tx.Queue(thing(tenant, 1))
	tx.Queue(thing(tenant, 2))
	var n int
	got, err := tx.Run(t.Context(), engine.Stmt{SQL: "SELECT count(*) FROM things"}, engine.Commit, func(r engine.Row) error { return r.Scan(&n) })
	if err != nil || got != 1 || n != 2 {
		t.Fatalf("rows %d, things %d, %v", got, n, err)
	}
	if n := things(t, w, tenant); n != 2 {
		t.Fatalf("%d things were committed", n)
	}
	tx = begin(t, w, tenant)
	tx.Queue(thing(tenant, 3))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := things(t, w, tenant); n != 3 {
		t.Fatalf("%d things after a commit of the queue", n)
	}
}

func wrongRows(t *testing.T, w world, tenant uuid.UUID) {
	w.insert(t, tenant, 1)
	for _, s := range []engine.Stmt{
		{SQL: "UPDATE things SET n = 5 WHERE n = 77", Rows: 1},
		{SQL: "DELETE FROM things", Rows: 2},
		{SQL: "SELECT id FROM things", Rows: 2},
		{SQL: "UPDATE things SET n = 5 RETURNING id", Rows: 2},
	} {
		tx := begin(t, w, tenant)
		_, err := tx.Run(t.Context(), s, engine.Commit, nil)
		want(t, err, engine.WrongRows)
		tx = begin(t, w, tenant)
		tx.Queue(s)
		want(t, tx.Commit(t.Context()), engine.WrongRows)
	}
	if n := one[int](t, w, tenant, "SELECT n FROM things"); n != 1 {
		t.Fatalf("the row holds %d", n)
	}
}

func failedIsOver(t *testing.T, w world, tenant uuid.UUID) {
	tx := begin(t, w, tenant)
	if _, err := tx.Run(t.Context(), thing(tenant, 1), engine.Continue, nil); err != nil {
		t.Fatal(err)
	}
	_, err := tx.Run(t.Context(), thing(tenant, 1), engine.Continue, nil)
	want(t, err, engine.Unique)
	if _, err := tx.Run(t.Context(), thing(tenant, 2), engine.Commit, nil); err == nil {
		t.Fatal("a failed transaction went on")
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Fatal("a failed transaction was committed")
	}
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things were written", n)
	}
}

func readerFails(t *testing.T, w world, tenant uuid.UUID) {
	w.insert(t, tenant, 1)
	own := errors.New("own")
	tx := begin(t, w, tenant)
	if _, err := tx.Run(t.Context(), thing(tenant, 2), engine.Continue, nil); err != nil {
		t.Fatal(err)
	}
	_, err := tx.Run(t.Context(), engine.Stmt{SQL: "SELECT id FROM things"}, engine.Commit, func(engine.Row) error { return own })
	if !errors.Is(err, own) {
		t.Fatal(err)
	}
	if n := things(t, w, tenant); n != 1 {
		t.Fatalf("%d things", n)
	}
}

func cancelRollsBack(t *testing.T, w world, tenant uuid.UUID) {
	ctx, cancel := context.WithCancel(t.Context())
	tx := begin(t, w, tenant)
	if _, err := tx.Run(ctx, thing(tenant, 1), engine.Continue, nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := tx.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	endless := "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
	_, err := begin(t, w, tenant).Run(ctx, engine.Stmt{SQL: endless}, engine.Commit, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	err = w.inSQL(ctx, tenant, func(engine.SQLTx) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things", n)
	}
}

func bothTexts(t *testing.T, w world, tenant uuid.UUID) {
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		if _, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1); err != nil {
			return err
		}
		_, err := tx.Run(t.Context(), engine.Stmt{SQL: "UPDATE art32_home SET lines = lines WHERE one = 1", Rows: 1}, engine.Continue, nil)
		if err != nil {
			return err
		}
		tx.Queue(engine.Stmt{SQL: "UPDATE art32_home SET lines = lines", Rows: 1})
		var n int
		if err := tx.SQLX().Get(&n, "SELECT count(*) FROM things WHERE n = ?", 1); err != nil || n != 1 {
			return fmt.Errorf("%d things: %w", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := things(t, w, tenant); n != 1 {
		t.Fatalf("%d things", n)
	}
}

func callerCommits(t *testing.T, w world, tenant uuid.UUID) {
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		if _, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1); err != nil {
			return err
		}
		want(t, tx.SQLX().Commit(), engine.Forbidden)
		tx.Queue(thing(tenant, 2))
		return nil
	})
	want(t, err, engine.Forbidden)
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things were written", n)
	}
}

func callerRollsBack(t *testing.T, w world, tenant uuid.UUID) {
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		if _, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1); err != nil {
			return err
		}
		if err := tx.SQLX().Rollback(); err != nil {
			return err
		}
		_, err := tx.Run(t.Context(), thing(tenant, 2), engine.Continue, nil)
		want(t, err, engine.Forbidden)
		return nil
	})
	want(t, err, engine.Forbidden)
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things were written", n)
	}
}

// orRollback: SQLite rolls back without a ROLLBACK, and would commit by itself
// what comes after.
func orRollback(t *testing.T, w world, tenant uuid.UUID) {
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		for range 2 {
			_, _ = tx.SQLX().Exec("INSERT OR ROLLBACK INTO things (id, tenant_id, n) VALUES ('x', ?, 1)", tenant)
		}
		if _, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 2); err == nil {
			t.Error("a statement ran after the transaction was gone")
		}
		return nil
	})
	want(t, err, engine.Unique)
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things were written", n)
	}
}

func failedCaller(t *testing.T, w world, tenant uuid.UUID) {
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		if _, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1); err != nil {
			return err
		}
		_, err := tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1)
		want(t, err, engine.Unique)
		return nil // as if nothing had happened
	})
	want(t, err, engine.Unique)
	if n := things(t, w, tenant); n != 0 {
		t.Fatalf("%d things were written", n)
	}
}

func deniedCounted(t *testing.T, w world, tenant uuid.UUID) {
	var held engine.SQLTx
	err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		held = tx
		_, _ = tx.SQLX().Exec("ATTACH 'x' AS x")
		_, _ = tx.SQLX().Exec(insertThing, uuid.New(), tenant, 1)
		return nil
	})
	want(t, err, engine.Forbidden)
	if n := held.Denied(); n != 1 {
		t.Fatalf("%d statements were denied", n)
	}
}

func platformSQL(t *testing.T, w world, _ uuid.UUID) {
	_, err := w.eng.BeginSQL(t.Context(), engine.Scope{})
	want(t, err, engine.Forbidden)
}

func nestedRun(t *testing.T, w world, tenant uuid.UUID) {
	for n := range 3 {
		w.insert(t, tenant, n)
	}
	tx := begin(t, w, tenant)
	all := engine.Stmt{SQL: "SELECT n FROM things ORDER BY n"}
	var seen []int
	_, err := tx.Run(t.Context(), all, engine.Continue, func(r engine.Row) error {
		var outer int
		if err := r.Scan(&outer); err != nil {
			return err
		}
		_, err := tx.Run(t.Context(), all, engine.Continue, func(r engine.Row) error {
			var inner int
			err := r.Scan(&inner)
			seen = append(seen, 10*outer+inner)
			return err
		})
		return err
	})
	if err != nil || fmt.Sprint(seen) != "[0 1 2 10 11 12 20 21 22]" {
		t.Fatal(seen, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// twoGoroutines breaks the rules on purpose: callers' text that runs beside the
// library's must not get its rights.
func twoGoroutines(t *testing.T, w world, tenant uuid.UUID) {
	for n := range 50 {
		w.insert(t, tenant, n)
	}
	both := engine.Stmt{SQL: "SELECT lines FROM art32_home, things"}
	for range 60 { // the first refusal ends a transaction
		_ = w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
			var wg sync.WaitGroup
			reading := make(chan struct{})
			wg.Go(func() {
				var once sync.Once
				_, _ = tx.Run(t.Context(), both, engine.Continue, func(engine.Row) error {
					once.Do(func() { close(reading) })
					return nil
				})
			})
			<-reading
			var s string
			if err := tx.SQLX().Get(&s, "SELECT lines FROM art32_home"); err == nil {
				t.Error("a caller read a table of the library")
			}
			wg.Wait()
			return nil
		})
	}
}

// writeOutside: what looks like a single read cannot commit a write that hides
// in it.
func writeOutside(t *testing.T, w world, tenant uuid.UUID) {
	w.insert(t, tenant, 1)
	if _, err := w.exec(t.Context(), tenant, "SELECT 1; DELETE FROM things"); err == nil {
		t.Error("the write was let through")
	}
	if n := things(t, w, tenant); n != 1 {
		t.Fatalf("%d things", n)
	}
}

func TestTwoWriters(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		other := openAt(t, w.dir, nil) // as another process would
		tenant := w.tenant(t)
		const each = 40
		var wg sync.WaitGroup
		for i, x := range []world{w, other, w, other} {
			wg.Go(func() {
				for j := range each {
					if _, err := x.exec(t.Context(), tenant, insertThing, uuid.New(), tenant, i*each+j); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := things(t, w, tenant); n != 4*each {
			t.Fatalf("%d things", n)
		}
	})
	t.Run("sqlite/second gives up", func(t *testing.T) {
		t.Parallel()
		w := open(t, &sqlite.Options{BusyTimeout: 30 * time.Millisecond})
		other := openAt(t, w.dir, &sqlite.Options{BusyTimeout: 30 * time.Millisecond})
		tenant := w.tenant(t)
		tx := begin(t, w, tenant)
		if _, err := tx.Run(t.Context(), thing(tenant, 1), engine.Continue, nil); err != nil {
			t.Fatal(err)
		}
		for _, x := range []world{w, other} {
			_, err := x.exec(t.Context(), tenant, insertThing, uuid.New(), tenant, 2)
			want(t, err, engine.Unavailable)
			if !strings.Contains(err.Error(), "locked") {
				t.Error(err)
			}
		}
		if n := things(t, other, tenant); n != 0 { // readers do not wait
			t.Fatalf("%d things", n)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
