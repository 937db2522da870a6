package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
)

const (
	maxKey  = 1 << 12 // bytes of a public key
	maxLogs = 1 << 10 // folders of one chain
)

// files are those of an export. They may come from an adversary: none is read that
// lies outside, none that is no plain file, and of none more than it may hold.
type files struct{ root *os.Root }

// open opens a plain file: what waits for a writer would never return.
func (f *files) open(name string) (*os.File, error) {
	name = filepath.FromSlash(name)
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no plain file", name)
	}
	return f.root.Open(name)
}

// read reads a file of at most limit bytes; nil where there is none. A longer one
// is cut behind the limit, so that it fits nothing.
func (f *files) read(name string, limit int64) ([]byte, error) {
	file, err := f.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// has reports whether there is something of that name.
func (f *files) has(name string) (bool, error) {
	_, err := f.root.Stat(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// numbers lists the folders of dir that are named by a number, in order.
func (f *files) numbers(dir string) ([]int64, error) {
	folder, err := f.root.Open(filepath.FromSlash(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var all []int64
	for {
		entries, err := folder.ReadDir(maxLogs)
		for _, e := range entries {
			n, bad := strconv.ParseInt(e.Name(), 10, 64)
			if bad == nil && n >= 0 && strconv.FormatInt(n, 10) == e.Name() {
				all = append(all, n)
			}
		}
		if len(all) > maxLogs {
			return nil, fmt.Errorf("%w: more than %d logs", ErrNoExport, maxLogs)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(all)
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// in is the path of a file in the folder of a log.
func in(dir, name string) string { return path.Join(dir, name) }
