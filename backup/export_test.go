package backup

import (
	"context"

	"github.com/art32/art32/internal/sshsig"
)

// OnStep lets a test act, or die, at a step of a run.
func (o *Options) OnStep(fn func(name string)) *Options {
	o.step = fn
	return o
}

// OnStep lets a test act, or die, at a step of a write to the vault.
func (v *Vault) OnStep(fn func(name string)) { v.onStp = fn }

// ParseEntry is parseEntry for a fuzz test.
func ParseEntry(line []byte) error {
	_, err := parseEntry(line)
	return err
}

// ParseChain gives the state of a ledger and how many bytes of it count.
func ParseChain(text []byte) (LedgerState, int64, error) {
	c, err := parseChain(text, nil)
	if err != nil {
		return LedgerState{}, 0, err
	}
	return c.state(), c.size, nil
}

// VerifySignature is verify for a fuzz test.
func VerifySignature(signer string, text, armored []byte) error {
	key, err := parseSigner(signer)
	if err != nil {
		return err
	}
	return verify(key, namespaceManifest, text, armored)
}

// Pseudonym is what the vault calls a tenant.
func (v *Vault) Pseudonym(id [16]byte) string { return v.names.tenant(id) }

// Resign signs a manifest with the job's key, as only the machine itself can.
func (j *Job) Resign(_ context.Context, text []byte) ([]byte, error) {
	return sshsig.Sign(j.vault.signer.key, namespaceManifest, text), nil
}
