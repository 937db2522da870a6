package backup_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/art32/art32/audit"
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

// crash is where a run is killed, and what it leaves.
type crash struct {
	from    *world
	step    string
	earlier int  // runs that were committed before
	left    bool // an incomplete run
	made    int  // committed by the killed run
	apart   bool // the folders of the vault differ until the next run
}

// files are kills at each of n writes to the vault, the first of which is the
// numbered one.
func (c crash) files(first, n int) (all []crash) {
	for i := range n {
		c.step = fmt.Sprintf("file#%d", first+i)
		all = append(all, c)
	}
	return all
}

// removals are kills at each removal from the vault.
func (c crash) removals(n int) (all []crash) {
	for i := range n {
		c.step, c.apart = fmt.Sprintf("removed#%d", i), i == 0 // the copy of the keystore, which the next run removes
		all = append(all, c)
	}
	return all
}

// Wherever a run is killed, the earlier ones are whole, the new one is there as a
// whole or not at all, and stands in the log if it is; the next run succeeds and
// clears away, and the folders of the vault are equal.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	fresh, used, full := closed(t, 0), closed(t, 1), closed(t, 3)
	for _, c := range slices.Concat(
		// Identity, signature and record of one tenant, then of the other, each in
		// two folders; then the note of the run, and before it its signature.
		crash{from: fresh}.files(0, 6),
		crash{from: fresh, left: true}.files(6, 6),
		crash{from: fresh, made: 1}.files(12, 4),
		crash{from: used, earlier: 1, made: 1}.files(0, 4),
		// Copy, note and signature of the run that is too old to keep.
		crash{from: full, earlier: 3, made: 1}.removals(6),
		[]crash{
			{from: used, step: "begun#0", earlier: 1},
			{from: used, step: "part#0", earlier: 1, left: true},
			{from: used, step: "part#1", earlier: 1, left: true},
			{from: used, step: "written#0", earlier: 1, left: true},
			{from: used, step: "part#2", earlier: 1, left: true},
			{from: used, step: "parts#0", earlier: 1, left: true},
			{from: used, step: "copied#0", earlier: 1, left: true, apart: true},
			{from: used, step: "copied#1", earlier: 1, left: true},
			{from: used, step: "keystore#0", earlier: 1, left: true},
			{from: used, step: "texts#0", earlier: 1, left: true},
			{from: used, step: "described#0", earlier: 1, left: true},
			{from: used, step: "recorded#0", earlier: 1, left: true},
			{from: used, step: "committed#0", earlier: 1, made: 1},
			{from: used, step: "tidied#0", earlier: 1, made: 1},
		},
	) {
		t.Run(fmt.Sprintf("%d/%s", c.earlier, c.step), func(t *testing.T) {
			t.Parallel()
			root, out, killed := inChild(t, c.from.root, "run:"+c.step)
			if !killed {
				t.Fatalf("not killed: %s", out)
			}
			w := reopened(t, root)
			c.found(t, w)
			next := w.run(t)
			if want := int64(c.earlier + c.made + 1); next.Number != want {
				t.Errorf("number %d, want %d", next.Number, want)
			}
			c.mended(t, w)
		})
	}
}

// found looks at what the kill left.
func (c crash) found(t *testing.T, w *world) {
	t.Helper()
	committed, incomplete := w.list(t)
	if len(committed) != c.earlier+c.made || (len(incomplete) > 0) != c.left {
		t.Fatalf("committed %v, incomplete %v", committed, incomplete)
	}
	for _, run := range incomplete {
		_, err := backup.Verify(t.Context(), w.to, run, nil)
		wantErr(t, err, backup.ErrNotCommitted)
	}
	if n := count(actions(t, w, audit.Filter{Platform: true}), "backup.run"); n < len(committed) {
		t.Errorf("%d runs are committed, %d stand in the log", len(committed), n)
	}
	if !c.apart {
		equalFolders(t, w.vaults)
	}
}

// mended looks at what the next run has made of it.
func (c crash) mended(t *testing.T, w *world) {
	t.Helper()
	committed, incomplete := w.list(t)
	if len(committed) != c.earlier+c.made+1 || len(incomplete) != 0 {
		t.Errorf("after the next run: committed %v, incomplete %v", committed, incomplete)
	}
	kept := committed[max(0, len(committed)-3):]
	for _, run := range kept {
		_, err := backup.Verify(t.Context(), w.to, run, &backup.VerifyOptions{Signer: w.job.Signer(), Vault: w.vaults, Identities: []age.Identity{w.ops[0]}})
		must(t, err)
	}
	if left, _ := filepath.Glob(w.data + "/.backup-*"); len(left) > 0 {
		t.Errorf("left in the data: %v", left)
	}
	equalFolders(t, w.vaults)
	for _, end := range []string{".tar.zst.age", ".json", ".json.sig"} {
		if got, _ := filepath.Glob(w.vaults[0] + "/keystores/*" + end); len(got) != len(kept) {
			t.Errorf("of the runs: %v, want %d", got, len(kept))
		}
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

// Wherever the deletion of a tenant's identity is killed, the next opening makes
// the folders equal: the tenant is forgotten from the first tombstone on, and as
// before until then.
func TestKilledWhileForgetting(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	from := closed(t, 1)
	for step, parts := range map[string]int{
		"file#0": 3, "file#1": 3, "file#2": 2, "file#3": 2, // signature and tombstone
		"removed#0": 2, "removed#1": 2, "removed#2": 2, "removed#3": 2, "removed#4": 2, "removed#5": 2,
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			root, out, killed := inChild(t, from.root, "forget:"+step)
			if !killed {
				t.Fatalf("not killed: %s", out)
			}
			w := reopened(t, root)
			equalFolders(t, w.vaults)
			if m := w.run(t); len(m.Parts) != parts {
				t.Errorf("%d parts, want %d", len(m.Parts), parts)
			}
			must(t, w.vault.Forget(t.Context(), w.a))
			equalFolders(t, w.vaults)
			for _, end := range []string{".identity.age", ".json.sig", ".json"} {
				if _, err := os.Lstat(w.tenantFile(0, end)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is there: %v", end, err)
				}
			}
		})
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
