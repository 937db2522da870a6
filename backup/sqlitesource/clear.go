package sqlitesource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/art32/art32/backup"
)

// openFolder opens a folder, and never one that a link leads to.
func openFolder(dir string) (*os.Root, fs.FileInfo, error) {
	named, err := os.Lstat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !named.IsDir() {
		return nil, nil, fmt.Errorf("%w: %s is in the way", backup.ErrNotEmpty, dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	if opened, err := root.Stat("."); err != nil || !os.SameFile(named, opened) {
		return nil, nil, errors.Join(fmt.Errorf("%s was replaced while it was opened", dir), err, root.Close())
	}
	return root, named, nil
}

// clearAway removes a folder of copies. That of the keystore is overwritten
// first: a key that is destroyed later must not lie in free blocks.
func clearAway(dir string) error {
	if err := wipeKeystore(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir) // which follows no links
}

// wipeKeystore does so with the copy of the keystore in a folder.
func wipeKeystore(dir string) error {
	root, _, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(wipe(root, keystoreName), root.Close())
}

// wipe overwrites a file with zeroes and removes it. Links are removed, and what
// they lead to stays: also where it is a second name of the same file.
func wipe(root *os.Root, name string) (err error) {
	named, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !named.Mode().IsRegular() {
		return errors.Join(err, root.Remove(name))
	}
	f, err := root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	opened, err := f.Stat()
	if err != nil || !os.SameFile(named, opened) {
		return errors.Join(fmt.Errorf("%s was replaced while it was opened", name), err, f.Close())
	}
	if single(opened) {
		err = errors.Join(zero(f, opened.Size()), f.Sync())
	}
	return errors.Join(err, f.Close(), root.Remove(name))
}

func zero(f *os.File, size int64) error {
	zeroes := make([]byte, 1<<16)
	for at := int64(0); at < size; at += int64(len(zeroes)) {
		if _, err := f.WriteAt(zeroes[:min(int64(len(zeroes)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
