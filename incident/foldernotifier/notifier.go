package foldernotifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
)

// ErrFolder says that the folder is none, that others may read or write it, or
// that it belongs to another user, who may open it at any time.
var ErrFolder = errors.New("foldernotifier: not a folder of mode 0700 of this user")

// Notifier writes notices into a folder. It is safe for concurrent use, also by
// several processes.
type Notifier struct{ dir string }

var _ incident.Notifier = (*Notifier)(nil)

// New makes the notifier of a folder, and the folder, with mode 0700, where there
// is none. It returns [ErrFolder] for one that is open to others.
func New(dir string) (*Notifier, error) {
	if dir == "" {
		return nil, fmt.Errorf("foldernotifier: new: %w", ErrFolder)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("foldernotifier: new: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("foldernotifier: new: %w", err)
	}
	n := &Notifier{dir: dir}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("foldernotifier: new: %w", err)
	}
	return n, nil
}

func (n *Notifier) check() error {
	info, err := os.Stat(n.dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !isOurs(info) {
		return ErrFolder
	}
	return nil
}

// Notify implements [incident.Notifier]. Other content under an id that is there
// is an error, and leaves what is there.
func (n *Notifier) Notify(ctx context.Context, x incident.Notice) error {
	if err := x.Check(); err != nil {
		return &incident.DeliveryError{Code: "invalid", Permanent: true, Err: err}
	}
	if err := n.check(); err != nil {
		return &incident.DeliveryError{Code: "folder", Err: err}
	}
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".json", x.JSON}, {".txt", []byte(x.Text)}} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := n.put(x.ID.String()+f.ext, f.data); err != nil {
			return &incident.DeliveryError{Code: "write", Err: err}
		}
	}
	return nil
}

// put makes sure that a file holds data, durably.
func (n *Notifier) put(name string, data []byte) error {
	path := filepath.Join(n.dir, name)
	done, err := same(path, data)
	if err != nil {
		return err
	}
	if !done {
		if err := n.place(path, data); err != nil {
			return err
		}
	}
	return syncDir(n.dir) // a crash may have come before it
}

// place writes a file beside its name and links it there, which fails where the
// name is taken: nothing is overwritten, and two writers agree.
func (n *Notifier) place(path string, data []byte) (err error) {
	temp := filepath.Join(n.dir, ".new-"+uuid.NewString())
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(temp))) }()
	if err := write(temp, data); err != nil {
		return err
	}
	err = os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		_, err = same(path, data)
	}
	return err
}

// same reports whether path holds data already; other content is an error.
func same(path string, data []byte) (bool, error) {
	got, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !bytes.Equal(got, data):
		return false, errors.New("foldernotifier: the notice is there with other content")
	}
	return true, nil
}

func write(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes names durable.
func syncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
