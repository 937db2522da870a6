package backup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/art32/art32/backup"
)

// closed is a world with one run, closed: what children work on copies of.
func closed(t *testing.T, runs int) *world {
	t.Helper()
	w := newWorld(t)
	w.keep(t)
	for range runs {
		w.run(t)
	}
	w.close()
	return w
}

// Wherever a run is killed, the earlier one is whole, the new one is there as a
// whole or not at all, and the next run succeeds and clears away.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	fresh, used := closed(t, 0), closed(t, 1)
	for _, c := range []struct {
		from *world
		step string
		left int // incomplete runs
		made int // committed by the killed run
	}{
		{fresh, "file#0", 0, 0}, // of the vault: identity, signature and record of two tenants, in two folders
		{fresh, "file#1", 0, 0},
		{fresh, "file#3", 0, 0},
		{fresh, "file#4", 0, 0},
		{fresh, "file#5", 0, 0},
		{fresh, "file#8", 1, 0},
		{used, "begun#0", 0, 0},
		{used, "part#0", 1, 0},
		{used, "part#1", 1, 0},
		{used, "written#0", 1, 0},
		{used, "part#2", 1, 0},
		{used, "parts#0", 1, 0},
		{used, "keystore#0", 1, 0},
		{used, "texts#0", 1, 0},
		{used, "described#0", 1, 0},
		{used, "recorded#0", 1, 0},
		{used, "committed#0", 0, 1},
		{used, "file#0", 0, 1}, // of the vault: that it was committed
		{used, "file#1", 0, 1},
		{used, "file#2", 0, 1},
		{used, "file#3", 0, 1},
		{used, "tidied#0", 0, 1},
	} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			root, out, killed := inChild(t, c.from.root, "run:"+c.step)
			if !killed {
				t.Fatalf("not killed: %s", out)
			}
			w := reopened(t, root)
			before := 0
			if c.from == used {
				before = 1
			}
			committed, incomplete := w.list(t)
			if len(committed) != before+c.made || (len(incomplete) > 0) != (c.left > 0) {
				t.Fatalf("committed %v, incomplete %v", committed, incomplete)
			}
			for _, run := range incomplete {
				_, err := backup.Verify(t.Context(), w.to, run, nil)
				wantErr(t, err, backup.ErrNotCommitted)
			}
			next := w.run(t)
			committed, incomplete = w.list(t)
			if len(committed) != before+c.made+1 || len(incomplete) != 0 {
				t.Errorf("after the next run: committed %v, incomplete %v", committed, incomplete)
			}
			for _, run := range committed {
				_, err := backup.Verify(t.Context(), w.to, run, &backup.VerifyOptions{Signer: w.job.Signer(), Vault: w.vaults, Identities: []age.Identity{w.ops[0]}})
				must(t, err)
			}
			if left, _ := filepath.Glob(w.data + "/.backup-*"); len(left) > 0 {
				t.Errorf("left in the data: %v", left)
			}
			for _, dir := range w.vaults {
				if got, _ := filepath.Glob(dir + "/keystores/*.age"); len(got) != len(committed) {
					t.Errorf("copies of the keystore: %v, want %d", got, len(committed))
				}
			}
			if next.Number != int64(before+c.made+1) {
				t.Errorf("number %d", next.Number)
			}
		})
	}
}

// An entry that was written into one folder only is completed: the erasure that
// it stands for may have gone on. One that no folder has is repeated.
func TestKilledWhileAnErasureIsWrittenDown(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	from := closed(t, 1)
	for _, step := range []string{"entry#0", "entry#1"} {
		root, out, killed := inChild(t, from.root, "erase:"+step)
		if !killed {
			t.Fatalf("not killed: %s", out)
		}
		w := reopened(t, root)
		must(t, w.vault.Ledger().Erased(t.Context(), w.a, uuidOf(ghost)))
		if n := w.vault.Ledger().State().Entries; n != 1 {
			t.Errorf("%s: %d entries, want 1", step, n)
		}
		equalFolders(t, w.vaults)
	}
}

// A restore that is killed leaves nothing that can be opened by its name, and
// the next one succeeds.
func TestKilledWhileRestoring(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	from := closed(t, 1)
	for _, step := range []string{"loaded#0", "finish#0"} {
		root, out, killed := inChild(t, from.root, "restore:"+step)
		if !killed {
			t.Fatalf("not killed: %s", out)
		}
		w := reopened(t, root)
		dir := filepath.Join(root, "restored")
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the place is there: %v", step, err)
		}
		committed, _ := w.list(t)
		w.restoreAt(t, committed[0], dir)
		if len(w.elsewhere(t, dir).everybody(t, w.a)) != 5 {
			t.Errorf("%s: the next restore is not whole", step)
		}
		if left, _ := filepath.Glob(root + "/*.restoring"); len(left) > 0 {
			t.Errorf("%s: left: %v", step, left)
		}
	}
}

// A file that cannot grow stands in for a full disk.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.keep(t)
	first := w.run(t)
	w.close()
	root, out, killed := inChild(t, w.root, "limit:20000")
	if killed || !strings.Contains(out, "not killed: backup: run:") {
		t.Fatalf("killed: %v, %s", killed, out)
	}
	reopened(t, root).stillGood(t, first)
}
