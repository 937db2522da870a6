package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// identities looks that the vault holds what opens the parts of each tenant: in
// one of its folders the record that the signer made for the manifest's
// recipient, and the file of the identity that the record names; or a tombstone.
// No secret is needed for it, and without it a vault that lost them is found at
// the restore.
func (r *reading) identities(ctx context.Context, rep *Report) error {
	folders, err := openFolders(r.vault)
	if err != nil {
		return err
	}
	defer closeAll(folders)
	var missing lost
	for _, p := range r.manifest.Parts[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch err := heldIn(folders, p, r.by); {
		case errors.Is(err, ErrForgotten):
			rep.Forgotten = append(rep.Forgotten, p.Name)
		case err != nil:
			missing.add(p, err)
		default:
			rep.Identities++
		}
	}
	if err := missing.err(); err != nil {
		return fmt.Errorf("%w: %w: lay the files tenants/TENANT.* back into the folders from a copy of one: no backup holds them, and without them nobody can restore these tenants", ErrVault, err)
	}
	return nil
}

// heldIn is nil where a folder holds what opens a tenant's part, and
// [ErrForgotten] where one has the tenant's tombstone.
func heldIn(folders []*folder, p File, by ed25519.PublicKey) error {
	for _, f := range folders {
		switch _, _, err := f.tombstone(tenantOf(p), by); {
		case err == nil:
			return ErrForgotten
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	var errs []error
	for _, f := range folders {
		err := f.holds(p, by)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return inLine(errs)
}

// holds looks for the record and the identity of a tenant's part.
func (f *folder) holds(p File, by ed25519.PublicKey) error {
	name := tenantOf(p)
	text, _, err := recordOf(name).read(f, by)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no record of the identity is in folder %s", f.path)
	}
	if err != nil {
		return err
	}
	r, err := parseRecord(text, name)
	if err != nil {
		return err
	}
	sealed, err := f.read(recordPath(name, identityEnd))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the identity is not in folder %s", f.path)
	case err != nil:
		return err
	case r.Recipient != p.Recipients[0]:
		return fmt.Errorf("the record in folder %s is of another identity than the backup's", f.path)
	case digestOf(sealed) != r.Identity:
		return fmt.Errorf("the identity in folder %s is not the one of the record", f.path)
	}
	return nil
}

// recordOf is the file that says whom a tenant's parts are encrypted to.
func recordOf(name string) signed {
	return signed{recordPath(name, recordEnd), recordPath(name, signatureEnd), func(text []byte) error {
		_, err := parseRecord(text, name)
		return err
	}}
}

// lost are tenants whose parts cannot be opened, by the reason.
type lost struct {
	reasons []error
	tenants map[string][]string // by the reason's text
}

func (l *lost) add(p File, why error) {
	if l.tenants == nil {
		l.tenants = map[string][]string{}
	}
	text := why.Error()
	if l.tenants[text] == nil {
		l.reasons = append(l.reasons, why)
	}
	l.tenants[text] = append(l.tenants[text], tenantOf(p))
}

// err names all of them on one line; nil for none.
func (l *lost) err() error {
	var errs []error
	for _, why := range l.reasons {
		errs = append(errs, fmt.Errorf("tenant %s: %w", strings.Join(l.tenants[why.Error()], ", tenant "), why))
	}
	return inLine(errs)
}

// inLine joins errors as [errors.Join] does, on one line.
func inLine(errs []error) (all error) {
	for _, err := range errs {
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}
