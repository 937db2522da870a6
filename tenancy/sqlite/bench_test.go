package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

type thingRow struct {
	ID     uuid.UUID `db:"id"`
	Tenant uuid.UUID `db:"tenant_id"`
	N      int       `db:"n"`
}

const getThing = "SELECT id, tenant_id, n FROM main.things WHERE tenant_id = $1 AND id = $2"

// BenchmarkGet reads one row by its key: through the engine, and through plain
// sqlx on a connection without a guard.
func BenchmarkGet(b *testing.B) {
	w := open(b, nil)
	tenant := w.tenant(b)
	var id uuid.UUID
	for n := range 900 {
		id = w.insert(b, tenant, n)
	}
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r, err := get(b, w, tenant, id); err != nil || r.ID != id {
				b.Fatal(err)
			}
		}
	})
	b.Run("sqlx", func(b *testing.B) {
		db, err := sql.Open("sqlite", w.path(tenant))
		must(b, err)
		defer db.Close()
		x := sqlx.NewDb(db, "sqlite3")
		b.ReportAllocs()
		for b.Loop() {
			var r thingRow
			if err := x.GetContext(b.Context(), &r, getThing, tenant, id); err != nil || r.ID != id {
				b.Fatal(err)
			}
		}
	})
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
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			_, err := get(b, w, tenant, id)
			must(b, err)
			must(b, sqlite.Evict(w.eng, tenant))
		}
	})
}
