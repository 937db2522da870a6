package backup

import (
	"errors"
	"fmt"
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
		return fmt.Errorf("%w: the folders hold different tenants (%d of them): copy the newer folder, all but %s, over the older if it is yours", ErrVault, len(torn), badgeName)
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
	if gone, err := v.finishForgetting(name); gone || err != nil {
		return gone, err
	}
	have, err := v.holders(recordPath(name, recordEnd))
	if err != nil || len(have) < len(v.open) {
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

// mend copies a tenant's files to the folders that lack them. Where no folder
// has the record, nothing was ever encrypted to the tenant: the rest goes.
func (v *Vault) mend(name string) error {
	have, err := v.holders(recordPath(name, recordEnd))
	if err != nil {
		return err
	}
	if len(have) == 0 {
		return errors.Join(v.removeRecord(name), v.removeAll(recordPath(name, tombstoneSignatureEnd)))
	}
	texts, err := v.wholeIn(have[0], name)
	if err != nil {
		return err
	}
	for i, end := range recordEnds {
		if err := v.writeAll(recordPath(name, end), texts[i]); err != nil {
			return err
		}
	}
	_, err = v.judge(name)
	return err
}

// wholeIn reads a tenant's files in one folder, in the order of recordEnds, and
// checks them before anything is copied.
func (v *Vault) wholeIn(f *folder, name string) (texts [][]byte, err error) {
	for _, end := range recordEnds {
		text, err := f.read(recordPath(name, end))
		if err != nil {
			return nil, f.refuse(recordPath(name, end), errors.New("missing beside the record"))
		}
		texts = append(texts, text)
	}
	r, err := v.checkRecord(name, texts[2], texts[1])
	if err == nil && digestOf(texts[0]) != r.Identity {
		err = errors.New("the identity beside it is another one")
	}
	if err != nil {
		return nil, f.refuse(recordPath(name, recordEnd), err)
	}
	return texts, nil
}
