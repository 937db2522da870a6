//go:build unix

package keyring_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

// TestKeyFilePipe: a pipe has no mode that lasts and would block for ever.
func TestKeyFilePipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.key")
	noError(t, syscall.Mkfifo(path, 0o600))
	for name, err := range map[string]error{
		"key file":   second(keyring.KeyFile(path)),
		"mounted":    second(keyring.UnsafeMountedKeyFile(path)),
		"passphrase": second(keyring.PassphraseFile(path, []byte(phrase))),
		"device":     second(keyring.KeyFile("/dev/null")),
	} {
		if !errors.Is(err, keyring.ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
