package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
)

// small is the export of the platform with one log of n entries.
func small(tb testing.TB, n int) (dir string, log *audit.TestLog) {
	tb.Helper()
	dir = tb.TempDir()
	log = audit.NewTestLog(tb, 1, uuid.Nil)
	log.Fill(tb, n)
	log.Write(tb, filepath.Join(dir, "0"), true)
	return dir, log
}

// sparse makes a file as long as no memory holds.
func sparse(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, os.RemoveAll(path))
	must(t, os.WriteFile(path, data, 0o600))
	must(t, os.Truncate(path, 1<<40))
}

// What an adversary puts into an export is found or is an error; it neither
// exhausts the verifier nor leads it elsewhere.
func TestVerifyExportHostile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string, log *audit.TestLog)
		kind  audit.Kind // "": an error
	}{
		{"long checkpoint", func(t *testing.T, dir string, _ *audit.TestLog) {
			sparse(t, filepath.Join(dir, "0", "checkpoint"), nil)
		}, audit.KindCheckpoint},
		{"long key", func(t *testing.T, dir string, _ *audit.TestLog) {
			sparse(t, filepath.Join(dir, "0", "log.vkey"), nil)
		}, audit.KindCheckpoint},
		{"long tile", func(t *testing.T, dir string, _ *audit.TestLog) {
			path := filepath.Join(dir, "0", "tile", "0", "000")
			b, err := os.ReadFile(path)
			must(t, err)
			sparse(t, path, b)
		}, audit.KindTileDamaged},
		{"long last tile", func(t *testing.T, dir string, _ *audit.TestLog) {
			path := filepath.Join(dir, "0", "tile", "0", "001.p", "44")
			b, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, append(b, 1), 0o600))
		}, audit.KindTileDamaged},
		{"long bundle", func(t *testing.T, dir string, _ *audit.TestLog) {
			path := filepath.Join(dir, "0", "tile", "entries", "000")
			b, err := os.ReadFile(path)
			must(t, err)
			sparse(t, path, b)
		}, audit.KindInserted},
		{"bundle of zeroes", func(t *testing.T, dir string, _ *audit.TestLog) {
			sparse(t, filepath.Join(dir, "0", "tile", "entries", "000"), nil)
		}, audit.KindEdited},
		{"lengths beyond the end", func(t *testing.T, dir string, _ *audit.TestLog) {
			must(t, os.WriteFile(filepath.Join(dir, "0", "tile", "entries", "000"), bytes.Repeat([]byte{0xff}, 100), 0o600))
		}, audit.KindDeleted},
		{"empty bundle", func(t *testing.T, dir string, _ *audit.TestLog) {
			must(t, os.WriteFile(filepath.Join(dir, "0", "tile", "entries", "000"), nil, 0o600))
		}, audit.KindDeleted},
		{"a file in place of the tiles", func(t *testing.T, dir string, _ *audit.TestLog) {
			must(t, os.RemoveAll(filepath.Join(dir, "0", "tile")))
			must(t, os.WriteFile(filepath.Join(dir, "0", "tile"), nil, 0o600))
		}, ""},
		{"a folder in place of a bundle", func(t *testing.T, dir string, _ *audit.TestLog) {
			must(t, os.Remove(filepath.Join(dir, "0", "tile", "entries", "000")))
			must(t, os.Mkdir(filepath.Join(dir, "0", "tile", "entries", "000"), 0o700))
		}, ""},
		{"a bundle that lies elsewhere", func(t *testing.T, dir string, _ *audit.TestLog) {
			path, there := filepath.Join(dir, "0", "tile", "entries", "000"), filepath.Join(t.TempDir(), "entries")
			must(t, os.Rename(path, there))
			must(t, os.Symlink(there, path))
		}, ""},
		{"a checkpoint that lies elsewhere", func(t *testing.T, dir string, _ *audit.TestLog) {
			path, there := filepath.Join(dir, "0", "checkpoint"), filepath.Join(t.TempDir(), "checkpoint")
			must(t, os.Rename(path, there))
			must(t, os.Symlink(there, path))
		}, ""},
		{"a log that lies elsewhere", func(t *testing.T, dir string, _ *audit.TestLog) {
			path, there := filepath.Join(dir, "0"), filepath.Join(t.TempDir(), "0")
			must(t, os.Rename(path, there))
			must(t, os.Symlink(there, path))
		}, ""},
		{"a tile that leads to itself", func(t *testing.T, dir string, _ *audit.TestLog) {
			path := filepath.Join(dir, "0", "tile", "0", "000")
			must(t, os.Remove(path))
			must(t, os.Symlink("000", path))
		}, ""},
		{"more logs than anybody has", func(t *testing.T, dir string, _ *audit.TestLog) {
			for i := range 1025 {
				must(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(i+1)), 0o700))
			}
		}, ""},
		{"signed for more entries than there are", func(t *testing.T, dir string, log *audit.TestLog) {
			c := log.Head(t, 300)
			c.Size = 1 << 56
			audit.Replace(t, filepath.Join(dir, "0", "checkpoint"), log.Sign(t, c))
		}, audit.KindTailCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			dir, log := small(t, 300)
			c.spoil(t, dir, log)
			r, err := audit.VerifyExport(t.Context(), dir, nil)
			if c.kind == "" {
				if err == nil {
					t.Errorf("no error, but %+v", r)
				}
				return
			}
			must(t, err)
			if r.OK() || r.Findings[0].Kind != c.kind {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestVerifyExportNothing(t *testing.T) {
	t.Parallel()
	_, err := audit.VerifyExport(t.Context(), t.TempDir(), nil)
	wantErr(t, err, audit.ErrNoExport)
	_, err = audit.VerifyExport(t.Context(), filepath.Join(t.TempDir(), "none"), nil)
	wantErr(t, err, os.ErrNotExist)
	dir, _ := small(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = audit.VerifyExport(ctx, dir, nil)
	wantErr(t, err, context.Canceled)
}

// A signed size that no files stand behind ends in a finding, not in a walk
// through as many places: here all is there but the entries.
func TestVerifyExportEndsEarly(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	dir, log := small(t, 300)
	vast := audit.NewTestTreeEdge(t, log, 1<<50)
	audit.Replace(t, filepath.Join(dir, "0", "checkpoint"), log.Sign(t, vast.Head))
	for name, data := range vast.Files {
		path := filepath.Join(dir, "0", filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, data, 0o600))
	}
	r, err := audit.VerifyExport(t.Context(), dir, nil)
	must(t, err)
	if r.OK() || r.Checked > 300 {
		t.Errorf("got %+v", r)
	}
}

// The memory that a verification needs does not grow with the log.
func TestVerifyExportMemory(t *testing.T) {
	t.Attr("art32.measure", "TOM-5.1")
	const limit = 8 << 20 // of 13 MiB
	dir, log := small(t, 60_000)
	log.Leaves = nil
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var most atomic.Uint64
	go func() {
		defer close(done)
		r, err := audit.VerifyExport(context.WithoutCancel(t.Context()), dir, nil)
		if err != nil || !r.OK() || r.Checked != 60_000 {
			t.Errorf("got %v, %+v", err, r)
		}
	}()
	for {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most.Store(max(most.Load(), now.HeapInuse))
		select {
		case <-done:
			if used := int64(most.Load()) - int64(before.HeapInuse); used > limit {
				t.Errorf("%d MiB in use for an export of %d MiB", used>>20, len(readAll(t, dir))>>20)
			}
			return
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// Nothing that stands in a file of an export makes the verifier fail, and no file
// of the tree can be changed unseen.
func FuzzVerifyExport(f *testing.F) {
	names := []string{
		"0/checkpoint", "0/log.vkey", "0/tile/0/000.p/5", "0/tile/entries/000.p/5",
		"1/checkpoint", "1/log.vkey", "1/succession", "1/opening", "platform/0/checkpoint", "platform/0/log.vkey", "1/tile/entries/000.p/3",
	}
	write := func(tb testing.TB) string {
		dir := tb.TempDir()
		tenant := uuid.MustParse("0b5b7c9e-6a0a-4a68-8a44-0d5f6a8e9b01")
		a, b, p := audit.NewTestLog(tb, 1, tenant), audit.NewTestLog(tb, 2, tenant), audit.NewTestLog(tb, 3, uuid.Nil)
		first, second := p.Open(tb, a), p.Open(tb, b)
		first()
		second()
		a.Fill(tb, 5)
		a.Follow(tb, b, audit.CauseRotation, nil)
		b.Fill(tb, 3)
		a.Write(tb, filepath.Join(dir, "0"), true)
		b.Write(tb, filepath.Join(dir, "1"), true)
		p.Write(tb, filepath.Join(dir, "platform", "0"), false)
		return dir
	}
	sound := write(f)
	for i, name := range names {
		b, err := os.ReadFile(filepath.Join(sound, filepath.FromSlash(name)))
		must(f, err)
		f.Add(uint8(i), b)
		f.Add(uint8(i), b[:len(b)/2])
		f.Add(uint8(i), append(bytes.Clone(b), 0, 1, 'x'))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		path := filepath.FromSlash(name)
		want, err := os.ReadFile(filepath.Join(sound, path))
		must(t, err)
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(sound)))
		must(t, os.WriteFile(filepath.Join(dir, path), data, 0o600))
		r, err := audit.VerifyExport(t.Context(), dir, nil)
		if err != nil && !errors.Is(err, audit.ErrNoExport) {
			t.Fatal(err)
		}
		if err == nil && strings.Contains(name, "tile") && r.OK() != bytes.Equal(data, want) {
			t.Errorf("%s: OK is %v", name, r.OK())
		}
	})
}
