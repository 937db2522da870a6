package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

// mount lays a file out as Kubernetes does: a link to a link into a folder that
// anybody may write to.
func mount(tb testing.TB, text string, mode os.FileMode) (path, file string) {
	tb.Helper()
	dir := tb.TempDir()
	noError(tb, os.Chmod(dir, 0o777|os.ModeSticky))
	noError(tb, os.Mkdir(filepath.Join(dir, "..2026_01_02"), 0o777))
	file = filepath.Join(dir, "..2026_01_02", "root.key")
	noError(tb, os.WriteFile(file, []byte(text), 0o600))
	noError(tb, os.Chmod(file, mode))
	noError(tb, os.Symlink("..2026_01_02", filepath.Join(dir, "..data")))
	path = filepath.Join(dir, "root.key")
	noError(tb, os.Symlink(filepath.Join("..data", "root.key"), path))
	return path, file
}

func TestUnsafeMountedKeyFile(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for mode, ok := range map[os.FileMode]bool{
		0o400: true, 0o440: true, 0o444: true, 0o600: true, 0o640: true, 0o644: true,
		0o460: false, 0o660: false, 0o446: false, 0o666: false, 0o777: false, 0o755: false, 0o500: false, 0o410: false,
	} {
		path, _ := mount(t, keptKeyFile, mode)
		root, err := keyring.UnsafeMountedKeyFile(path)
		if !ok {
			if !errors.Is(err, keyring.ErrKeyFile) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "0440") {
				t.Errorf("%04o: %v", mode, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%04o: %v", mode, err)
			continue
		}
		if _, err := root.Unwrap(t.Context(), unhex(t, keptWrapped), []byte("aad")); err != nil {
			t.Errorf("%04o: %v", mode, err)
		}
		if _, err := keyring.KeyFile(path); (mode == 0o400 || mode == 0o600) != (err == nil) {
			t.Errorf("%04o: as a key file: %v", mode, err)
		}
	}
	for name, text := range map[string]string{
		"torn": keptKeyFile[:40], "empty": "", "huge": keptKeyFile + strings.Repeat("\n", 10<<20), "NUL": strings.Replace(keptKeyFile, "P", "\x00", 1),
		"base64": "PGIkUk0jIfn/ff00klB7KaxJBiufcj8twHtaaxt/Gn8=",
	} {
		path, _ := mount(t, text, 0o444)
		if _, err := keyring.UnsafeMountedKeyFile(path); !errors.Is(err, keyring.ErrKeyFile) || strings.Contains(err.Error(), "PGIkUk0j") {
			t.Errorf("%s: %v", name, err)
		}
	}
	path, file := mount(t, keptKeyFile, 0o444)
	if _, err := keyring.UnsafeMountedKeyFile(filepath.Dir(path)); !errors.Is(err, keyring.ErrKeyFile) {
		t.Errorf("folder: %v", err)
	}
	noError(t, os.Remove(file))
	if _, err := keyring.UnsafeMountedKeyFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link leads nowhere: %v", err)
	}
}
