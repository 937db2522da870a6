package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/art32/art32/tenancy"
)

// VerifyOptions are the choices of [Verify]; nil and zero fields mean less to
// look at, never less strictness.
type VerifyOptions struct {
	// Signer is the public key that must have signed, as [Job.Signer] printed it
	// and the operator kept it. Default: the one that the manifest names, which
	// finds damage and not forgery; the report says so.
	Signer string
	// Vault are folders of the vault: the copy of the keystore and the ledger are
	// looked at too. Default: they are not.
	Vault []string
	// Identities of a recovery recipient: every part is opened and read to its
	// end. Needs Vault. Default: ciphertexts are compared only.
	Identities []age.Identity
}

// Report is what [Verify] looked at. It names no tenant and no person.
type Report struct {
	Run         string        `json:"run"`          // its name
	At          time.Time     `json:"at"`           // of the verification
	Age         time.Duration `json:"age"`          // of the run at that time
	Signer      string        `json:"signer"`       // whose signature it bears
	SignerGiven bool          `json:"signer_given"` // by the caller, not by the manifest
	Parts       int           `json:"parts"`        // compared with their digests
	Bytes       int64         `json:"bytes"`
	Keystore    bool          `json:"keystore"`  // its copy was compared
	Ledger      *LedgerState  `json:"ledger"`    // as the vault holds it; nil: not looked at
	Opened      int           `json:"opened"`    // parts that were decrypted to their end
	Rows        int64         `json:"rows"`      // that those parts say they hold
	Forgotten   []string      `json:"forgotten"` // parts that nobody can open any more, by intent
}

// Verify checks a run as it lies in the target (TOM-7.3): the signature, then
// each part against its digest, and what the options add. It writes nothing. An
// error says what is wrong: [ErrNotCommitted], [ErrSignature], [ErrDamaged],
// [ErrLedger], [ErrVault], [ErrIdentity]; the report holds what was looked at
// until then. Only a restore shows that a backup can be restored.
func Verify(ctx context.Context, target Target, run string, o *VerifyOptions) (*Report, error) {
	if o == nil {
		o = &VerifyOptions{}
	}
	r, err := look(ctx, target, run, o.Signer)
	if err != nil {
		return nil, fmt.Errorf("backup: verify: %w", err)
	}
	rep := &Report{Run: run, At: time.Now().UTC(), Signer: r.manifest.Signer, SignerGiven: o.Signer != ""}
	rep.Age = rep.At.Sub(r.manifest.Ended)
	if err := r.verify(ctx, o, rep); err != nil {
		return rep, fmt.Errorf("backup: verify: %w", err)
	}
	return rep, nil
}

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

func (r *reading) verify(ctx context.Context, o *VerifyOptions, rep *Report) (err error) {
	for _, p := range append(r.manifest.Texts, r.manifest.Parts...) {
		if err := checkFile(ctx, below(r.target, r.manifest.Run), p); err != nil {
			return err
		}
		rep.Bytes += p.Size
	}
	rep.Parts = len(r.manifest.Parts)
	if len(o.Vault) == 0 {
		if len(o.Identities) > 0 {
			return fmt.Errorf("%w: identities are of use with the vault's folders only", ErrVault)
		}
		return nil
	}
	if r.vault, err = checkFolders(o.Vault); err != nil {
		return err
	}
	if _, err := r.keystore(ctx); err != nil {
		return err
	}
	rep.Keystore = true
	ledger, err := r.ledger()
	if err != nil {
		return err
	}
	state := ledger.state()
	rep.Ledger = &state
	if len(o.Identities) == 0 {
		return nil
	}
	return r.openAll(ctx, o.Identities, rep)
}

// openAll decrypts everything and throws it away.
func (r *reading) openAll(ctx context.Context, ids []age.Identity, rep *Report) error {
	open, err := r.keystore(ctx)
	if err != nil {
		return err
	}
	into := func(_ string, _ int64, in io.Reader) error { _, err := io.Copy(io.Discard, in); return err }
	if err := readPart(ctx, open, r.manifest.Keystore, ids, into); err != nil {
		return err
	}
	keys, forgotten, err := r.unlock(ids)
	if err != nil {
		return err
	}
	rep.Forgotten = forgotten
	for _, p := range r.manifest.Parts {
		if keys[p.Name] == nil {
			continue
		}
		c, err := r.content(ctx, p, keys[p.Name], func(_ tenancy.ID, name string, size int64, in io.Reader) error { return into(name, size, in) })
		if err != nil {
			return err
		}
		rep.Opened++
		for _, t := range c.tables {
			rep.Rows += t.Rows
		}
	}
	return nil
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
