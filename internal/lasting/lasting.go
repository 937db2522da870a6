// Package lasting gives files below a folder names that last: what a function has
// returned nil for is on the disk, also after a loss of power. Adapters that keep
// objects in a folder share it.
package lasting

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"syscall"
)

// Folder makes a folder below root, and those above it. One that is there may have
// been made by a process that was killed before its name lasted: all are synced.
func Folder(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	up := path.Dir(dir)
	if err := Folder(root, up); err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return Sync(root, up)
}

// Name gives the finished file draft its name, which nothing may have: else the
// error is [fs.ErrExist]. A link fails where the name is taken; file systems without
// links get a look and a renaming. After an error the name is not there, and the
// draft may be.
func Name(root *os.Root, draft, name string) error {
	err := root.Link(draft, name)
	switch {
	case err == nil:
		err = root.Remove(draft)
	case errors.Is(err, fs.ErrExist):
		return err
	default:
		if _, lerr := root.Lstat(name); !errors.Is(lerr, fs.ErrNotExist) {
			return errors.Join(fs.ErrExist, err, lerr)
		}
		if err := root.Rename(draft, name); err != nil {
			return err
		}
		err = nil
	}
	if err == nil {
		err = Sync(root, path.Dir(name))
	}
	if err != nil {
		err = errors.Join(err, root.Remove(name))
	}
	return err
}

// Sync makes the names in a folder last.
func Sync(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens a regular file. A pipe would never end, and a link leads elsewhere: for
// both the error is [fs.ErrNotExist], as for a file in the place of a folder.
func Open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	was, err := root.Lstat(name)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, nil, fs.ErrNotExist
	case err != nil:
		return nil, nil, err
	case !was.Mode().IsRegular():
		return nil, nil, fmt.Errorf("no regular file: %w", fs.ErrNotExist)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a pipe
	if err != nil {
		return nil, nil, err
	}
	now, err := f.Stat()
	if err != nil || !os.SameFile(was, now) {
		return nil, nil, errors.Join(errors.New("it was replaced while it was opened"), err, f.Close())
	}
	return f, now, nil
}

// Walk calls each for the regular files below root whose names begin with prefix, in
// the order of fs.WalkDir. What goes meanwhile is passed over.
func Walk(root *os.Root, prefix string, each func(name string, d fs.DirEntry) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != ".":
			return nil // removed meanwhile
		case err != nil:
			return err
		case d.IsDir() && !related(name+"/", prefix):
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasPrefix(name, prefix):
			return nil
		}
		return each(name, d)
	})
}

// related reports whether a folder can hold names that begin with prefix.
func related(dir, prefix string) bool {
	return dir == "./" || strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
}
