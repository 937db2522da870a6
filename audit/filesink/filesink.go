// Package filesink appends what a feed of the audit log sends to a file, for a
// collector that reads files.
//
// It carries clause TOM-5.1 (input control). [New] gives the [audit.Sink].
//
// # Guarantees
//
// Lines are on the disk before Send returns. A line that was cut by a crash or a full
// disk is taken away before the next is written, so that each line is whole. The file
// is opened anew for each batch: whoever rotates it may rename it at any time.
//
// # Not covered
//
// Rotation and deletion are not done here. Whoever can write the file can change what
// stands in it. Two processes that append to one file may cut each other's lines: a
// feed sends in one instance, and a file belongs to one feed.
//
// # Compatibility
//
// The file holds what the feed's format writes, and nothing else.
package filesink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/lasting"
)

// Sink is a file. It is for one feed.
type Sink struct{ path string }

var _ audit.Sink = (*Sink)(nil)

// New makes the sink over the file at path. It touches nothing: the first batch makes
// the file, with mode 0600, in a folder that must exist.
func New(path string) (*Sink, error) {
	if path == "" {
		return nil, errors.New("filesink: new: a path is required")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("filesink: new: %w", err)
	}
	return &Sink{abs}, nil
}

// Send implements [audit.Sink].
func (s *Sink) Send(ctx context.Context, lines []byte) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(s.path))
	if err != nil {
		return fmt.Errorf("filesink: open: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	name := filepath.Base(s.path)
	_, found := root.Lstat(name)
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("filesink: open: %w", err)
	}
	if err = errors.Join(write(f, lines), f.Close()); err == nil && errors.Is(found, fs.ErrNotExist) {
		err = lasting.Sync(root, ".")
	}
	if err != nil {
		return fmt.Errorf("filesink: write: %w", err)
	}
	return nil
}

func write(f *os.File, lines []byte) error {
	end, err := whole(f)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(lines, end); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return nil
}

// whole cuts the file behind its last whole line, and returns its length then.
func whole(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, errors.New("it is no regular file")
	}
	size := st.Size()
	for end := size; end > 0; {
		b := make([]byte, min(end, 4096))
		if _, err := f.ReadAt(b, end-int64(len(b))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			end += int64(i+1) - int64(len(b))
			return end, cut(f, end, size)
		}
		end -= int64(len(b))
	}
	return 0, cut(f, 0, size)
}

func cut(f *os.File, end, size int64) error {
	if end == size {
		return nil
	}
	return f.Truncate(end)
}
