package postgres_test

import (
	"testing"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// TestManyTexts: however many texts callers choose, a connection keeps a bounded
// number prepared, and each gives its rows.
func TestManyTexts(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	w := withSamples(t)
	w.fill(t, tenantOf(t, w.a), 70)
	for range 2 {
		for size := 1; size <= 400; size++ {
			p, err := samples.Page(w.a, w.db, "", tenancy.Limit(size))
			if err != nil || len(p.Rows) != min(size, 70) {
				t.Fatalf("page of %d: %d rows, %v", size, len(p.Rows), err)
			}
		}
	}
	n := 0
	err := w.db.Engine(engine.Library).Platform().QueryRowContext(t.Context(),
		"SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'art32%'").Scan(&n)
	if err != nil || n == 0 || n > 264 { // those of one batch are counted when it has ended
		t.Errorf("%d prepared statements on a connection (%v)", n, err)
	}
}
