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
	"strings"

	"github.com/art32/art32/internal/aead"
)

const (
	keyFileTitle = "art32 root key v1"
	keyFileCheck = "art32/key-file/v1/check"
	checkSize    = 8
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
	return openKeyFile(path, ownerOnly)
}

// UnsafeMountedKeyFile opens a root key where an orchestrator mounts it, as a
// secret of Kubernetes or a credential of systemd: the same text as of
// [CreateKeyFile], in a file whose mode and group are not ours to choose, behind
// symbolic links, in a file system in memory. It is unsafe in one thing: it does
// not ask who may read the file. Whoever can, in the container, the group or on
// the node, can read all data, and nothing here would show it.
//
// It refuses with [ErrKeyFile] all else that [KeyFile] refuses: a file that
// others than its owner may write or anybody may run, and one that is no whole
// key file. The folders above it are not looked at, as an orchestrator's are
// open to all.
func UnsafeMountedKeyFile(path string) (Wrapper, error) {
	return openKeyFile(path, ownerWrites)
}

func openKeyFile(path string, rule mayNot) (Wrapper, error) {
	text, err := readFile(path, rule)
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
