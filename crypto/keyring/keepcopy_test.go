package keyring_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
)

const day = 24 * time.Hour

// inFolder runs test in a bubble, with a keystore and a folder for its copies.
func inFolder(t *testing.T, test func(t *testing.T, k keystore, dir string)) {
	t.Helper()
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		test(t, newKeystore(t, newRoot(t), db, migrate.SQLite), filepath.Join(t.TempDir(), "copies", "here"))
	})
}

func copyFiles(tb testing.TB, dir string) []keyring.CopyFile {
	tb.Helper()
	return value(keyring.CopyFiles(dir))(tb)
}

// TestKeepCopy makes a copy a day for a month.
func TestKeepCopy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	inFolder(t, func(t *testing.T, k keystore, dir string) {
		for i := range 30 {
			kept := value(k.ring.KeepCopy(t.Context(), dir, nil))(t)
			if want := i > 14; (len(kept.Deleted) == 1) != want {
				t.Errorf("day %d: %d deleted", i, len(kept.Deleted))
			}
			files := copyFiles(t, dir)
			if len(files) != min(i+1, 15) || files[0] != kept.CopyFile {
				t.Errorf("day %d: %d copies", i, len(files))
			}
			if age := time.Since(files[len(files)-1].At); age > keyring.DefaultCopyLife {
				t.Errorf("day %d: a copy of %v is left", i, age)
			}
			time.Sleep(day)
		}
		newest := copyFiles(t, dir)[0]
		if mode := value(os.Stat(newest.Path))(t).Mode(); mode != 0o600 {
			t.Errorf("mode %v", mode)
		}
		if mode := value(os.Stat(dir))(t).Mode().Perm(); mode != 0o700 {
			t.Errorf("folder's mode %v", mode)
		}
		f := value(os.Open(newest.Path))(t)
		defer f.Close()
		db := openSQLite(t)
		defer db.Close()
		r := newRing(t, k.root, keyring.SQLStore(db, migrate.SQLite), nil)
		value(r.RestoreCopy(t.Context(), f))(t)
		k.opens(t, r)
	})
}

// TestKeepCopyFails: a copy that fails leaves nothing, and what has outlived its
// life goes all the same, but for the last one.
func TestKeepCopyFails(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	inFolder(t, func(t *testing.T, k keystore, dir string) {
		for range 3 {
			value(k.ring.KeepCopy(t.Context(), dir, &keyring.KeepOptions{Life: 10 * day}))(t)
			time.Sleep(day)
		}
		down := errors.New("down")
		broken := newRing(t, k.root, &failingExport{Store: k.store, err: down}, nil)
		for _, c := range []struct {
			after time.Duration
			left  int
		}{{0, 3}, {20 * day, 1}, {100 * day, 1}} {
			time.Sleep(c.after)
			_, err := broken.KeepCopy(t.Context(), dir, &keyring.KeepOptions{Life: 10 * day})
			if !errors.Is(err, down) || strings.Contains(err.Error(), "outlived") != (c.left == 1) {
				t.Errorf("after %v: %v", c.after, err)
			}
			if n := len(copyFiles(t, dir)); n != c.left {
				t.Errorf("after %v: %d copies", c.after, n)
			}
			if names := value(os.ReadDir(dir))(t); len(names) != c.left+1 { // the lock
				t.Errorf("after %v: %v", c.after, names)
			}
		}
		value(k.ring.KeepCopy(t.Context(), dir, &keyring.KeepOptions{Life: 10 * day}))(t)
		if n := len(copyFiles(t, dir)); n != 1 {
			t.Errorf("%d copies after one that succeeded", n)
		}
	})
}

// failingExport is a keystore that is lost while it is copied.
type failingExport struct {
	keyring.Store

	err error
}

func (f *failingExport) Export(ctx context.Context, after keyring.CopiedRecord, _ int) ([]keyring.CopiedRecord, error) {
	if after.Name != "" {
		return nil, f.err
	}
	return f.Store.(keyring.Copier).Export(ctx, after, 3)
}

func (*failingExport) Import(context.Context, []keyring.CopiedRecord) (added, erased int64, err error) {
	return 0, 0, errReadOnly
}

