package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/art32/art32/audit"
)

// Only the one form, under the key of the log that ended, is a succession.
func TestParseSuccession(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		old, held := w.verify(t, nil), w.checkpoint(t)
		w.renew(t, w.a, audit.Renewal{Cause: audit.CauseRestore, Held: held})
		db := w.rawDB(t)
		table := "art32.logs"
		if w.engine == "sqlite" {
			table = "art32_logs"
		}
		var note string
		must(t, db.QueryRowContext(t.Context(), "SELECT succession FROM "+table+" WHERE shard = 1 AND tenant_id = '"+w.a.String()+"'").Scan(&note))
		s, err := audit.ParseSuccession([]byte(note), old.Key)
		must(t, err)
		now := w.verify(t, nil)
		if s.Previous.Size != 3 || s.Previous.Origin != old.Origin || s.Next != now.Key || s.Cause != audit.CauseRestore || s.Held == nil || s.Held.Size != 3 {
			t.Errorf("got %+v", s)
		}
		for name, c := range map[string][2]string{
			"the next key":  {note, now.Key},
			"no key":        {note, "x"},
			"a checkpoint":  {string(held), old.Key},
			"another cause": {strings.Replace(note, "\nrestore\n", "\nrotation\n", 1), old.Key},
			"another size":  {strings.Replace(note, "\n3 ", "\n2 ", 1), old.Key},
			"too long":      {note + strings.Repeat("x", 1<<16), old.Key},
			"empty":         {"", old.Key},
		} {
			if _, err := audit.ParseSuccession([]byte(c[0]), c[1]); !errors.Is(err, audit.ErrSuccession) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := audit.ParseCheckpoint([]byte(note), old.Key); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("a succession passes for a checkpoint: %v", err)
		}
	})
}
