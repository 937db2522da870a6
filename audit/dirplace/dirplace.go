// Package dirplace keeps the signed heads of audit logs in a directory: a share of
// another machine, a disk that is carried away.
//
// It carries clause TOM-5.1 (input control). [Open] gives the [audit.Place].
//
// # Guarantees
//
// A head appears whole, under a name that nothing had, and its bytes and its name
// are on the disk before Put returns. What is there is never changed or removed.
// Nothing outside the directory is touched, whatever the links in it. A missing
// directory is an error and never made: a disk that is not mounted must not look
// like one that holds nothing.
//
// # Not covered
//
// Whoever can write the directory can delete what it holds. It must belong to
// somebody else than the database does: let another machine fetch it, or use a file
// system with snapshots. Each head stays; all but the newest may be deleted.
//
// # Compatibility
//
// A head is the file art32.audit/<id of the log>/<size, twenty digits>, a signed
// note. Files whose names end otherwise were never finished.
package dirplace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/lasting"
)

// maxNote bounds a head in bytes; one has a few hundred.
const maxNote = 1 << 16

// Place is a directory. It is safe for concurrent use.
type Place struct {
	name string
	root *os.Root
}

var (
	_ audit.Place = (*Place)(nil)
	_ io.Closer   = (*Place)(nil)
)

// Open opens the directory dir, which must exist, as the place called name. The
// caller closes the result.
func Open(name, dir string) (*Place, error) {
	if name == "" {
		return nil, errors.New("dirplace: open: a name is required")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dirplace: open: %w", err)
	}
	return &Place{name, root}, nil
}

// Name implements [audit.Place].
func (p *Place) Name() string { return p.name }

// Close gives the directory back.
func (p *Place) Close() error { return p.root.Close() }

var (
	origins = regexp.MustCompile(`^art32\.audit/[0-9a-f-]{36}$`)
	sizes   = regexp.MustCompile(`^[0-9]{20}$`)
)

func folder(ctx context.Context, verb, origin string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !origins.MatchString(origin) {
		return "", fmt.Errorf("dirplace: %s: that is no origin of a log", verb)
	}
	return origin, nil
}

// Held implements [audit.Place].
func (p *Place) Held(ctx context.Context, origin string) ([]byte, error) {
	dir, err := folder(ctx, "held", origin)
	if err != nil {
		return nil, err
	}
	files, err := fs.ReadDir(p.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p.there()
	}
	if err != nil {
		return nil, fmt.Errorf("dirplace: held: %w", err)
	}
	for i := len(files) - 1; i >= 0; i-- { // in the order of their names
		if sizes.MatchString(files[i].Name()) {
			return p.read(path.Join(dir, files[i].Name()))
		}
	}
	return nil, nil
}

// there tells a directory that holds nothing from one that is gone.
func (p *Place) there() error {
	if _, err := os.Stat(p.root.Name()); err != nil {
		return fmt.Errorf("dirplace: held: %w", err)
	}
	return nil
}

func (p *Place) read(name string) ([]byte, error) {
	f, _, err := lasting.Open(p.root, name)
	if err != nil {
		return nil, fmt.Errorf("dirplace: held: %w", err)
	}
	note, err := io.ReadAll(io.LimitReader(f, maxNote))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("dirplace: held: %w", err)
	}
	return note, nil
}

// Put implements [audit.Place].
func (p *Place) Put(ctx context.Context, h *audit.Head) ([]string, error) {
	dir, err := folder(ctx, "put", h.Origin)
	if err != nil {
		return nil, err
	}
	if err := lasting.Folder(p.root, dir); err != nil {
		return nil, fmt.Errorf("dirplace: put: %w", err)
	}
	digits := strconv.FormatInt(h.Size, 10)
	name := path.Join(dir, "00000000000000000000"[len(digits):]+digits)
	draft := name + ".part"
	err = p.draft(draft, h.Note)
	if err == nil {
		err = lasting.Name(p.root, draft, name)
	}
	if err == nil {
		return nil, nil
	}
	if rerr := p.root.Remove(draft); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return nil, fmt.Errorf("dirplace: put: %w", err)
}

func (p *Place) draft(name string, note []byte) error {
	f, err := p.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(note)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
