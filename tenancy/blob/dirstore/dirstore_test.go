package dirstore_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/blobtest"
	"github.com/art32/art32/tenancy/blob/dirstore"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func open(t *testing.T) (*dirstore.Place, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	must(t, os.Mkdir(dir, 0o700))
	p, err := dirstore.Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p, dir
}

func TestPlace(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Place {
		t.Helper()
		p, _ := open(t)
		return p
	})
}

// Nobody else can look into what it writes.
func TestModes(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	p, dir := open(t)
	must(t, p.Put(t.Context(), "tenants/a/b", strings.NewReader("x")))
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return nil
	}))
	for _, mode := range []fs.FileMode{0o750, 0o701, 0o777} {
		must(t, os.Chmod(dir, mode))
		if _, err := dirstore.Open(dir); err == nil {
			t.Errorf("a folder of mode %v was opened", mode)
		}
	}
	if _, err := dirstore.Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// What somebody else puts into the folder leads nowhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	p, dir := open(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	must(t, os.Symlink(secret, filepath.Join(dir, "file")))
	must(t, os.Symlink(outside, filepath.Join(dir, "folder")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	for _, name := range []string{"file", "folder/secret", "pipe", "empty"} {
		if body, _, err := p.Open(t.Context(), name, 0); err == nil {
			b, _ := io.ReadAll(body)
			t.Errorf("%s opens: %s", name, b)
		}
	}
	if err := p.Put(t.Context(), "folder/new", strings.NewReader("x")); err == nil {
		t.Error("a link led outside")
	}
	if err := p.Put(t.Context(), "file", strings.NewReader("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link was overwritten: %v", err)
	}
	_ = p.Remove(t.Context(), "folder/secret")
	for o, err := range p.List(t.Context(), "") {
		t.Errorf("listed: %v, %v", o, err)
	}
	b, err := os.ReadFile(secret)
	must(t, err)
	left, err := os.ReadDir(outside)
	must(t, err)
	if string(b) != "secret" || len(left) != 1 {
		t.Errorf("outside: %s, %v", b, left)
	}
}

// A name that is taken stays what it is.
func TestTaken(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	p, dir := open(t)
	must(t, p.Put(t.Context(), "a/b", strings.NewReader("first")))
	if err := p.Put(t.Context(), "a/b", strings.NewReader("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "a", "b"))
	must(t, err)
	files, err := os.ReadDir(filepath.Join(dir, "a"))
	must(t, err)
	if string(b) != "first" || len(files) != 1 {
		t.Errorf("%s, %v", b, files)
	}
}

// What a process left that was killed is listed under the name it was for, and goes
// with it.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	p, dir := open(t)
	must(t, p.Put(t.Context(), "a/other", strings.NewReader("x")))
	must(t, os.WriteFile(filepath.Join(dir, "a", "b.part"), []byte("half"), 0o600))
	var names []string
	for o, err := range p.List(t.Context(), "a/b") {
		must(t, err)
		names = append(names, o.Name)
	}
	if len(names) != 1 || names[0] != "a/b" {
		t.Errorf("listed: %v", names)
	}
	if _, _, err := p.Open(t.Context(), "a/b", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an object: %v", err)
	}
	must(t, p.Remove(t.Context(), "a/b"))
	files, err := os.ReadDir(filepath.Join(dir, "a"))
	must(t, err)
	if len(files) != 1 || files[0].Name() != "other" {
		t.Errorf("left: %v", files)
	}
}
