package lasting_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/art32/art32/internal/lasting"
)

func open(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A name is given once; whoever comes second leaves what is there.
func TestName(t *testing.T) {
	t.Parallel()
	root, _ := open(t)
	must(t, lasting.Folder(root, "a/b"))
	must(t, lasting.Folder(root, "a/b"))
	must(t, root.WriteFile("a/b/x.part", []byte("first"), 0o600))
	must(t, lasting.Name(root, "a/b/x.part", "a/b/x"))
	if _, err := root.Lstat("a/b/x.part"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the draft is still there: %v", err)
	}
	must(t, root.WriteFile("a/b/x.part", []byte("second"), 0o600))
	if err := lasting.Name(root, "a/b/x.part", "a/b/x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if text, err := root.ReadFile("a/b/x"); err != nil || string(text) != "first" {
		t.Errorf("%q, %v", text, err)
	}
	if err := lasting.Name(root, "a/b/none.part", "a/b/none"); err == nil {
		t.Error("a draft that is not there got a name")
	}
	must(t, root.WriteFile("file", nil, 0o600))
	if err := lasting.Folder(root, "file/below"); err == nil {
		t.Error("a folder below a file was made")
	}
}

// What is no regular file is not there, and is not listed.
func TestOnlyFiles(t *testing.T) {
	t.Parallel()
	root, dir := open(t)
	must(t, lasting.Folder(root, "in/side"))
	must(t, root.WriteFile("in/side/file", []byte("text"), 0o600))
	must(t, root.WriteFile("out", nil, 0o600))
	must(t, os.Symlink(filepath.Join(dir, "out"), filepath.Join(dir, "in", "link")))
	f, info, err := lasting.Open(root, "in/side/file")
	must(t, err)
	must(t, f.Close())
	if info.Size() != 4 {
		t.Errorf("%d bytes", info.Size())
	}
	for _, name := range []string{"in/link", "in/side", "none", "out/below"} {
		if _, _, err := lasting.Open(root, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want ErrNotExist", name, err)
		}
	}
	for prefix, want := range map[string][]string{"": {"in/side/file", "out"}, "in/s": {"in/side/file"}, "in/side/": {"in/side/file"}, "i/": nil} {
		var got []string
		must(t, lasting.Walk(root, prefix, func(name string, _ fs.DirEntry) error { got = append(got, name); return nil }))
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", prefix, got, want)
		}
	}
}
