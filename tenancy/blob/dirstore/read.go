package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/art32/art32/tenancy/blob"
)

// Open implements [blob.Place]. What is no regular file is no object: a pipe would
// never end, and a link leads elsewhere.
func (p *Place) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	if err := check(ctx, "open", name); err != nil {
		return nil, 0, err
	}
	f, size, err := p.openRegular(name)
	if err == nil {
		if _, err = f.Seek(from, io.SeekStart); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, fmt.Errorf("dirstore: open: %w", err)
	}
	return opened{during{ctx, f}, f}, size, nil
}

// opened ends reading with ctx.
type opened struct {
	io.Reader
	io.Closer
}

func (p *Place) openRegular(name string) (*os.File, int64, error) {
	st, err := p.root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("no regular file: %w", fs.ErrNotExist)
	}
	f, err := p.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a pipe
	if err != nil {
		return nil, 0, err
	}
	now, err := f.Stat()
	if err != nil || !os.SameFile(st, now) {
		return nil, 0, errors.Join(errors.New("it was replaced while it was opened"), err, f.Close())
	}
	return f, now.Size(), nil
}

// Remove implements [blob.Place]. Folders stay: one that goes while another object
// comes into it would take that away.
func (p *Place) Remove(ctx context.Context, name string) error {
	if err := check(ctx, "remove", name); err != nil {
		return err
	}
	removed := false
	for _, file := range []string{name + draftEnd, name} {
		err := p.root.Remove(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("dirstore: remove: %w", err)
		}
		removed = removed || err == nil
	}
	if !removed {
		return nil
	}
	if err := p.sync(path.Dir(name)); err != nil {
		return fmt.Errorf("dirstore: remove: %w", err)
	}
	return nil
}

// errStop ends a walk of which nobody wants more.
var errStop = errors.New("dirstore: enough")

// List implements [blob.Place].
func (p *Place) List(ctx context.Context, prefix string) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		err := fs.WalkDir(p.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name != ".":
				return nil // removed meanwhile
			case err != nil:
				return err
			case d.IsDir() && !related(name+"/", prefix):
				return fs.SkipDir
			case !d.Type().IsRegular() || !strings.HasPrefix(name, prefix) || !names.MatchString(name):
				return ctx.Err()
			}
			return p.tell(ctx, name, d, yield)
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(blob.Object{}, fmt.Errorf("dirstore: list: %w", err))
		}
	}
}

func (p *Place) tell(ctx context.Context, name string, d fs.DirEntry, yield func(blob.Object, error) bool) error {
	info, err := d.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case !yield(blob.Object{Name: strings.TrimSuffix(name, draftEnd), Written: info.ModTime()}, nil):
		return errStop
	}
	return nil
}

// related reports whether a folder can hold names that begin with prefix.
func related(dir, prefix string) bool {
	return dir == "./" || strings.HasPrefix(dir, prefix) || strings.HasPrefix(prefix, dir)
}
