package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/art32/art32/tenancy"
)

const forgottenFormat = "art32-forgotten/v1"

// tombstone says, signed, that a tenant's identity was deleted for good.
type tombstone struct {
	Format string    `json:"format"`
	Tenant string    `json:"tenant"` // its pseudonym
	At     time.Time `json:"at"`
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
		if err := v.writeSigned(recordPath(name, tombstoneEnd), recordPath(name, tombstoneSignatureEnd), t); err != nil {
			return err
		}
		return v.removeRecord(name)
	})
}

// writeSigned writes a value and before it its signature: without the signature
// the value does not count.
func (v *Vault) writeSigned(name, sigName string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	sig, err := sign(v.signer.key, namespaceVault, text)
	if err != nil {
		return err
	}
	if err := v.writeAll(sigName, sig); err != nil {
		return err
	}
	return v.writeAll(name, text)
}

// tombstone reads that of a tenant in a folder. Anybody can lay a file there:
// only one that is signed by by counts, and any other is refused. It returns an
// error around [fs.ErrNotExist] where there is none.
func (f *folder) tombstone(name string, by ssh.PublicKey) (text, sig []byte, err error) {
	path := recordPath(name, tombstoneEnd)
	if text, err = f.read(path); err != nil {
		return nil, nil, err
	}
	sig, err = f.read(recordPath(name, tombstoneSignatureEnd))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("it has no signature: %w", ErrSignature)
	}
	if err == nil {
		err = verify(by, namespaceVault, text, sig)
	}
	var t tombstone
	if err == nil && (strictJSON(text, &t) != nil || t.Format != forgottenFormat || t.Tenant != name) {
		err = errors.New("it is none of this tenant")
	}
	if err != nil {
		return nil, nil, f.refuse(path, err)
	}
	return text, sig, nil
}

// forgotten reports whether a tenant was forgotten, as any folder says. The
// caller has the lock.
func (v *Vault) forgotten(name string) (gone bool, err error) {
	for _, f := range v.open {
		_, _, err := f.tombstone(name, v.signer.public)
		switch {
		case err == nil:
			gone = true
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	return gone, nil
}

// finishForgetting ends what a crash stopped, and reports whether there is a
// tombstone at all. Each is checked before anything is removed.
func (v *Vault) finishForgetting(name string) (gone bool, err error) {
	var text, sig []byte
	whole := true
	for _, f := range v.open {
		t, s, err := f.tombstone(name, v.signer.public)
		switch {
		case err == nil:
			text, sig = t, s
		case errors.Is(err, fs.ErrNotExist):
			whole = false
		default:
			return false, err
		}
	}
	if text == nil {
		return false, nil
	}
	if whole {
		return true, v.removeRecord(name)
	}
	if err := v.writeAll(recordPath(name, tombstoneSignatureEnd), sig); err != nil {
		return true, err
	}
	if err := v.writeAll(recordPath(name, tombstoneEnd), text); err != nil {
		return true, err
	}
	return true, v.removeRecord(name)
}
