package backup

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// VerifyOptions are the choices of [Verify]; nil and zero fields mean less to
// look at, never less strictness.
type VerifyOptions struct {
	// Signer is the public key that must have signed, as [Job.Signer] printed it
	// and the operator kept it. Default: the one that the manifest names, which
	// finds damage and not forgery, as [SignerOfManifest]; the report says so.
	Signer string
	// Vault are folders of the vault: the copy of the keystore, the tenants'
	// identities and the ledger are looked at too, and what the vault tells of newer
	// runs. Default: they are not.
	Vault []string
	// Keys of the service, where they are at hand: each entry of the ledger must
	// bear the code of this system. Needs Vault. Default: the codes are not
	// looked at, and whoever can write every folder that is given can exchange
	// entries behind the newest run; the report says so.
	Keys *keyring.Ring
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
	Keystore    bool          `json:"keystore"`     // its copy was compared
	Ledger      *LedgerState  `json:"ledger"`       // as the vault holds it; nil: not looked at
	LedgerCodes bool          `json:"ledger_codes"` // of its entries were checked too
	Identities  int           `json:"identities"`   // of tenants that the vault holds as the parts need them
	Opened      int           `json:"opened"`       // parts that were decrypted to their end
	Rows        int64         `json:"rows"`         // that those parts say they hold
	Forgotten   []string      `json:"forgotten"`    // parts that nobody can open any more, by intent
	// Newer are later runs of the same target and signer, in their order, that the
	// target holds or the vault tells of. Where the target holds a run of
	// which the vault does not tell whose it is, those of all targets of the vault.
	Newer []string `json:"newer"`
}

// Verify checks a run as it lies in the target (TOM-7.3): the signature, then
// each part against its digest, and what the options add. With the vault, it
// must hold what opens the part of each tenant that was not forgotten, for which
// nobody's identity is needed; and the ledger must hold what any run has seen that
// the signer made, as far as target and vault tell of them. It writes nothing. An error says what is wrong:
// [ErrNotCommitted], [ErrSignature], [ErrDamaged], [ErrLedger], [ErrVault],
// [ErrIdentity]; the report holds what was looked at until then. Only a restore
// shows that a backup can be restored.
func Verify(ctx context.Context, target Target, run string, o *VerifyOptions) (*Report, error) {
	if o == nil {
		o = &VerifyOptions{}
	}
	r, err := look(ctx, target, run, named(o.Signer))
	if err != nil {
		return nil, fmt.Errorf("backup: verify: %w", err)
	}
	rep := &Report{Run: run, At: time.Now().UTC(), Signer: r.manifest.Signer, SignerGiven: named(o.Signer) != ""}
	rep.Age = rep.At.Sub(r.manifest.Ended)
	if err := r.verify(ctx, o, rep); err != nil {
		return rep, fmt.Errorf("backup: verify: %w", err)
	}
	return rep, nil
}

func (r *reading) verify(ctx context.Context, o *VerifyOptions, rep *Report) (err error) {
	if err := r.whole(ctx); err != nil {
		return err
	}
	for _, f := range slices.Concat(r.manifest.Texts, r.manifest.Parts) {
		rep.Bytes += f.Size
	}
	rep.Parts = len(r.manifest.Parts)
	if len(o.Vault) == 0 {
		if len(o.Identities) > 0 || o.Keys != nil {
			return fmt.Errorf("%w: identities and keys are of use with the vault's folders only", ErrVault)
		}
		said, err := hear(ctx, r.target, nil, r.by)
		rep.Newer = said.newer(r.manifest)
		return err
	}
	if r.vault, err = checkFolders(o.Vault); err != nil {
		return err
	}
	if _, err := r.keystore(ctx); err != nil {
		return err
	}
	rep.Keystore = true
	if err := r.verifyLedger(ctx, o.Keys, rep); err != nil {
		return err
	}
	if err := r.identities(ctx, rep); err != nil {
		return err
	}
	if len(o.Identities) == 0 {
		return nil
	}
	return r.openAll(ctx, o.Identities, rep)
}

// verifyLedger looks at the ledger, and at the codes of its entries where it has
// the keys for it.
func (r *reading) verifyLedger(ctx context.Context, keys *keyring.Ring, rep *Report) error {
	var names pseudonyms
	if keys != nil {
		var err error
		if names, err = openPseudonyms(ctx, keys); err != nil {
			return err
		}
	}
	ledger, err := r.ledger(ctx, names.subjects)
	rep.Newer = r.said.newer(r.manifest)
	if err != nil {
		return err
	}
	state := ledger.state()
	rep.Ledger, rep.LedgerCodes = &state, keys != nil
	return nil
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
	keys, _, err := r.unlock(ids)
	if err != nil {
		return err
	}
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
