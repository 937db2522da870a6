package backup_test

import (
	"os"
	"testing"

	"github.com/art32/art32/backup"
)

// Without its ledger a folder is not one of the vault: an empty ledger would
// bring everybody back.
func TestReplayRefusesAFolderWithoutALedger(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	empty := w.root + "/empty"
	must(t, os.Mkdir(empty, 0o700))
	_, err := backup.Replay(t.Context(), w.db, w.keys, w.store, empty)
	wantErr(t, err, backup.ErrLedger)
	_, err = backup.Missed(t.Context(), w.db, w.keys, w.store, w.vaults[0], empty)
	wantErr(t, err, backup.ErrLedger)
	_, err = backup.Replay(t.Context(), w.db, w.keys, w.store)
	wantErr(t, err, backup.ErrVault)
}
