package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy/sqlite"
)

type thingRow struct {
	ID     uuid.UUID `db:"id"`
	Tenant uuid.UUID `db:"tenant_id"`
	N      int       `db:"n"`
}

const getThing = "SELECT id, tenant_id, n FROM main.things WHERE tenant_id = $1 AND id = $2"

// BenchmarkGet reads one row by its key: through the engine, and through plain
// sqlx, unprepared, on a connection without a guard.
func BenchmarkGet(b *testing.B) {
	w := open(b, nil)
	tenant := w.tenant(b)
	var id uuid.UUID
	for n := range 900 {
		id = w.insert(b, tenant, n)
	}
	db, err := sql.Open("sqlite", w.path(tenant))
	must(b, err)
	defer db.Close()
	x := sqlx.NewDb(db, "sqlite3")
	ratio := promise.Ratio(b, func(n int) {
		for range n {
			if r, err := get(b, w, tenant, id); err != nil || r.ID != id {
				b.Fatal(err)
			}
		}
	}, func(n int) {
		for range n {
			var r thingRow
			if err := x.GetContext(b.Context(), &r, getThing, tenant, id); err != nil || r.ID != id {
				b.Fatal(err)
			}
		}
	})
	promise.Report(b, "tenancy/sqlite-get", "ratio", ratio, promise.AtMost(0.7))
}

func get(tb testing.TB, w world, tenant, id uuid.UUID) (r thingRow, err error) {
	tx, err := w.eng.Begin(tb.Context(), engine.Scope{Tenant: tenant})
	if err != nil {
		return r, err
	}
	_, err = tx.Run(tb.Context(), engine.Stmt{SQL: getThing, Args: []any{tenant, id}, Rows: 1}, engine.Commit,
		func(row engine.Row) error { return row.Scan(&r.ID, &r.Tenant, &r.N) })
	return r, err
}

// BenchmarkInsert writes one row in a transaction of its own, durably.
func BenchmarkInsert(b *testing.B) {
	w := open(b, nil)
	tenant := w.tenant(b)
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			_, err := w.exec(b.Context(), tenant, "INSERT INTO things (id, tenant_id) VALUES ($1, $2)", uuid.New(), tenant)
			must(b, err)
		}
	})
	b.Run("sqlx", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "plain.db")
		copyFile(b, w.path(tenant), path)
		db, err := sql.Open("sqlite", path+"?_journal_mode=WAL&_synchronous=FULL")
		must(b, err)
		defer db.Close()
		x := sqlx.NewDb(db, "sqlite3")
		for b.Loop() {
			_, err := x.ExecContext(b.Context(), "INSERT INTO things (id, tenant_id) VALUES ($1, $2)", uuid.New(), tenant)
			must(b, err)
		}
	})
}

// BenchmarkCold opens the file of a tenant that was not open, reads and closes.
func BenchmarkCold(b *testing.B) {
	w := open(b, nil)
	tenant := w.tenant(b)
	id := w.insert(b, tenant, 1)
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		_, err := get(b, w, tenant, id)
		must(b, errors.Join(err, sqlite.Evict(w.eng, tenant)))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	promise.Report(b, "tenancy/sqlite-cold", "ms", took[len(took)/2].Seconds()*1e3, promise.AtMost(1.5))
}

// BenchmarkManyTenants goes through the files of 10,000 tenants, of which 100 stay
// open.
func BenchmarkManyTenants(b *testing.B) {
	const tenants, kept = 10_000, 100
	w := open(b, &sqlite.Options{MaxOpen: kept, Durability: sqlite.DurabilityUnsafeProcess})
	ids := make([]uuid.UUID, tenants)
	for i := range ids {
		ids[i] = w.tenant(b)
		w.insert(b, ids[i], i%100)
		must(b, sqlite.Evict(w.eng, ids[i]))
	}
	memory, files := resident(b), openFiles(b)
	for b.Loop() {
		for _, id := range ids {
			if n := one[int](b, w, id, "SELECT count(*) FROM main.things"); n != 1 {
				b.Fatal(n)
			}
		}
	}
	promise.Report(b, "tenancy/sqlite-10000-tenants", "MiB", float64(resident(b)-memory)/(1<<20), promise.AtMost(30))
	promise.Report(b, "tenancy/sqlite-files-a-handle", "files", float64(openFiles(b)-files)/kept, promise.AtMost(3))
}

// resident is the memory of the process in bytes, that of SQLite too, which is
// outside the heap.
func resident(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	must(b, err)
	var size, pages int64
	_, err = fmt.Sscan(string(text), &size, &pages)
	must(b, err)
	return pages * int64(os.Getpagesize())
}

func openFiles(b *testing.B) int {
	b.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	must(b, err)
	return len(files)
}
