package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"filippo.io/age"

	"github.com/art32/art32/tenancy"
)

// reading is a committed run that is read.
type reading struct {
	target   Target
	manifest *Manifest
	by       ed25519.PublicKey // its signer
	vault    []string
	said     *testimony // of the signer
	unheard  error      // of what could not be read of it
	copies   *ledgers
}

// look reads the manifest of a run that is signed as it must be.
func look(ctx context.Context, target Target, run, signer string) (*reading, error) {
	if target == nil {
		return nil, errors.New("the target must not be nil")
	}
	var by ed25519.PublicKey
	if signer != "" {
		var err error
		if by, err = parseSigner(signer); err != nil {
			return nil, err
		}
	}
	m, _, err := readManifest(ctx, target, run, by)
	if err != nil {
		return nil, err
	}
	by, err = parseSigner(m.Signer)
	return &reading{target: target, manifest: m, by: by}, err
}

// whole compares everything in the target with what the manifest says.
func (r *reading) whole(ctx context.Context) error {
	for _, f := range slices.Concat(r.manifest.Texts, r.manifest.Parts) {
		if err := checkFile(ctx, below(r.target, r.manifest.Run), f); err != nil {
			return err
		}
	}
	return nil
}

// keystore opens the folder of the vault whose copy is whole.
func (r *reading) keystore(ctx context.Context) (opener, error) {
	var errs []error
	for _, dir := range r.vault {
		open := func(_ context.Context, name string) (io.ReadCloser, error) { return openIn(dir, name) }
		err := checkFile(ctx, open, r.manifest.Keystore)
		if err == nil {
			return open, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// openIn opens a file in a folder of the vault.
func openIn(dir, name string) (*os.File, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.open(name)
}

// ledger is the ledger of erasures, which must hold what every run has seen that
// its signer made, as far as target and vault tell of them. Without the secret
// its codes are not looked at: whoever can write all copies can exchange entries
// behind the newest run. What it is judged by is read once, so that it can be
// asked again with the secret. The chain beside an error has what all copies
// together name.
func (r *reading) ledger(ctx context.Context, secret []byte) (*chain, error) {
	if r.copies == nil {
		r.said, r.unheard = hear(ctx, r.target, r.vault, r.by)
		r.copies = readLedgers(r.vault) // after that: a run may come in between
	}
	c, err := r.copies.chain(secret)
	if err != nil {
		return c, err
	}
	own := commit{Run: r.manifest.Run, Ledger: r.manifest.Ledger} // whatever else the target says that it holds
	return c, errors.Join(r.unheard, c.reaches(append(r.said.all(), own)))
}

// unlock opens the tenants' identities, by part. Parts of tenants that were
// forgotten have none. An error names every tenant whose identity does not open:
// who mends the vault needs all of them, and not one more with each attempt.
func (r *reading) unlock(ids []age.Identity) (keys map[string][]age.Identity, forgotten []string, err error) {
	keys = map[string][]age.Identity{sharedName: ids}
	var missing lost
	for _, p := range r.manifest.Parts[1:] {
		id, err := r.unlockOne(p, ids)
		switch {
		case errors.Is(err, ErrForgotten):
			forgotten = append(forgotten, p.Name)
		case err != nil:
			missing.add(p, err)
		default:
			keys[p.Name] = []age.Identity{id}
		}
	}
	if err := missing.err(); err != nil {
		return nil, nil, err
	}
	return keys, forgotten, nil
}

// unlockOne opens the identity of one tenant out of whichever folder has it.
func (r *reading) unlockOne(p File, ids []age.Identity) (*age.X25519Identity, error) {
	name := tenantOf(p)
	for _, dir := range r.vault {
		if err := goneIn(dir, name, r.by); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var errs []error
	for _, dir := range r.vault {
		id, err := identityIn(dir, name, ids)
		if err == nil && id.Recipient().String() == p.Recipients[0] {
			return id, nil
		}
		if err == nil {
			err = fmt.Errorf("%w: the identity is not that of the recipient that the manifest names", ErrVault)
		}
		errs = append(errs, err)
	}
	return nil, inLine(errs)
}

// goneIn is [ErrForgotten] where a folder has the tenant's tombstone, and an
// error around [fs.ErrNotExist] where it has none.
func goneIn(dir, name string, by ed25519.PublicKey) error {
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer f.close()
	if _, _, err := f.tombstone(name, by); err != nil {
		return err
	}
	return ErrForgotten
}

func identityIn(dir, name string, ids []age.Identity) (*age.X25519Identity, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	sealed, err := f.read(recordPath(name, identityEnd))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the tenant's identity is not in folder %s", ErrVault, dir)
	}
	if err != nil {
		return nil, err
	}
	return openIdentity(sealed, ids)
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
