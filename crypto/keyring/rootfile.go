package keyring

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrKeyFile says that a key file is refused. The error around it names the
// file and the mend, never the content.
var ErrKeyFile = errors.New("keyring: key file refused")

var errNotRegular = errors.New("it is no regular file")

const maxKeyFile = 4 << 10

// mayNot are the permissions that a file must not give.
type mayNot os.FileMode

const (
	ownerOnly   mayNot = 0o177
	ownerWrites mayNot = 0o133
)

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
		return fmt.Errorf("keyring: write folder to disk: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("keyring: write folder to disk: %w", err)
	}
	return nil
}

func readFile(path string, rule mayNot) ([]byte, error) {
	if info, err := os.Stat(path); err != nil { // before opening: a pipe would block
		return nil, fmt.Errorf("keyring: read key file: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, refuse(path, errNotRegular)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: read key file: %w", err)
	}
	defer f.Close()
	if err := checkMode(f, rule); err != nil {
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
func checkMode(f *os.File, rule mayNot) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errNotRegular
	}
	perm := info.Mode().Perm()
	switch {
	case perm&os.FileMode(rule) == 0:
		return nil
	case rule == ownerWrites:
		return fmt.Errorf("its mode is %04o, others may write or run it; mount it with 0440 or 0400, and create a new root if others had access", perm)
	}
	return fmt.Errorf("its mode is %04o, others may use it; chmod 0600, and create a new root if others had access", perm)
}

func refuse(path string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrKeyFile, path, err)
}
