package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/art32/art32/internal/filelock"
)

// folder is one folder of the vault, open. Its files are reached through it
// only: no link is followed.
type folder struct {
	path string
	root *os.Root
}

// openFolder opens a folder that is as a folder of the vault must be.
func openFolder(dir string) (*folder, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVault, err)
	}
	f := &folder{dir, root}
	for _, sub := range []string{recordsDir, keystoresDir} {
		st, err := root.Lstat(sub)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && !st.IsDir():
			err = errors.New("it is no folder, or a link")
		}
		if err != nil {
			return nil, errors.Join(f.refuse(sub, err), root.Close())
		}
	}
	return f, nil
}

// openFolders opens folders that nobody has locked. The caller closes them.
func openFolders(dirs []string) (all []*folder, err error) {
	for _, dir := range dirs {
		f, err := openFolder(dir)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func (f *folder) close() { _ = f.root.Close() } // nothing is written through it

func (f *folder) refuse(name string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrVault, filepath.Join(f.path, filepath.FromSlash(name)), err)
}

// regular refuses what is no plain file. It returns an error around
// [fs.ErrNotExist] where there is none.
func (f *folder) regular(name string) error {
	st, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && !st.Mode().IsRegular():
		err = errors.New("it is no plain file")
	}
	if err != nil {
		return f.refuse(name, err)
	}
	return nil
}

func (f *folder) open(name string) (*os.File, error) {
	if err := f.regular(name); err != nil {
		return nil, err
	}
	return f.root.Open(name)
}

func (f *folder) read(name string) ([]byte, error) {
	if err := f.regular(name); err != nil {
		return nil, err
	}
	text, err := f.root.ReadFile(name)
	if err != nil {
		return nil, f.refuse(name, err)
	}
	return text, nil
}

// names are those of the entries of a sub-folder.
func (f *folder) names(sub string) (all []string, err error) {
	d, err := f.root.Open(sub)
	if err != nil {
		return nil, f.refuse(sub, err)
	}
	all, err = d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, f.refuse(sub, err)
	}
	return all, nil
}

// remove removes a file; one that is not there is no error.
func (f *folder) remove(name string) error {
	err := f.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, f.sync(path.Dir(name)))
}

// sync makes the names in a folder last.
func (f *folder) sync(sub string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := f.root.Open(sub)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sweep removes what was never finished. The caller knows that nobody writes.
func (f *folder) sweep(sub string) error {
	names, err := f.names(sub)
	for _, name := range names {
		if strings.HasPrefix(name, draftPrefix) {
			err = errors.Join(err, f.remove(path.Join(sub, name)))
		}
	}
	return err
}

// lock takes the lock of a file of the folder; nil says that somebody has it.
func (f *folder) lock(name string) (*filelock.Lock, error) {
	if err := f.regular(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := filelock.Try(filepath.Join(f.path, name))
	if err != nil {
		return nil, f.refuse(name, err)
	}
	return l, nil
}

// wait takes the lock that serializes changes of the folder.
func (f *folder) wait(ctx context.Context) (*filelock.Lock, error) {
	if err := f.regular(lockName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := filelock.Wait(ctx, filepath.Join(f.path, lockName))
	if err != nil {
		return nil, f.refuse(lockName, err)
	}
	return l, nil
}

// badge names a folder, wherever it is mounted.
type badge struct {
	Format string `json:"format"` // [VaultFormat]
	ID     string `json:"id"`     // drawn at its first opening
}

const badgeName = "vault.json"

// id reads the folder's badge.
func (f *folder) id() (string, error) {
	text, err := f.read(badgeName)
	if err != nil {
		return "", err
	}
	var b badge
	if err := strictJSON(text, &b); err != nil || b.Format != VaultFormat || !isPseudonym(b.ID) {
		return "", f.refuse(badgeName, errors.New("it is none of a folder of a vault"))
	}
	return b.ID, nil
}

// introduce gives the folder a badge if it has none.
func (f *folder) introduce(ctx context.Context) (id string, err error) {
	if id, err = f.id(); !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	l, err := f.wait(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	if id, err = f.id(); !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	b := make([]byte, pseudonymSize)
	_, _ = rand.Read(b) // never fails
	id = hex.EncodeToString(b)
	text, err := json.Marshal(badge{VaultFormat, id})
	if err != nil {
		return "", err
	}
	return id, f.write(badgeName, append(text, '\n'))
}

// strictJSON reads one value and refuses members that it does not have.
func strictJSON(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows")
	}
	return nil
}
