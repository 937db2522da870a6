package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// readAll reads a file of the vault that must be the same in all folders. It
// returns an error around [fs.ErrNotExist] where none has it.
func (v *Vault) readAll(name string) (text []byte, err error) {
	missing := 0
	for i, dir := range v.dirs {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrVault, err)
		case i > missing && !bytes.Equal(got, text):
			return nil, fmt.Errorf("%w: %s differs between the folders", ErrVault, name)
		default:
			text = got
		}
	}
	switch missing {
	case 0:
		return text, nil
	case len(v.dirs):
		return nil, fs.ErrNotExist
	}
	return nil, fmt.Errorf("%w: %s is missing in a folder", ErrVault, name)
}

// writeAll writes a file of the vault into all folders.
func (v *Vault) writeAll(name string, text []byte) error {
	for _, dir := range v.dirs {
		if err := checkFolder(dir); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, name), text); err != nil {
			return fmt.Errorf("backup: write vault: %w", err)
		}
		v.step("file")
	}
	return nil
}

// removeAll removes a file of the vault from all folders.
func (v *Vault) removeAll(name string) error {
	for _, dir := range v.dirs {
		path := filepath.Join(dir, name)
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = syncDir(filepath.Dir(path))
		}
		if err != nil {
			return fmt.Errorf("backup: remove from vault: %w", err)
		}
	}
	return nil
}

// draft is a file that gets its name when it is whole.
type draft struct {
	file *os.File
	path string
}

func newDraft(path string) (*draft, error) {
	name := filepath.Join(filepath.Dir(path), draftPrefix+rand.Text())
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return &draft{file: f, path: path}, err
}

func (d *draft) commit() error {
	err := errors.Join(d.file.Sync(), d.file.Close())
	if err == nil {
		err = os.Rename(d.file.Name(), d.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(d.file.Name()))
	}
	return syncDir(filepath.Dir(d.path))
}

func (d *draft) abort() error { return errors.Join(d.file.Close(), os.Remove(d.file.Name())) }

func writeFile(path string, text []byte) error {
	d, err := newDraft(path)
	if err != nil {
		return err
	}
	if _, err := d.file.Write(text); err != nil {
		return errors.Join(err, d.abort())
	}
	return d.commit()
}

// copies is one object in all folders of the vault.
type copies struct {
	drafts []*draft
	ended  bool
}

var _ Object = (*copies)(nil)

func (v *Vault) create(name string) (*copies, error) {
	c := &copies{}
	for _, dir := range v.dirs {
		err := checkFolder(dir)
		if err == nil {
			var d *draft
			if d, err = newDraft(filepath.Join(dir, name)); err == nil {
				c.drafts = append(c.drafts, d)
			}
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("backup: write vault: %w", err), c.Abort())
		}
	}
	return c, nil
}

// Write implements [io.Writer].
func (c *copies) Write(b []byte) (int, error) {
	for _, d := range c.drafts {
		if n, err := d.file.Write(b); err != nil {
			return n, fmt.Errorf("backup: write vault: %w", err)
		}
	}
	return len(b), nil
}

// Commit implements [Object].
func (c *copies) Commit(context.Context) error {
	c.ended = true
	var errs []error
	for _, d := range c.drafts {
		errs = append(errs, d.commit())
	}
	return errors.Join(errs...)
}

// Abort implements [Object].
func (c *copies) Abort() error {
	if c.ended {
		return nil
	}
	c.ended = true
	var errs []error
	for _, d := range c.drafts {
		errs = append(errs, d.abort())
	}
	return errors.Join(errs...)
}

// sweep removes what was never finished. The caller knows that nobody writes.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrVault, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), draftPrefix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("%w: %w", ErrVault, err)
			}
		}
	}
	return nil
}

// syncDir makes the names in a directory last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
