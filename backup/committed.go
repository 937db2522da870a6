package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/art32/art32/tenancy"
)

// reading is a committed run that is read.
type reading struct {
	target   Target
	manifest *Manifest
	vault    []string
}

// look reads the manifest of a run that is signed as it must be.
func look(ctx context.Context, target Target, run, signer string) (*reading, error) {
	if target == nil {
		return nil, errors.New("the target must not be nil")
	}
	var by ssh.PublicKey
	if signer != "" {
		var err error
		if by, err = parseSigner(signer); err != nil {
			return nil, err
		}
	}
	m, _, err := readManifest(ctx, target, run, by)
	return &reading{target: target, manifest: m}, err
}

// keystore opens the folder of the vault whose copy is whole.
func (r *reading) keystore(ctx context.Context) (opener, error) {
	var errs []error
	for _, dir := range r.vault {
		open := func(_ context.Context, name string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, name)) }
		err := checkFile(ctx, open, r.manifest.Keystore)
		if err == nil {
			return open, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// ledger reads the ledger, which must hold the head that the manifest names.
func (r *reading) ledger() (*chain, error) {
	var all []*chain
	for _, dir := range r.vault {
		c, _, err := readChain(filepath.Join(dir, ledgerName))
		if err != nil {
			return newChain(), err
		}
		all = append(all, c)
	}
	best, _, err := longest(all)
	if err != nil {
		return newChain(), err
	}
	if s := r.manifest.Ledger; !all[best].holds(s) {
		return all[best], fmt.Errorf("%w: the backup saw %d entries, the ledger holds %d and not those: it is older or was cut", ErrLedger, s.Entries, len(all[best].heads))
	}
	return all[best], nil
}

// unlock opens the tenants' identities, by part. Parts of tenants that were
// forgotten have none.
func (r *reading) unlock(ids []age.Identity) (keys map[string][]age.Identity, forgotten []string, err error) {
	keys = map[string][]age.Identity{sharedName: ids}
	for _, p := range r.manifest.Parts[1:] {
		id, err := r.unlockOne(p, ids)
		switch {
		case errors.Is(err, ErrForgotten):
			forgotten = append(forgotten, p.Name)
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", p.Name, err)
		default:
			keys[p.Name] = []age.Identity{id}
		}
	}
	return keys, forgotten, nil
}

// unlockOne opens the identity of one tenant out of whichever folder has it.
func (r *reading) unlockOne(p File, ids []age.Identity) (*age.X25519Identity, error) {
	name := p.Name[len(tenantsDir) : len(p.Name)-len(partSuffix)]
	var errs []error
	for _, dir := range r.vault {
		if _, err := os.Lstat(filepath.Join(dir, recordPath(name, tombstoneEnd))); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(ErrForgotten, err)
		}
	}
	for _, dir := range r.vault {
		sealed, err := os.ReadFile(filepath.Join(dir, recordPath(name, identityEnd)))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: the tenant's identity is in no folder", ErrVault)
		}
		if err == nil {
			var id *age.X25519Identity
			if id, err = openIdentity(sealed, ids); err == nil && id.Recipient().String() == p.Recipients[0] {
				return id, nil
			}
			if err == nil {
				err = fmt.Errorf("%w: the identity is not that of the recipient that the manifest names", ErrVault)
			}
		}
		errs = append(errs, err)
	}
	return nil, errs[0]
}

// content is what a part says about itself.
type content struct {
	tenant tenancy.ID
	tables []Table
}

// content reads a part and hands its files, its own two apart, to take.
func (r *reading) content(ctx context.Context, p File, ids []age.Identity, take func(tenancy.ID, string, int64, io.Reader) error) (*content, error) {
	var c content
	ended := false
	err := readPart(ctx, below(r.target, r.manifest.Run), p, ids, func(name string, size int64, in io.Reader) error {
		switch {
		case ended:
			return damaged(p.Name, "a file follows its end")
		case name == tenantFile:
			var info tenantInfo
			err := readJSON(in, &info)
			c.tenant = info.ID
			return err
		case c.tenant.IsZero() != (p.Name == sharedName):
			return damaged(p.Name, "it does not say whose it is")
		case name == tablesFile:
			ended = true
			return readJSON(in, &c.tables)
		}
		return take(c.tenant, name, size, in)
	})
	if err == nil && !ended {
		err = damaged(p.Name, "its end is missing")
	}
	return &c, err
}
