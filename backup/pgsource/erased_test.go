package pgsource_test

import (
	"errors"
	"testing"

	"github.com/art32/art32/backup"
)

// An application that forgot the ledger is found out by the next run.
func TestErasedPastTheLedger(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	s := w.safe(t)
	gone := w.customer(t, w.a, "gone@example.org")
	first, err := s.job.Run(t.Context())
	must(t, err)
	must(t, w.db.Erase(in(t.Context(), w.a), gone.ID)) // this world was opened without one
	second, err := s.job.Run(t.Context())
	if !errors.Is(err, backup.ErrLedger) {
		t.Errorf("error %v, want ErrLedger", err)
	}
	if second == nil || second.Ledger.Entries != first.Ledger.Entries+1 {
		t.Fatalf("second run: %+v", second)
	}
	res, _ := s.restore(t, w, first.Run)
	if res.Erased != 1 {
		t.Errorf("%d erasures repeated, want 1", res.Erased)
	}
}
