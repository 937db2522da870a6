package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
)

// A file that cannot grow stands in for a full disk below the data.
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

// cramped is a target with so many bytes of room.
type cramped struct {
	backup.Target

	room int64
}

func (c *cramped) Create(ctx context.Context, name string) (backup.Object, error) {
	o, err := c.Target.Create(ctx, name)
	return &crampedObject{o, c}, err
}

type crampedObject struct {
	backup.Object

	in *cramped
}

func (o *crampedObject) Write(b []byte) (int, error) {
	n, err := o.Object.Write(b[:min(int64(len(b)), o.in.room)])
	o.in.room -= int64(n)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// A run that finds no room in the target, wherever it ends, fails, leaves the
// earlier one whole and nothing of its own, and the next one succeeds where there
// is room again. Where this user may mount one, a real file system overflows too.
func TestTargetIsFull(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	const ample = 1 << 30
	c := &cramped{Target: w.to, room: ample}
	job, err := backup.New(sqlitesource.New(w.data, nil), c, w.vault, w.keys, accepting{}, nil)
	must(t, err)
	first, err := job.Run(t.Context())
	must(t, err)
	all := ample - c.room
	for _, room := range []int64{0, 1000, first.Parts[1].Size + 1, all - 5000, all - 200} { // the last is in the signature
		c.room = room
		_, err = job.Run(t.Context())
		wantErr(t, err, syscall.ENOSPC)
		w.stillGood(t, first)
	}
	c.room = ample
	_, err = job.Run(t.Context())
	must(t, err)
	mounted := newWorld(t)
	if err := syscall.Mount("tmpfs", mounted.target, "tmpfs", 0, "size=512k,mode=700"); err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(mounted.target, syscall.MNT_DETACH) })
		t.Run("a file system", mounted.overflows)
	}
}

// overflows fills the file system of the target.
func (w *world) overflows(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.1")
	w.close()
	w.open(t)
	first := w.run(t)
	filler := w.path("filler")
	f, err := os.Create(filler)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	must(t, f.Truncate(func() int64 { st, _ := f.Stat(); return st.Size() - 16<<10 }()))
	must(t, f.Close())
	_, err = w.job.Run(t.Context())
	wantErr(t, err, syscall.ENOSPC)
	w.stillGood(t, first)
	must(t, os.Remove(filler))
	w.run(t)
}

// stillGood fails unless a run is the only one, and whole.
func (w *world) stillGood(t *testing.T, m *backup.Manifest) {
	t.Helper()
	committed, incomplete := w.list(t)
	if len(committed) != 1 || len(incomplete) != 0 || committed[0] != m.Run {
		t.Errorf("runs: %v, %v", committed, incomplete)
	}
	_, err := backup.Verify(t.Context(), w.to, m.Run, &backup.VerifyOptions{Vault: w.vaults, Identities: []age.Identity{w.ops[0]}})
	must(t, err)
}

// A target that cannot be written fails the run, and nothing else. Modes do not
// bind root: there somebody else does it.
func TestTargetIsReadOnly(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.keep(t)
	first := w.run(t)
	w.close()
	root := copyDir(t, w.root)
	target := filepath.Join(root, "target")
	must(t, os.Chmod(target, 0o500))
	t.Cleanup(func() { _ = os.Chmod(target, 0o700) })
	out, killed := childIn(t, root, "run:never", nobody(t, root))
	if killed || !strings.Contains(out, "not killed: backup: run: ") || !strings.Contains(out, os.ErrPermission.Error()) {
		t.Fatalf("killed: %v, %s", killed, out)
	}
	must(t, os.Chmod(target, 0o700))
	w = reopened(t, root)
	w.stillGood(t, first)
	w.run(t)
}

// nobody gives a world to a user without rights, if we are root.
func nobody(t *testing.T, root string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	const id = 65534
	give := func(path string) { must(t, os.Lchown(path, id, id)) }
	for dir := filepath.Dir(root); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		give(dir) // that it can be reached
	}
	must(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		give(path)
		return err
	}))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
}
