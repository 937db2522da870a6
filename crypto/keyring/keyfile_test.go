package keyring_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

func TestKeyFile(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.key")
	noError(t, keyring.CreateKeyFile(path))
	if mode := value(os.Stat(path))(t).Mode(); mode != 0o600 {
		t.Errorf("mode %v", mode)
	}
	before := value(os.ReadFile(path))(t)
	if err := keyring.CreateKeyFile(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("created over a key: %v", err)
	}
	if !bytes.Equal(before, value(os.ReadFile(path))(t)) {
		t.Fatal("the key was overwritten")
	}
	one, two := value(keyring.KeyFile(path))(t), value(keyring.KeyFile(path))(t)
	wrapped := value(one.Wrap(t.Context(), []byte("key"), []byte("aad")))(t)
	if got, err := two.Unwrap(t.Context(), wrapped, []byte("aad")); err != nil || string(got) != "key" {
		t.Errorf("unwrapped %q, %v", got, err)
	}
	if got, err := two.Unwrap(t.Context(), wrapped, []byte("other")); !errors.Is(err, keyring.ErrUnwrap) || got != nil {
		t.Errorf("other place: %q, %v", got, err)
	}
	if got, err := newRoot(t).Unwrap(t.Context(), wrapped, []byte("aad")); !errors.Is(err, keyring.ErrUnwrap) || got != nil {
		t.Errorf("other root: %q, %v", got, err)
	}
}

func TestKeyFileModes(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.key")
	noError(t, keyring.CreateKeyFile(path))
	link := filepath.Join(t.TempDir(), "link")
	noError(t, os.Symlink(path, link))
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o660: false, 0o620: false, 0o700: false, 0o644: false, 0o777: false} {
		noError(t, os.Chmod(path, mode))
		for _, p := range []string{path, link} {
			_, err := keyring.KeyFile(p)
			if ok && err != nil || !ok && !errors.Is(err, keyring.ErrKeyFile) {
				t.Errorf("%04o: %v", mode, err)
			}
			if !ok && (!strings.Contains(err.Error(), p) || !strings.Contains(err.Error(), "chmod 0600")) {
				t.Errorf("no file or no mend: %v", err)
			}
		}
	}
}

func TestKeyFileRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "root.key")
	noError(t, keyring.CreateKeyFile(path))
	good := string(value(os.ReadFile(path))(t))
	key := strings.Fields(good)[5]
	other := byte('A')
	if key[3] == other {
		other = 'B'
	}
	for name, text := range map[string]string{
		"empty":         "",
		"title only":    "art32 root key v1\n",
		"other version": strings.Replace(good, "v1", "v2", 1),
		"one letter":    strings.Replace(good, key, key[:3]+string(other)+key[4:], 1),
		"short key":     strings.Replace(good, key, key[:40], 1),
		"no newline":    good[:len(good)-1],
		"torn":          good[:len(good)/2],
		"more lines":    good + "more: 1\n",
		"huge":          good + strings.Repeat("x", 10<<20),
		"NUL inside":    strings.Replace(good, key, key[:10]+"\x00"+key[11:], 1),
		"NUL behind":    good + "\x00",
		"CR alone":      strings.ReplaceAll(good, "\n", "\r"),
		"blank line":    strings.Replace(good, "\n", "\n\n", 1),
		"mark of order": "\ufeff" + good,
		"binary":        strings.Repeat("\x00\xff", 16),
		"passphrase":    "art32 root passphrase v1\n",
		"swapped":       strings.Join([]string{"art32 root key v1", strings.Split(good, "\n")[2], strings.Split(good, "\n")[1], ""}, "\n"),
	} {
		bad := filepath.Join(dir, "bad.key")
		noError(t, os.WriteFile(bad, []byte(text), 0o600))
		_, err := keyring.KeyFile(bad)
		if !errors.Is(err, keyring.ErrKeyFile) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), key[:12]) {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
	if _, err := keyring.KeyFile(dir); !errors.Is(err, keyring.ErrKeyFile) {
		t.Errorf("folder: %v", err)
	}
	if _, err := keyring.KeyFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := keyring.CreateKeyFile(filepath.Join(dir, "no", "such")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	windows := filepath.Join(dir, "crlf.key")
	noError(t, os.WriteFile(windows, []byte(strings.ReplaceAll(good, "\n", "\r\n")), 0o600))
	value(keyring.KeyFile(windows))(t)
}

// TestKeptFiles opens the files of every version that was ever written.
func TestKeptFiles(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	var vectors []struct{ Name, File, Passphrase, AAD, Key, Wrapped string }
	noError(t, json.Unmarshal(value(os.ReadFile("testdata/wrapped-v1.json"))(t), &vectors))
	for _, v := range vectors {
		path := filepath.Join(t.TempDir(), strconv.Itoa(len(v.File)))
		noError(t, os.WriteFile(path, []byte(v.File), 0o600))
		open := func() (keyring.Wrapper, error) { return keyring.KeyFile(path) }
		if v.Passphrase != "" {
			open = func() (keyring.Wrapper, error) { return keyring.PassphraseFile(path, []byte(v.Passphrase)) }
		}
		root, err := open()
		if fips140.Enforced() && strings.Contains(v.File, "argon2id") {
			if !errors.Is(err, keyring.ErrNotApproved) {
				t.Errorf("%s: %v", v.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		got, err := root.Unwrap(t.Context(), unhex(t, v.Wrapped), unhex(t, v.AAD))
		if err != nil || !bytes.Equal(got, unhex(t, v.Key)) {
			t.Errorf("%s: %x, %v", v.Name, got, err)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(keptKeyFile))
	f.Add([]byte(strings.ReplaceAll(keptKeyFile, "\n", "\r\n")))
	f.Add([]byte("art32 root key v1\nkey: AAAA\ncheck: AAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "f")
		noError(t, os.WriteFile(file, text, 0o600))
		for _, open := range []func(string) (keyring.Wrapper, error){keyring.KeyFile, keyring.UnsafeMountedKeyFile} {
			root, err := open(file)
			if err != nil && (!errors.Is(err, keyring.ErrKeyFile) || root != nil) {
				t.Errorf("%v, %v", root, err)
			}
			if err == nil && strings.Trim(strings.ReplaceAll(string(text), "\r\n", "\n"), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=: \n") != "" {
				t.Errorf("accepted: %q", text)
			}
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	path := filepath.Join(f.TempDir(), "root.key")
	noError(f, os.WriteFile(path, []byte(keptKeyFile), 0o600))
	root := value(keyring.KeyFile(path))(f)
	sealed := unhex(f, keptWrapped)
	f.Add(sealed, []byte("aad"))
	f.Add(sealed[:80], []byte("aad"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, wrapped, aad []byte) {
		key, err := root.Unwrap(t.Context(), wrapped, aad)
		if err == nil && bytes.Equal(wrapped, sealed) && string(aad) == "aad" {
			return
		}
		if !errors.Is(err, keyring.ErrUnwrap) || key != nil {
			t.Errorf("a key that was never wrapped opens: %x, %v", key, err)
		}
	})
}
