package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/art32/art32/internal/engine"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
	others   fs.FileMode = 0o077
)

// ensureDir makes a directory that only its owner can enter, or refuses one
// that others can.
func ensureDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return pathError("make directory", err)
	}
	st, err := os.Lstat(dir)
	switch {
	case err != nil:
		return pathError("look at directory", err)
	case !st.IsDir():
		return fmt.Errorf("sqlite: %s is no directory", dir)
	case open(st):
		return fmt.Errorf("sqlite: directory %s is open to other users: chmod 700 %s", dir, dir)
	}
	return nil
}

// ensureFile makes an empty file that only its owner can read. SQLite gives
// the files beside it the same mode.
func ensureFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return pathError("make file", err)
	}
	return errors.Join(f.Close(), syncDir(filepath.Dir(path)))
}

func open(st fs.FileInfo) bool {
	return runtime.GOOS != "windows" && st.Mode().Perm()&others != 0
}

// inspect judges a file before SQLite sees it. It reports whether the last
// process that had it open did not close it, or still has it open. It returns
// an error around [fs.ErrNotExist] where there is none.
func inspect(path, name string) (unclean bool, err error) {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("sqlite: %s: %w", name, fs.ErrNotExist)
	case err != nil:
		return false, pathError("look at file", err)
	case !st.Mode().IsRegular():
		return false, fmt.Errorf("sqlite: %s is no regular file", name)
	case open(st):
		return false, fmt.Errorf("sqlite: file %s is open to other users: chmod 600 %s", name, path)
	}
	if wal, err := os.Lstat(path + "-wal"); err == nil && wal.Size() > 0 {
		return true, nil // the header may be older than the log
	}
	return false, whole(path, name, st.Size())
}

const (
	magic      = "SQLite format 3\x00"
	headerSize = 100
)

// whole compares a file's size with what its header says,
// https://sqlite.org/fileformat.html#the_database_header. An empty file is a
// database without tables.
func whole(path, name string, size int64) error {
	if size == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return pathError("open file", err)
	}
	defer f.Close()
	h := make([]byte, headerSize)
	if _, err := io.ReadFull(f, h); err != nil || string(h[:len(magic)]) != magic {
		return &engine.Error{Kind: engine.Other, Text: damaged(name)}
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 1 << 16
	}
	if pages := int64(binary.BigEndian.Uint32(h[28:])); size < pages*page {
		return &engine.Error{Kind: engine.Other, Text: name + ": the file is shorter than it says; restore it from a backup"}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return pathError("open file", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return pathError("open directory", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func pathError(verb string, err error) error {
	return &engine.Error{Kind: engine.Unavailable, Text: verb, Cause: err}
}
