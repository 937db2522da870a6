package incident_test

import (
	"context"
	"testing"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// Callers' text reaches none of the tables, and a tenant's transaction of library
// text sees no row: in SQLite they lie in another file, in PostgreSQL row security
// hides them.
func TestTenantsSeeNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.delivered(t)
		for _, name := range []string{"incident_cases", "incident_notices", "incident_deliveries", "incident_contacts"} {
			var n int
			must(t, w.raw(t).QueryRowContext(t.Context(), "SELECT count(*) FROM "+w.table(name)).Scan(&n))
			if n == 0 {
				t.Errorf("%s is empty, so that this test shows nothing", name)
			}
			for _, text := range []string{"SELECT count(*) FROM " + w.table(name), "DELETE FROM " + w.table(name)} {
				if err := w.db.InSQL(w.in(t.Context(), w.a), func(ctx context.Context, tx *tenancy.SQLTx) error {
					_, err := tx.SQLX().ExecContext(ctx, text)
					return err
				}); err == nil {
					t.Errorf("callers' text may: %s", text)
				}
			}
			if w.Engine == "postgres" {
				w.sees(t, name, 0)
			}
		}
	})
}

// sees counts the rows that a transaction of library text for tenant a sees.
func (w *world) sees(t *testing.T, name string, want int64) {
	t.Helper()
	tx, err := w.db.Engine(engine.Library).Begin(t.Context(), engine.Scope{Tenant: w.a.UUID()})
	must(t, err)
	_, err = tx.Run(t.Context(), engine.Stmt{SQL: "SELECT count(*) FROM " + w.table(name)}, engine.Commit, func(r engine.Row) error {
		var n int64
		err := r.Scan(&n)
		if n != want {
			t.Errorf("%s: a tenant sees %d rows", name, n)
		}
		return err
	})
	must(t, err)
}
