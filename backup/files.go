package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// readAll reads a file of the vault that must be the same in all folders. It
// returns an error around [fs.ErrNotExist] where none has it.
func (v *Vault) readAll(name string) (text []byte, err error) {
	missing := 0
	for i, f := range v.open {
		got, err := f.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case err != nil:
			return nil, err
		case i > missing && !bytes.Equal(got, text):
			return nil, fmt.Errorf("%w: %s differs between the folders", ErrVault, name)
		default:
			text = got
		}
	}
	switch missing {
	case 0:
		return text, nil
	case len(v.open):
		return nil, fs.ErrNotExist
	}
	return nil, fmt.Errorf("%w: %s is missing in a folder", ErrVault, name)
}

// holders are the folders that have a file.
func (v *Vault) holders(name string) (all []*folder, err error) {
	for _, f := range v.open {
		switch err := f.regular(name); {
		case err == nil:
			all = append(all, f)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return all, nil
}

// writeAll writes a file of the vault into all folders.
func (v *Vault) writeAll(name string, text []byte) error {
	for _, f := range v.open {
		if err := f.write(name, text); err != nil {
			return fmt.Errorf("backup: write vault: %w", err)
		}
		v.step("file")
	}
	return nil
}

// removeAll removes a file of the vault from all folders that have it.
func (v *Vault) removeAll(name string) error {
	have, err := v.holders(name)
	if err != nil {
		return err
	}
	for _, f := range have {
		if err := f.remove(name); err != nil {
			return fmt.Errorf("backup: remove from vault: %w", err)
		}
		v.step("removed")
	}
	return nil
}

// draft is a file that gets its name when it is whole.
type draft struct {
	*os.File

	in         *folder
	temp, name string
}

func (f *folder) draft(name string) (*draft, error) {
	temp := path.Join(path.Dir(name), draftPrefix+rand.Text())
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return &draft{File: file, in: f, temp: temp, name: name}, err
}

func (d *draft) commit() error {
	err := errors.Join(d.Sync(), d.Close())
	if err == nil {
		err = d.in.root.Rename(d.temp, d.name)
	}
	if err != nil {
		return errors.Join(err, d.in.root.Remove(d.temp))
	}
	return d.in.sync(path.Dir(d.name))
}

func (d *draft) abort() error { return errors.Join(d.Close(), d.in.root.Remove(d.temp)) }

func (f *folder) write(name string, text []byte) error {
	d, err := f.draft(name)
	if err != nil {
		return err
	}
	if _, err := d.Write(text); err != nil {
		return errors.Join(err, d.abort())
	}
	return d.commit()
}

// appendAt writes text at offset at, behind which nothing that counts lies, and
// brings it to the disk.
func (f *folder) appendAt(name string, at int64, text []byte) error {
	if err := f.regular(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = file.Truncate(at)
	if err == nil {
		_, err = file.WriteAt(text, at)
	}
	if err != nil {
		_ = file.Truncate(at) // a torn line is left out in any case
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close(), f.sync(path.Dir(name)))
}

// copies is one object in all folders of the vault. It holds them open.
type copies struct {
	drafts []*draft
	ended  bool
	step   func(name string)
}

var _ Object = (*copies)(nil)

func (v *Vault) create(name string) (*copies, error) {
	folders, err := v.openAll()
	if err != nil {
		return nil, err
	}
	c := &copies{step: v.step}
	for i, f := range folders {
		d, err := f.draft(name)
		if err != nil {
			closeAll(folders[i:])
			return nil, errors.Join(fmt.Errorf("backup: write vault: %w", err), c.Abort())
		}
		c.drafts = append(c.drafts, d)
	}
	return c, nil
}

// Write implements [io.Writer].
func (c *copies) Write(b []byte) (int, error) {
	for _, d := range c.drafts {
		if n, err := d.Write(b); err != nil {
			return n, fmt.Errorf("backup: write vault: %w", err)
		}
	}
	return len(b), nil
}

// Commit implements [Object].
func (c *copies) Commit(context.Context) error { return c.end((*draft).commit) }

// Abort implements [Object].
func (c *copies) Abort() error {
	if c.ended {
		return nil
	}
	return c.end((*draft).abort)
}

func (c *copies) end(how func(*draft) error) error {
	c.ended = true
	var errs []error
	for _, d := range c.drafts {
		errs = append(errs, how(d))
		d.in.close()
		c.step("copied")
	}
	return errors.Join(errs...)
}
