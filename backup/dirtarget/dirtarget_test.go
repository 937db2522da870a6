package dirtarget_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/backup/dirtarget"
)

func open(t *testing.T) (*dirtarget.Target, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "target")
	must(t, os.Mkdir(dir, 0o700))
	to, err := dirtarget.Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, to.Close()) })
	return to, dir
}

func put(t *testing.T, to *dirtarget.Target, name, text string) error {
	t.Helper()
	o, err := to.Create(t.Context(), name)
	if err != nil {
		return err
	}
	_, err = o.Write([]byte(text))
	must(t, err)
	return errors.Join(o.Commit(t.Context()), o.Abort())
}

func get(t *testing.T, to *dirtarget.Target, name string) string {
	t.Helper()
	r, err := to.Open(t.Context(), name)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func list(t *testing.T, to *dirtarget.Target, prefix string) []string {
	t.Helper()
	names, err := to.List(t.Context(), prefix)
	must(t, err)
	return names
}

func TestObjects(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	to, dir := open(t)
	for _, name := range []string{"r1/a", "r1/t/b", "r2/a", "r10/a"} {
		must(t, put(t, to, name, name))
	}
	if got := get(t, to, "r1/t/b"); got != "r1/t/b" {
		t.Errorf("read %q", got)
	}
	for prefix, want := range map[string][]string{
		"":      {"r1/a", "r1/t/b", "r10/a", "r2/a"},
		"r1/":   {"r1/a", "r1/t/b"},
		"r1":    {"r1/a", "r1/t/b", "r10/a"},
		"r1/t/": {"r1/t/b"},
		"r1/t":  {"r1/t/b"},
		"none/": nil,
	} {
		if diff := cmp.Diff(want, list(t, to, prefix)); diff != "" {
			t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
		}
	}
	must(t, to.Remove(t.Context(), "r1/t/b"))
	must(t, to.Remove(t.Context(), "r1/t/b"))
	must(t, to.Remove(t.Context(), "r1/a"))
	if _, err := os.Lstat(filepath.Join(dir, "r1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder: %v", err)
	}
	if _, err := to.Open(t.Context(), "r1/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening what is not there: %v", err)
	}
	st, err := os.Stat(filepath.Join(dir, "r2/a"))
	must(t, err)
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

// An object appears with its commit, and takes no other's name.
func TestCommit(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	to, _ := open(t)
	o, err := to.Create(t.Context(), "r/a")
	must(t, err)
	_, err = o.Write([]byte("half"))
	must(t, err)
	if _, err := to.Open(t.Context(), "r/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before its commit: %v", err)
	}
	if diff := cmp.Diff([]string{"r/a.part"}, list(t, to, "r/")); diff != "" {
		t.Errorf("what is being written must be listed, to be cleared away: %s", diff)
	}
	must(t, o.Abort())
	must(t, o.Abort())
	if got := list(t, to, ""); len(got) > 0 {
		t.Errorf("after Abort: %v", got)
	}
	must(t, put(t, to, "r/a", "first"))
	if err := put(t, to, "r/a", "second"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if got := get(t, to, "r/a"); got != "first" || len(list(t, to, "")) != 1 {
		t.Errorf("%q, %v", got, list(t, to, ""))
	}
	ctx, cancel := context.WithCancel(t.Context())
	o, err = to.Create(ctx, "r/b")
	must(t, err)
	cancel()
	if err := o.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if got := list(t, to, ""); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestNothingOutside(t *testing.T) {
	t.Parallel()
	to, dir := open(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	must(t, os.WriteFile(outside, []byte("mine"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	must(t, os.Symlink(filepath.Dir(dir), filepath.Join(dir, "up")))
	for _, name := range []string{"../outside", "up/outside", "/etc/passwd", "", ".", "a/../b", "a//b", "ä", "a b", "up/new", "a\x00"} {
		if err := put(t, to, name, "x"); err == nil {
			t.Errorf("%q was created", name)
		}
		if r, err := to.Open(t.Context(), name); err == nil {
			t.Errorf("%q was opened", name)
			_ = r.Close()
		}
		_ = to.Remove(t.Context(), name)
	}
	if r, err := to.Open(t.Context(), "link"); err == nil {
		t.Error("a link was followed")
		_ = r.Close()
	}
	if b, err := os.ReadFile(outside); err != nil || !bytes.Equal(b, []byte("mine")) {
		t.Errorf("outside: %q, %v", b, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 2 {
		t.Errorf("outside: %v", entries)
	}
	if got := list(t, to, ""); len(got) > 0 {
		t.Errorf("links are listed: %v", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loose := filepath.Join(dir, "loose")
	must(t, os.Mkdir(loose, 0o700))
	must(t, os.Chmod(loose, 0o770))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, path := range []string{filepath.Join(dir, "missing"), filepath.Join(dir, "file"), loose} {
		if to, err := dirtarget.Open(path); err == nil {
			t.Errorf("%s was opened", path)
			_ = to.Close()
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing directory was made: a disk that is not mounted must not look empty")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
