// Package dirtarget keeps backups in a directory: a mounted disk, a share.
//
// It carries clause TOM-7.1 (regular backups). [Open] gives the
// [backup.Target].
//
// # Guarantees
//
// An object appears whole, under a name that nothing had, and its bytes and its
// name are on the disk before [backup.Object].Commit returns. An error of the
// file system, such as a full disk, is the error of the write and can be told
// with errors.Is(err, syscall.ENOSPC); what was there before stays. Nothing
// outside the directory is ever touched, whatever the names and links in it: what
// is no regular file is no object, and nothing waits for a pipe. A missing
// directory is an error and never made: a disk that is not mounted must not look
// like an empty one.
//
// # Not covered
//
// Whoever can write the directory can delete backups. Let another machine fetch
// them, or use a file system with snapshots that this one cannot remove.
//
// # Compatibility
//
// Objects are plain files below folders of their names. A file that ends in
// ".part" was never finished.
package dirtarget

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
	"slices"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/lasting"
)

// draftEnd marks what is being written. It is listed, so that it can be removed.
const draftEnd = ".part"

// Target is a directory. It is safe for concurrent use.
type Target struct{ root *os.Root }

var (
	_ backup.Target = (*Target)(nil)
	_ io.Closer     = (*Target)(nil)
)

// Open opens the directory dir, which must exist and be writable by its owner
// only. The caller closes the result.
func Open(dir string) (*Target, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dirtarget: open: %w", err)
	}
	st, err := root.Stat(".")
	if err == nil && runtime.GOOS != "windows" && st.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("other users can write to %s: chmod go-w %s", dir, dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dirtarget: open: %w", err), root.Close())
	}
	return &Target{root}, nil
}

// Dir is the directory, so that a vault inside it, or around it, is refused.
func (t *Target) Dir() string { return t.root.Name() }

// Close gives the directory back. Objects that are open stay usable.
func (t *Target) Close() error { return t.root.Close() }

var names = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

func check(ctx context.Context, verb, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !names.MatchString(name) || !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("dirtarget: %s: that is no name of an object", verb)
	}
	return nil
}

// Create implements [backup.Target].
func (t *Target) Create(ctx context.Context, name string) (backup.Object, error) {
	if err := check(ctx, "create", name); err != nil {
		return nil, err
	}
	if err := lasting.Folder(t.root, path.Dir(name)); err != nil {
		return nil, fmt.Errorf("dirtarget: create: %w", err)
	}
	f, err := t.root.OpenFile(name+draftEnd, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("dirtarget: create: %w", err)
	}
	return &object{t: t, file: f, name: name}, nil
}

// Open implements [backup.Target]. What is no regular file is no object: a pipe
// would never end, and a link leads elsewhere.
func (t *Target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := check(ctx, "open", name); err != nil {
		return nil, err
	}
	f, _, err := lasting.Open(t.root, name)
	if err != nil {
		return nil, fmt.Errorf("dirtarget: open: %w", err)
	}
	return f, nil
}

// List implements [backup.Target].
func (t *Target) List(ctx context.Context, prefix string) ([]string, error) {
	var all []string
	err := lasting.Walk(t.root, prefix, func(name string, _ fs.DirEntry) error {
		if names.MatchString(name) {
			all = append(all, name)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("dirtarget: list: %w", err)
	}
	slices.Sort(all)
	return all, nil
}

// Remove implements [backup.Target]. It also removes folders that are empty then.
func (t *Target) Remove(ctx context.Context, name string) error {
	if err := check(ctx, "remove", name); err != nil {
		return err
	}
	if err := t.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("dirtarget: remove: %w", err)
	}
	dir := path.Dir(name)
	for ; dir != "."; dir = path.Dir(dir) {
		if err := t.root.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break // not empty
		}
	}
	if err := lasting.Sync(t.root, dir); err != nil {
		return fmt.Errorf("dirtarget: remove: %w", err)
	}
	return nil
}

// object is a file that is being written.
type object struct {
	t     *Target
	file  *os.File
	name  string
	ended bool
}

// Write implements [io.Writer].
func (o *object) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	if err != nil {
		err = fmt.Errorf("dirtarget: write: %w", err)
	}
	return n, err
}

// Commit implements [backup.Object].
func (o *object) Commit(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		err = o.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("dirtarget: commit: %w", err), o.Abort())
	}
	o.ended = true
	draft := o.name + draftEnd
	if err = o.file.Close(); err == nil {
		err = lasting.Name(o.t.root, draft, o.name)
	}
	if err != nil {
		if rerr := o.t.root.Remove(draft); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	if err != nil {
		return fmt.Errorf("dirtarget: commit: %w", err)
	}
	return nil
}

// Abort implements [backup.Object].
func (o *object) Abort() error {
	if o.ended {
		return nil
	}
	o.ended = true
	if err := errors.Join(o.file.Close(), o.t.root.Remove(o.name+draftEnd)); err != nil {
		return fmt.Errorf("dirtarget: abort: %w", err)
	}
	return nil
}
