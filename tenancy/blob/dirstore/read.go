package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
	"syscall"

	"github.com/art32/art32/internal/lasting"
	"github.com/art32/art32/tenancy/blob"
)

// Open implements [blob.Place]. What is no regular file is no object: a pipe would
// never end, and a link leads elsewhere.
func (p *Place) Open(ctx context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	if err := check(ctx, "open", name); err != nil {
		return nil, 0, err
	}
	f, info, err := lasting.Open(p.root, name)
	if err == nil {
		if _, err = f.Seek(from, io.SeekStart); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("dirstore: open: %w", err)
	}
	return opened{during{ctx, f}, f}, info.Size(), nil
}

// opened ends reading with ctx.
type opened struct {
	io.Reader
	io.Closer
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
	if err := lasting.Sync(p.root, path.Dir(name)); err != nil {
		return fmt.Errorf("dirstore: remove: %w", err)
	}
	return nil
}

// errStop ends a walk of which nobody wants more.
var errStop = errors.New("dirstore: enough")

// List implements [blob.Place].
func (p *Place) List(ctx context.Context, prefix string) iter.Seq2[blob.Object, error] {
	return func(yield func(blob.Object, error) bool) {
		err := lasting.Walk(p.root, prefix, func(name string, d fs.DirEntry) error {
			if !names.MatchString(name) {
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
