package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"time"

	"github.com/art32/art32/tenancy"
)

const forgottenFormat = "art32-forgotten/v1"

// tombstone says, signed, that a tenant's identity was deleted for good.
type tombstone struct {
	Format string    `json:"format"`
	Tenant string    `json:"tenant"` // its pseudonym
	At     time.Time `json:"at"`
}

// tombstoneOf is the file that says so of a tenant.
func tombstoneOf(name string) signed {
	return signed{recordPath(name, tombstoneEnd), recordPath(name, tombstoneSignatureEnd), func(text []byte) error {
		var t tombstone
		if strictJSON(text, &t) != nil || t.Format != forgottenFormat || t.Tenant != name {
			return errors.New("it is none of this tenant")
		}
		return nil
	}}
}

// Forget deletes a tenant's identity from all folders: from then on no copy of
// the tenant's backups can be opened by anybody, wherever it lies. Later runs
// leave the tenant out and say so. It cannot be taken back; the caller must
// record it. If it returns an error it must be repeated until it returns nil.
func (v *Vault) Forget(ctx context.Context, tenant tenancy.ID) error {
	name := v.names.tenant(tenant)
	return v.locked(ctx, func() error {
		if gone, err := v.finishForgetting(name); gone || err != nil {
			return err
		}
		t := tombstone{Format: forgottenFormat, Tenant: name, At: time.Now().UTC().Truncate(time.Second)}
		if err := tombstoneOf(name).write(v, t); err != nil {
			return err
		}
		return v.removeRecord(name)
	})
}

// tombstone reads that of a tenant in a folder.
func (f *folder) tombstone(name string, by ed25519.PublicKey) (text, sig []byte, err error) {
	return tombstoneOf(name).read(f, by)
}

// forgotten reports whether a tenant was forgotten, as any folder says. The
// caller has the lock.
func (v *Vault) forgotten(name string) (gone bool, err error) {
	for _, f := range v.open {
		switch _, _, err := f.tombstone(name, v.signer.public); {
		case err == nil:
			gone = true
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	return gone, nil
}

// finishForgetting ends what a crash stopped, and reports whether there is a
// tombstone at all.
func (v *Vault) finishForgetting(name string) (gone bool, err error) {
	switch _, err := tombstoneOf(name).settle(v); {
	case err == nil:
		return true, v.removeRecord(name)
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, err
	}
}
