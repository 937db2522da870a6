package keyringtest_test

import (
	"crypto/fips140"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
)

// TestWrappers runs the kit over every root there is.
func TestWrappers(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, newRoot := range map[string]func(t *testing.T) keyringtest.Root{
		"key file":              func(t *testing.T) keyringtest.Root { t.Helper(); return two(t, keyFile) },
		"mounted secret":        func(t *testing.T) keyringtest.Root { t.Helper(); return two(t, mounted) },
		"roots of files":        func(t *testing.T) keyringtest.Root { t.Helper(); return two(t, rootsOf(keyFile)) },
		"KMS":                   service(func(_ *testing.T, w keyring.Wrapper) keyring.Wrapper { return w }),
		"KMS, with check value": service(roots),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keyringtest.RunWrapper(t, newRoot)
		})
	}
	t.Run("passphrase file", func(t *testing.T) {
		t.Parallel()
		if fips140.Enforced() {
			return // TestFIPS of package keyring says what must be refused
		}
		root := two(t, passphraseFile) // one for all, as opening takes its time
		keyringtest.RunWrapper(t, func(*testing.T) keyringtest.Root { return root })
	})
}

func two(t *testing.T, open func(t *testing.T) keyring.Wrapper) keyringtest.Root {
	t.Helper()
	return keyringtest.Root{Wrapper: open(t), Other: open(t)}
}

func keyFile(t *testing.T) keyring.Wrapper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	return opened(t)(keyring.KeyFile(path))
}

func mounted(t *testing.T) keyring.Wrapper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	return opened(t)(keyring.UnsafeMountedKeyFile(path))
}

func passphraseFile(t *testing.T) keyring.Wrapper {
	t.Helper()
	path, phrase := filepath.Join(t.TempDir(), "root.pass"), []byte("correct horse battery staple")
	if err := keyring.CreatePassphraseFile(path, phrase, nil); err != nil {
		t.Fatal(err)
	}
	return opened(t)(keyring.PassphraseFile(path, phrase))
}

func rootsOf(open func(t *testing.T) keyring.Wrapper) func(t *testing.T) keyring.Wrapper {
	return func(t *testing.T) keyring.Wrapper {
		t.Helper()
		return opened(t)(keyring.Roots(open(t), open(t)))
	}
}

func roots(t *testing.T, w keyring.Wrapper) keyring.Wrapper {
	t.Helper()
	return opened(t)(keyring.Roots(w, keyFile(t)))
}

// service is a root behind a KMS of its own.
func service(around func(t *testing.T, w keyring.Wrapper) keyring.Wrapper) func(t *testing.T) keyringtest.Root {
	return func(t *testing.T) keyringtest.Root {
		t.Helper()
		kms := keyringtest.NewKMS(t)
		return keyringtest.Root{
			Wrapper: around(t, kms.Root()), Other: around(t, keyringtest.NewKMS(t).Root()),
			Break: func() { kms.Fail(-1, http.StatusServiceUnavailable) }, Mend: func() { kms.Fail(0, 0) },
			Hang: func() { kms.Delay(time.Hour) },
		}
	}
}

func opened(t *testing.T) func(keyring.Wrapper, error) keyring.Wrapper {
	t.Helper()
	return func(w keyring.Wrapper, err error) keyring.Wrapper {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
}
