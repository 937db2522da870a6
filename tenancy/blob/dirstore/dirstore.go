// Package dirstore keeps blobs in a folder: a disk of this machine, a mounted share.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung"). [Open] gives the [blob.Place].
//
// # Guarantees
//
// An object appears whole: it is written beside its name, and takes it when its bytes
// are on the disk; its name is on the disk when Put returns. A name that is taken
// stays what it is. Files have mode 0600, folders 0700. Nothing outside the folder is
// ever touched, whatever the names and links in it: what is no regular file is no
// object, and nothing waits for a pipe. A missing folder is an error and never made: a
// disk that is not mounted must not look like an empty one.
//
// # Not covered
//
// More machines than one, unless the folder is a share that they all mount. Whoever
// can write the folder can delete objects.
//
// # Compatibility
//
// Objects are files below folders of their names. A file that ends in ".part" was
// never finished.
package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/art32/art32/internal/lasting"
	"github.com/art32/art32/tenancy/blob"
)

// draftEnd marks what is being written. No key of tenancy's ends so, but that of a
// name with a dot: blobs have ids for names.
const draftEnd = ".part"

// Place is a folder. It is safe for concurrent use.
type Place struct {
	root *os.Root
	made sync.Map // folders whose names last: path → struct{}
}

var (
	_ blob.Place = (*Place)(nil)
	_ io.Closer  = (*Place)(nil)
)

// Open opens the folder dir, which must exist and be of its owner only. The caller
// closes the result.
func Open(dir string) (*Place, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dirstore: open: %w", err)
	}
	st, err := root.Stat(".")
	if err == nil && runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("other users can look into %s: chmod 700 %s", dir, dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dirstore: open: %w", err), root.Close())
	}
	return &Place{root: root}, nil
}

// Close gives the folder back. Bodies that are open stay usable.
func (p *Place) Close() error { return p.root.Close() }

var names = regexp.MustCompile(`^[A-Za-z0-9._%/-]+$`)

func check(ctx context.Context, verb, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !names.MatchString(name) || !fs.ValidPath(name) || name == "." || strings.HasSuffix(name, draftEnd) {
		return fmt.Errorf("dirstore: %s: that is no name of an object", verb)
	}
	return nil
}

// Put implements [blob.Place].
func (p *Place) Put(ctx context.Context, name string, r io.Reader) error {
	if err := check(ctx, "put", name); err != nil {
		return err
	}
	if err := p.makeFolder(path.Dir(name)); err != nil {
		return fmt.Errorf("dirstore: put: %w", err)
	}
	f, err := p.root.OpenFile(name+draftEnd, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("dirstore: put: %w", err)
	}
	_, err = io.Copy(writerOnly{f}, during{ctx, r})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = lasting.Name(p.root, name+draftEnd, name)
	}
	if err != nil {
		if rerr := p.root.Remove(name + draftEnd); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return fmt.Errorf("dirstore: put: %w", err)
	}
	return nil
}

// writerOnly keeps io.Copy at its own buffer.
type writerOnly struct{ io.Writer }

// during ends reading with ctx.
type during struct {
	ctx context.Context
	r   io.Reader
}

func (d during) Read(b []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.r.Read(b)
}

// makeFolder makes a folder once: folders stay.
func (p *Place) makeFolder(dir string) error {
	if _, ok := p.made.Load(dir); ok {
		if _, err := p.root.Stat(dir); err == nil {
			return nil
		}
	}
	err := lasting.Folder(p.root, dir)
	if err == nil {
		p.made.Store(dir, struct{}{})
	}
	return err
}
