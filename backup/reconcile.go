package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// reconcileRecords compares the tenants' records of all folders. A crash leaves
// at most one tenant in some folders only; more is an old copy of a folder.
func (v *Vault) reconcileRecords() error {
	names, err := v.recordNames()
	if err != nil {
		return err
	}
	var torn []string
	for _, name := range names {
		whole, err := v.judge(name)
		if err != nil {
			return err
		}
		if !whole {
			torn = append(torn, name)
		}
	}
	if len(torn) > 1 {
		return fmt.Errorf("%w: the folders hold different tenants (%d of them): copy the newer folder over the older if it is yours", ErrVault, len(torn))
	}
	for _, name := range torn {
		if err := v.mend(name); err != nil {
			return err
		}
	}
	return nil
}

// judge reports whether a tenant is whole in all folders. It finishes a
// deletion that was begun.
func (v *Vault) judge(name string) (bool, error) {
	switch gone, err := v.holders(recordPath(name, tombstoneEnd)); {
	case err != nil:
		return false, err
	case len(gone) > 0:
		return true, v.finishForgetting(name, gone)
	}
	have, err := v.holders(recordPath(name, recordEnd))
	if err != nil || len(have) < len(v.dirs) {
		return false, err
	}
	r, err := v.readRecord(name)
	if err != nil {
		return false, err
	}
	sealed, err := v.readAll(recordPath(name, identityEnd))
	if err != nil || digestOf(sealed) != r.Identity {
		return false, errors.Join(fmt.Errorf("%w: the identity of tenant %s is missing or changed", ErrVault, name), err)
	}
	return true, nil
}

// holders are the folders that have a file.
func (v *Vault) holders(name string) (dirs []string, err error) {
	for _, dir := range v.dirs {
		switch _, err := os.Lstat(filepath.Join(dir, name)); {
		case err == nil:
			dirs = append(dirs, dir)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w: %w", ErrVault, err)
		}
	}
	return dirs, nil
}

func (v *Vault) finishForgetting(name string, holders []string) error {
	if len(holders) < len(v.dirs) {
		text, err := os.ReadFile(filepath.Join(holders[0], recordPath(name, tombstoneEnd)))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrVault, err)
		}
		if err := v.writeAll(recordPath(name, tombstoneEnd), text); err != nil {
			return err
		}
	}
	return v.removeRecord(name)
}

// mend copies a tenant's files to the folders that lack them. Where no folder
// has the record, nothing was ever encrypted to the tenant: the rest goes.
func (v *Vault) mend(name string) error {
	have, err := v.holders(recordPath(name, recordEnd))
	if err != nil {
		return err
	}
	if len(have) == 0 {
		return v.removeRecord(name)
	}
	for _, end := range recordEnds {
		text, err := os.ReadFile(filepath.Join(have[0], recordPath(name, end)))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrVault, err)
		}
		if err := v.writeAll(recordPath(name, end), text); err != nil {
			return err
		}
	}
	_, err = v.judge(name)
	return err
}
