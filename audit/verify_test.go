package audit_test

import (
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/audittest"
)

// mutate does each to the log of tenant a, and demands that it is found as what it
// is. What can be done to a single log stands in package audittest.
func (w *world) mutate(t *testing.T, all []audittest.Mutation) {
	t.Helper()
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			t.Attr("art32.measure", "TOM-5.1")
			if err := m.Check(t, w.World, w.a, audit.Verify); err != nil {
				t.Error(err)
			}
		})
	}
	w.wantOK(t, nil)
}

func TestVerifyPending(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		w.customers(t, 2)
		if r := w.verify(t, nil); r.OK() || r.Pending != 2 || r.Overdue != 2 || len(r.Findings) != 0 || r.OldestPending.IsZero() {
			t.Errorf("got %+v", r)
		}
		w.wantOK(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log})
		w.raw(t, `UPDATE art32.events SET actor = 'person:x' WHERE leaf IS NULL AND tenant_id = TENANT`)
		if r := w.verify(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log}); len(r.Findings) != 2 || r.Findings[0].Kind != audit.KindInserted {
			t.Errorf("edited before the seal, got %+v", r)
		}
	})
}

func TestVerifyWithHeadsHeldOutside(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		early := w.checkpoint(t)
		restore := w.snapshot(t)
		w.sealed(t, 5)
		late := w.checkpoint(t)
		o := &audit.VerifyOptions{Checkpoints: [][]byte{early, late}, Key: w.verify(t, nil).Key}
		w.wantOK(t, o)
		restore() // yesterday's backup
		w.wantOK(t, nil)
		r := w.verify(t, o)
		if len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindTailCut || r.Findings[0].Index != 5 {
			t.Errorf("old backup: got %+v", r.Findings)
		}
		w.sealed(t, 5) // and it went on from there: a fork
		if r := w.verify(t, o); len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindCheckpoint || r.Findings[0].Index != 10 {
			t.Errorf("fork: got %+v", r.Findings)
		}
	})
}

func TestVerifyEmpty(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if r := w.wantOK(t, nil); r.Size != 0 || r.Origin != "" {
			t.Errorf("got %+v", r)
		}
		w.sealed(t, 4)
		cp := w.checkpoint(t)
		key := w.verify(t, nil).Key
		w.raw(t, `DELETE FROM art32.checkpoints WHERE tenant_id = TENANT`, `DELETE FROM art32.tiles WHERE tenant_id = TENANT`,
			`DELETE FROM art32.logs WHERE tenant_id = TENANT`)
		if w.verify(t, nil).OK() {
			t.Error("sealed rows without a log pass")
		}
		w.raw(t, `DELETE FROM art32.event_parts WHERE tenant_id = TENANT`, `DELETE FROM art32.events WHERE tenant_id = TENANT`)
		if r := w.verify(t, nil); len(r.Findings) != 1 || r.Findings[0].Kind != audit.KindTailCut {
			t.Errorf("the platform's log tells that there was a log: got %+v", r)
		}
		if r := w.verify(t, &audit.VerifyOptions{Checkpoints: [][]byte{cp}}); r.OK() || r.Findings[0].Kind != audit.KindCheckpoint {
			t.Errorf("a held checkpoint without its key: got %+v", r)
		}
		if r := w.verify(t, &audit.VerifyOptions{Key: key, Checkpoints: [][]byte{cp}}); r.OK() || r.Findings[0].Kind != audit.KindTailCut {
			t.Errorf("the whole log is gone: got %+v", r)
		}
	})
}
