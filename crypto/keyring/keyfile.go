package keyring

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/art32/art32/internal/aead"
)

// ErrKeyFile says that a key file is refused. The error around it names the
// file and the mend, never the content.
var ErrKeyFile = errors.New("keyring: key file refused")

const (
	keyFileTitle = "art32 root key v1"
	keyFileCheck = "art32/key-file/v1/check"
	checkSize    = 8
	maxKeyFile   = 4 << 10
)

// CreateKeyFile writes a new random root key to path, which must not exist,
// readable by its owner only, and returns once file and directory are on disk.
// Whoever has the file and the keystore can read all data; without the file
// nobody can. Keep one copy apart from every backup of the data.
func CreateKeyFile(path string) error {
	key := make([]byte, aead.KeySize)
	rand.Read(key)
	defer clear(key)
	text, err := formatKeyFile(key)
	if err != nil {
		return err
	}
	defer clear(text)
	return createFile(path, text)
}

// KeyFile opens a root key that [CreateKeyFile] wrote. It refuses with
// [ErrKeyFile] a file that others than its owner may read or write, also
// behind a symbolic link, and one that is no whole key file.
func KeyFile(path string) (Wrapper, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := parseKeyFile(text)
	if err != nil {
		return nil, refuse(path, err)
	}
	defer clear(key)
	return newRootKey(key)
}

func formatKeyFile(key []byte) ([]byte, error) {
	check, err := keyCheck(key)
	if err != nil {
		return nil, err
	}
	return formatLines(keyFileTitle, line{"key", encode(key)}, line{"check", encode(check)}), nil
}

func parseKeyFile(text []byte) ([]byte, error) {
	values, err := parseLines(text, keyFileTitle, "key", "check")
	if err != nil {
		return nil, err
	}
	key, err := decode(values[0], aead.KeySize)
	if err != nil {
		return nil, err
	}
	check, err := decode(values[1], checkSize)
	if err != nil {
		return nil, err
	}
	want, err := keyCheck(key)
	if err != nil || subtle.ConstantTimeCompare(check, want) != 1 {
		return nil, errors.New("its check value does not match: it was changed; restore it from its copy")
	}
	return key, nil
}

// keyCheck finds a slip of the hand when a key is typed in from paper.
func keyCheck(key []byte) ([]byte, error) {
	return hkdf.Expand(sha256.New, key, keyFileCheck, checkSize)
}

type line struct{ name, value string }

func formatLines(title string, lines ...line) []byte {
	var b bytes.Buffer
	b.WriteString(title + "\n")
	for _, l := range lines {
		b.WriteString(l.name + ": " + l.value + "\n")
	}
	return b.Bytes()
}

// parseLines reads exactly the title and the names in their order.
func parseLines(text []byte, title string, names ...string) ([]string, error) {
	malformed := fmt.Errorf("it is no whole %q file; restore it from its copy", title)
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	if len(lines) != len(names)+2 || lines[0] != title || lines[len(lines)-1] != "" {
		return nil, malformed
	}
	values := make([]string, len(names))
	for i, name := range names {
		value, ok := strings.CutPrefix(lines[i+1], name+": ")
		if !ok {
			return nil, malformed
		}
		values[i] = value
	}
	return values, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func decode(text string, size int) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != size { // err would show where, and so a part of what
		return nil, errors.New("a value in it has the wrong length or alphabet; restore it from its copy")
	}
	return b, nil
}

// createFile leaves either the whole file or none, unless the machine stops:
// then the torn file is refused on reading, and nothing was encrypted with it.
func createFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keyring: create key file: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("keyring: create key file: %w", errors.Join(err, os.Remove(path)))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("keyring: create key file: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("keyring: create key file: %w", err)
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil { // before opening: a pipe would block
		return nil, fmt.Errorf("keyring: read key file: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, refuse(path, errors.New("it is no regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: read key file: %w", err)
	}
	defer f.Close()
	if err := checkMode(f); err != nil {
		return nil, refuse(path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("keyring: read key file: %w", err)
	}
	if len(text) > maxKeyFile {
		return nil, refuse(path, errors.New("it is too long for a key file"))
	}
	return text, nil
}

// checkMode looks at the open file, not at the path: behind a link it is the
// file that counts, and it cannot be swapped in between.
func checkMode(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o177 != 0 {
		return fmt.Errorf("its mode is %04o, others may use it; chmod 0600, and create a new root if others had access", perm)
	}
	return nil
}

func refuse(path string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrKeyFile, path, err)
}