// TestKeepCopyClock: a copy whose time cannot be right is told of, and nothing
// is deleted because of it.
func TestKeepCopyClock(t *testing.T) {
	inFolder(t, func(t *testing.T, k keystore, dir string) {
		value(k.ring.KeepCopy(t.Context(), dir, nil))(t)
		good := copyFiles(t, dir)[0]
		ahead := filepath.Join(dir, "keystore-20361231T235959.000Z.jsonl")
		noError(t, os.Link(good.Path, ahead))
		time.Sleep(day)
		kept, err := k.ring.KeepCopy(t.Context(), dir, nil)
		if !errors.Is(err, keyring.ErrFutureCopy) || !strings.Contains(err.Error(), ahead) {
			t.Errorf("a copy of the future: %v", err)
		}
		if files := copyFiles(t, dir); len(files) != 3 || files[1] != kept.CopyFile {
			t.Errorf("%v", files)
		}
		time.Sleep(100 * day)
		if _, err := k.ring.KeepCopy(t.Context(), dir, nil); !errors.Is(err, keyring.ErrFutureCopy) {
			t.Errorf("a copy of the future: %v", err)
		}
		if files := copyFiles(t, dir); len(files) != 2 { // the one of the future does not count as the last one
			t.Errorf("%v", files)
		}
		noError(t, os.Remove(ahead))
		time.Sleep(day)
		value(k.ring.KeepCopy(t.Context(), dir, nil))(t)
	})
}

// TestKeepCopyAfterKill: what a killed process left is removed, and is no copy.
func TestKeepCopyAfterKill(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	inFolder(t, func(t *testing.T, k keystore, dir string) {
		noError(t, os.MkdirAll(dir, 0o700))
		torn := filepath.Join(dir, "keystore-.new")
		noError(t, os.WriteFile(torn, k.copy(t)[:500], 0o600))
		noError(t, os.WriteFile(filepath.Join(dir, "keystore-20000101T000000.000Z.jsonl.bak"), nil, 0o600))
		noError(t, os.WriteFile(filepath.Join(dir, "readme.txt"), nil, 0o600))
		if n := len(copyFiles(t, dir)); n != 0 {
			t.Errorf("%d copies", n)
		}
		value(k.ring.KeepCopy(t.Context(), dir, nil))(t)
		if _, err := os.Stat(torn); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what the killed process left: %v", err)
		}
		if n := len(value(os.ReadDir(dir))(t)); n != 4 { // copy, lock, and what is not ours
			t.Errorf("%d files", n)
		}
	})
}

func TestKeepCopyRefuses(t *testing.T) {
	t.Parallel()
	k := newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	if _, err := k.ring.KeepCopy(t.Context(), t.TempDir(), &keyring.KeepOptions{Life: -1}); err == nil {
		t.Error("negative life accepted")
	}
	file := filepath.Join(t.TempDir(), "file")
	noError(t, os.WriteFile(file, nil, 0o600))
	if _, err := k.ring.KeepCopy(t.Context(), file, nil); err == nil {
		t.Error("a file for a folder accepted")
	}
	if runtime.GOOS != "windows" {
		open := t.TempDir()
		noError(t, os.Chmod(open, 0o755))
		if _, err := k.ring.KeepCopy(t.Context(), open, nil); err == nil {
			t.Error("a folder accepted that others may read")
		}
	}
	if _, err := keyring.CopyFiles(filepath.Join(file, "none")); err == nil {
		t.Error("no folder, no error")
	}
}

// TestKeepCopyTogether has two processes work on one folder.
func TestKeepCopyTogether(t *testing.T) {
	t.Parallel()
	k := newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	dir := filepath.Join(t.TempDir(), "copies")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			for range 3 {
				if _, err := k.ring.KeepCopy(t.Context(), dir, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range copyFiles(t, dir) {
		file := value(os.Open(f.Path))(t)
		value(k.ring.CheckCopy(t.Context(), file))(t)
		noError(t, file.Close())
	}
	if n := len(copyFiles(t, dir)); n != 15 {
		t.Errorf("%d copies", n)
	}
}
