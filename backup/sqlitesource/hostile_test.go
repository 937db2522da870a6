package sqlitesource_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
)

const draft = ".restoring"

// Somebody who can write beside the place of a restore lays out a draft, in
// which a file leads to one in use.
func TestPlantedDraft(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	for name, plant := range map[string]func(t *testing.T, dir, live string) (taken bool){
		"loose": func(t *testing.T, dir, live string) bool {
			t.Helper()
			must(t, os.Mkdir(dir+draft, 0o700))
			must(t, os.Chmod(dir+draft, 0o777))
			must(t, os.Symlink(live, dir+draft+"/keystore.db"))
			return false
		},
		"link": func(t *testing.T, dir, live string) bool {
			t.Helper()
			must(t, os.Mkdir(dir+"-elsewhere", 0o700))
			must(t, os.Symlink(dir+"-elsewhere", dir+draft))
			must(t, os.Link(live, dir+draft+"/keystore.db"))
			return false
		},
		"own, with a symbolic link": func(t *testing.T, dir, live string) bool {
			t.Helper()
			must(t, os.Mkdir(dir+draft, 0o700))
			must(t, os.Symlink(live, dir+draft+"/keystore.db"))
			return true
		},
		"own, with a second name": func(t *testing.T, dir, live string) bool {
			t.Helper()
			must(t, os.Mkdir(dir+draft, 0o700))
			must(t, os.Link(live, dir+draft+"/keystore.db"))
			return true
		},
	} {
		root := t.TempDir()
		dir, live := filepath.Join(root, "new"), filepath.Join(root, "live.db")
		must(t, os.WriteFile(live, []byte("precious"), 0o600))
		taken := plant(t, dir, live)
		must(t, os.WriteFile(dir+draft+"/.art32-restore", nil, 0o600))
		d := sqlitesource.Into(dir, nil)
		err := d.Begin(t.Context())
		if taken != (err == nil) || err != nil && !errors.Is(err, backup.ErrNotEmpty) {
			t.Errorf("%s: %v", name, err)
		}
		must(t, d.Abort(t.Context()))
		if b, err := os.ReadFile(live); err != nil || string(b) != "precious" {
			t.Errorf("%s: the file in use holds %q, %v", name, b, err)
		}
	}
}

// What a killed run left in the directory of the data is no way out of it.
func TestPlantedRemains(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	s := newService(t, 1)
	live := filepath.Join(t.TempDir(), "live.db")
	must(t, os.WriteFile(live, []byte("precious"), 0o600))
	must(t, os.Mkdir(s.dir+"/.backup-1", 0o700))
	must(t, os.Symlink(live, s.dir+"/.backup-1/keystore.db"))
	snapshot(t, s.source())
	if b, err := os.ReadFile(live); err != nil || string(b) != "precious" {
		t.Errorf("the file in use holds %q, %v", b, err)
	}
}

// fill takes a restore to its end, with nothing but a keystore.
func fill(t *testing.T, d *sqlitesource.Destination) {
	t.Helper()
	must(t, d.Begin(t.Context()))
	must(t, d.Keystore(t.Context(), "keystore.db", 4, strings.NewReader("keys")))
}

// Data and keystore appear both, or neither: no keystore stays behind.
func TestFinishBoth(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	root := t.TempDir()
	dir, keys := filepath.Join(root, "new"), filepath.Join(root, "keys")
	for name, meddle := range map[string]func(t *testing.T) (undo func()){
		"something came in": func(t *testing.T) func() {
			t.Helper()
			must(t, os.MkdirAll(filepath.Join(dir, "x"), 0o700))
			return func() { must(t, os.RemoveAll(dir)) }
		},
		"the second cannot appear": func(t *testing.T) func() {
			t.Helper()
			must(t, os.Remove(dir+draft+"/.art32-restore"))
			return func() {}
		},
	} {
		d := sqlitesource.Into(dir, &sqlitesource.IntoOptions{Keystore: keys})
		fill(t, d)
		undo := meddle(t)
		if err := d.Finish(t.Context()); err == nil {
			t.Errorf("%s: finished", name)
		}
		must(t, d.Abort(t.Context()))
		undo()
		for _, path := range []string{dir, keys, dir + draft, keys + draft} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is left: %v", name, path, err)
			}
		}
	}
}

// A relative place is the same as an absolute one.
func TestIntoRelative(t *testing.T) { //nolint:paralleltest // it changes the working directory
	t.Attr("art32.measure", "TOM-7.3")
	root := t.TempDir()
	t.Chdir(root)
	for _, o := range []*sqlitesource.IntoOptions{nil, {Keystore: "new/"}, {Keystore: filepath.Join(root, "new")}, {Keystore: "keys"}} {
		d := sqlitesource.Into("new", o)
		fill(t, d)
		must(t, d.Finish(t.Context()))
		where := "new"
		if o != nil && o.Keystore == "keys" {
			where = "keys"
		}
		b, err := os.ReadFile(filepath.Join(root, where, "keystore.db"))
		if err != nil || !bytes.Equal(b, []byte("keys")) {
			t.Errorf("%q, %v", b, err)
		}
		must(t, os.RemoveAll(filepath.Join(root, "new")))
	}
}
