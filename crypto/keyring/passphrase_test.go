package keyring_test

import (
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

const phrase = "correct horse battery staple"

var kdfs = map[keyring.KDF]string{
	keyring.Argon2id: "argon2id m=47104 t=1 p=1",
	keyring.PBKDF2:   "pbkdf2-hmac-sha256 i=600000",
}

// wrong are passphrases that do not open; PBKDF2 takes its time under the race
// detector, and TestPassphraseFileChanged has one for it.
var wrong = map[keyring.KDF][]string{
	keyring.Argon2id: {"", phrase + " ", phrase + "\n", strings.ToUpper(phrase)},
}

// approved leaves out what must be refused where it must be.
func approved(kdf keyring.KDF) bool { return kdf == keyring.PBKDF2 || !fips140.Enforced() }

func newPassphraseFile(t *testing.T, kdf keyring.KDF) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.pass")
	noError(t, keyring.CreatePassphraseFile(path, []byte(phrase), &keyring.PassphraseOptions{KDF: kdf}))
	return path
}

func TestPassphraseFile(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for kdf, line := range kdfs {
		if !approved(kdf) {
			continue
		}
		path := newPassphraseFile(t, kdf)
		if text := string(value(os.ReadFile(path))(t)); !strings.Contains(text, "\nkdf: "+line+"\n") {
			t.Errorf("%s: the file is of another function", kdf)
		}
		root := value(keyring.PassphraseFile(path, []byte(phrase)))(t)
		value(root.Wrap(t.Context(), []byte("key"), nil))(t)
		for _, wrong := range wrong[kdf] {
			if _, err := keyring.PassphraseFile(path, []byte(wrong)); !errors.Is(err, keyring.ErrPassphrase) {
				t.Errorf("%s: %q: %v", kdf, wrong, err)
			}
		}
		noError(t, os.Chmod(path, 0o644))
		if _, err := keyring.PassphraseFile(path, []byte(phrase)); !errors.Is(err, keyring.ErrKeyFile) {
			t.Errorf("%s: readable by others: %v", kdf, err)
		}
	}
}

func TestPassphraseFileRefusesToCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.pass")
	if err := keyring.CreatePassphraseFile(path, []byte("short"), nil); !errors.Is(err, keyring.ErrWeakPassphrase) {
		t.Errorf("short: %v", err)
	}
	if err := keyring.CreatePassphraseFile(path, []byte(phrase), &keyring.PassphraseOptions{KDF: "md5"}); err == nil || !strings.Contains(err.Error(), "md5") {
		t.Errorf("unknown function: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
	noError(t, os.WriteFile(path, nil, 0o600))
	if err := keyring.CreatePassphraseFile(path, []byte(phrase), nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("created over a file: %v", err)
	}
}

// TestPassphraseFileChanged asks for parameters that help a guesser or exhaust
// the machine: they are refused before anything is computed.
func TestPassphraseFileChanged(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for kdf, changes := range map[keyring.KDF]map[[2]string]error{
		keyring.Argon2id: {
			{"m=47104", "m=47103"}:      keyring.ErrKeyFile,
			{"m=47104", "m=1048577"}:    keyring.ErrKeyFile,
			{"m=47104", "m=4294967295"}: keyring.ErrKeyFile,
			{"m=47104", "m=4294967296"}: keyring.ErrKeyFile,
			{"m=47104", "m=-47104"}:     keyring.ErrKeyFile,
			{"m=47104", "m=47105"}:      keyring.ErrPassphrase, // the parameters are bound
			{"t=1", "t=0"}:              keyring.ErrKeyFile,
			{"t=1", "t=1000"}:           keyring.ErrKeyFile,
			{"p=1", "p=0"}:              keyring.ErrKeyFile,
			{"p=1", "p=256"}:            keyring.ErrKeyFile,
			{"p=1", "p=01"}:             keyring.ErrKeyFile,
			{"argon2id", "argon2i"}:     keyring.ErrKeyFile,
		},
		keyring.PBKDF2: {
			{"i=600000", "i=599999"}:               keyring.ErrKeyFile,
			{"i=600000", "i=1"}:                    keyring.ErrKeyFile,
			{"i=600000", "i=0"}:                    keyring.ErrKeyFile,
			{"i=600000", "i=-600000"}:              keyring.ErrKeyFile,
			{"i=600000", "i=10000001"}:             keyring.ErrKeyFile,
			{"i=600000", "i=99999999999999999999"}: keyring.ErrKeyFile,
			{"i=600000", "i=600001"}:               keyring.ErrPassphrase, // the parameters are bound
			{"i=600000", "i=0600000"}:              keyring.ErrKeyFile,
			{"i=600000", "i=+600000"}:              keyring.ErrKeyFile,
			{"i=600000", "i=600000 "}:              keyring.ErrKeyFile,
			{"i=600000", "i="}:                     keyring.ErrKeyFile,
			{"pbkdf2-hmac-sha256", "pbkdf2"}:       keyring.ErrKeyFile,
			{"-sha256", "-sha1"}:                   keyring.ErrKeyFile,
			{"-sha256", "-SHA256"}:                 keyring.ErrKeyFile,
			{"salt: ", "salt:"}:                    keyring.ErrKeyFile,
			{"salt: ", "salt: AAAA"}:               keyring.ErrKeyFile,
			{"root: ", "root: AAAA"}:               keyring.ErrKeyFile,
			{"kdf: ", "KDF: "}:                     keyring.ErrKeyFile,
		},
	} {
		if !approved(kdf) {
			continue
		}
		path := filepath.Join(t.TempDir(), "root.pass")
		good := strings.Replace(keptPassphraseFile, kdfs[keyring.Argon2id], kdfs[kdf], 1)
		for change, want := range changes {
			text := strings.Replace(good, change[0], change[1], 1)
			noError(t, os.WriteFile(path, []byte(text), 0o600))
			if _, err := keyring.PassphraseFile(path, []byte(phrase)); text == good || !errors.Is(err, want) {
				t.Errorf("%s: %s instead of %s: %v", kdf, change[1], change[0], err)
			}
		}
	}
}

func TestChangePassphrase(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	const next = "another phrase, longer"
	path := newPassphraseFile(t, "")
	wrapped := value(value(keyring.PassphraseFile(path, []byte(phrase)))(t).Wrap(t.Context(), []byte("key"), nil))(t)
	changed := filepath.Join(t.TempDir(), "changed.pass")
	for name, c := range map[string]struct {
		old, next string
		want      error
	}{
		"wrong": {"wrong passphrase", next, keyring.ErrPassphrase},
		"weak":  {phrase, "short", keyring.ErrWeakPassphrase},
	} {
		if err := keyring.ChangePassphrase(path, []byte(c.old), changed, []byte(c.next), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := keyring.ChangePassphrase(path, []byte(phrase), path, []byte(next), nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("over the old file: %v", err)
	}
	noError(t, keyring.ChangePassphrase(path, []byte(phrase), changed, []byte(next), &keyring.PassphraseOptions{KDF: keyring.PBKDF2}))
	root := value(keyring.PassphraseFile(changed, []byte(next)))(t)
	if got, err := root.Unwrap(t.Context(), wrapped, nil); err != nil || string(got) != "key" {
		t.Errorf("another root: %q, %v", got, err)
	}
	if !strings.Contains(string(value(os.ReadFile(changed))(t)), kdfs[keyring.PBKDF2]) {
		t.Error("the function was not changed")
	}
}

// TestFIPS says what a passphrase file does in each mode of FIPS 140. It runs
// itself in the other two.
func TestFIPS(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	path := newPassphraseFile(t, "")
	want := keyring.Argon2id
	if fips140.Enabled() {
		want = keyring.PBKDF2
	}
	if text := string(value(os.ReadFile(path))(t)); !strings.Contains(text, "kdf: "+kdfs[want]) {
		t.Errorf("the default is not %s", want)
	}
	if fips140.Enforced() {
		err := keyring.CreatePassphraseFile(path+"2", []byte(phrase), &keyring.PassphraseOptions{KDF: keyring.Argon2id})
		if !errors.Is(err, keyring.ErrNotApproved) {
			t.Errorf("argon2id written: %v", err)
		}
		text := strings.Replace(string(value(os.ReadFile(path))(t)), kdfs[keyring.PBKDF2], kdfs[keyring.Argon2id], 1)
		noError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = keyring.PassphraseFile(path, []byte(phrase))
		if !errors.Is(err, keyring.ErrNotApproved) || !errors.Is(err, keyring.ErrKeyFile) || !strings.Contains(err.Error(), "ChangePassphrase") {
			t.Errorf("argon2id read: %v", err)
		}
	}
	if fips140.Enabled() {
		return
	}
	for _, mode := range []string{"on", "only"} {
		cmd := exec.CommandContext(t.Context(), value(os.Executable())(t),
			"-test.run=^(TestFIPS|TestKeyFile|TestKeptFiles|TestRoots)$")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("fips140=%s: %v\n%s", mode, err, out)
		}
	}
}

func FuzzPassphraseFile(f *testing.F) {
	f.Add([]byte("art32 root passphrase v1\nkdf: argon2id m=47104 t=1 p=1\nsalt: S8jC0Upp7u43Y2jCrCitlQ==\nroot: AAAA\n"))
	f.Add([]byte("art32 root passphrase v1\nkdf: argon2id m=47104 t=1 p=1\nsalt: \nroot: \n"))
	f.Add([]byte("art32 root passphrase v1\nkdf: pbkdf2-hmac-sha256 i=600000\nsalt: S8jC0Upp7u43Y2jCrCitlQ==\nroot: AAAA\n"))
	f.Add([]byte("art32 root passphrase v1\nkdf: pbkdf2-hmac-sha256 i=99999999999\nsalt: \nroot: \n"))
	f.Add([]byte(keptPassphraseFile))
	f.Fuzz(func(t *testing.T, text []byte) {
		kdf, err := keyring.ParsePassphraseFile(text) // what it asks for is not run
		if err != nil {
			return
		}
		if !strings.Contains(strings.ReplaceAll(string(text), "\r\n", "\n"), "\nkdf: "+kdf+"\n") {
			t.Errorf("%q is not the line of %q", kdf, text)
		}
	})
}
