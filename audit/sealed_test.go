package audit_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// sealedUnder collects what the log counts.
func (w *world) sealedUnder(t *testing.T, subjects []uuid.UUID) map[uuid.UUID]int {
	t.Helper()
	got := map[uuid.UUID]int{}
	must(t, w.db.In(w.in(t.Context(), w.a), func(ctx context.Context, tx *tenancy.Tx) error {
		return w.log.CountSealed(ctx, tx, subjects, func(subject uuid.UUID, version uint32, n int) {
			if version != 1 {
				t.Errorf("version %d", version)
			}
			got[subject] += n
		})
	}))
	return got
}

// TestCountSealed: parts count by their key; what is erased counts nowhere, nor
// does the list of digests that tells of an erasure.
func TestCountSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-7.2")
		all := w.customers(t, 3)
		ctx := w.in(t.Context(), w.a)
		must(t, customers.Edit(ctx, w.db, all[1].ID, func(c *customer) error { c.Plan = "pro"; return nil }))
		before := w.sealedUnder(t, nil)
		if diff := cmp.Diff(map[uuid.UUID]int{all[0].ID: 1, all[1].ID: 2, all[2].ID: 1}, before); diff != "" {
			t.Error(diff)
		}
		w.erase(t, all[1].ID)
		must(t, w.db.In(tenancy.WithReason(ctx, "why"), func(ctx context.Context, _ *tenancy.Tx) error {
			return w.log.Record(ctx, "test.event")
		}))
		if diff := cmp.Diff(map[uuid.UUID]int{all[0].ID: 1, all[2].ID: 1, uuid.Nil: 1}, w.sealedUnder(t, nil)); diff != "" {
			t.Error(diff)
		}
		some := []uuid.UUID{all[0].ID, all[1].ID, uuid.New()}
		if diff := cmp.Diff(map[uuid.UUID]int{all[0].ID: 1}, w.sealedUnder(t, some)); diff != "" {
			t.Error(diff)
		}
		if got := w.sealedUnder(t, []uuid.UUID{}); len(got) != 0 {
			t.Errorf("of nobody: %v", got)
		}
		err := w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return w.log.CountSealed(ctx, tx.Tx, nil, nil)
		})
		wantErr(t, err, audit.ErrRole)
	})
}
