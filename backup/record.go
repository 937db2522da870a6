package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/art32/art32/internal/sshsig"
	"github.com/art32/art32/tenancy"
)

// VaultFormat is the version of the vault's records, docs/formats/backup.md.
const VaultFormat = "art32-vault/v1"

// The files of a tenant in the vault, in the order in which they are written:
// the last one makes the others count.
const (
	identityEnd  = ".identity.age"
	signatureEnd = ".json.sig"
	recordEnd    = ".json"

	tombstoneEnd          = ".forgotten"
	tombstoneSignatureEnd = ".forgotten.sig"
)

var recordEnds = []string{identityEnd, signatureEnd, recordEnd}

// record says whom the parts of a tenant are encrypted to.
type record struct {
	Format     string    `json:"format"`
	Tenant     string    `json:"tenant"` // its pseudonym
	Recipient  string    `json:"recipient"`
	Identity   string    `json:"identity"`   // SHA-256 of the file of the identity
	Recipients []string  `json:"recipients"` // who can open that file
	Created    time.Time `json:"created"`
}

func recordPath(pseudonym, end string) string { return recordsDir + "/" + pseudonym + end }

// recipientOf is whom the tenant's parts are encrypted to. The first call makes
// the tenant's identity, encrypts it to the recovery recipients and forgets it:
// from then on this machine can write the tenant's backups and not read them.
func (v *Vault) recipientOf(ctx context.Context, tenant tenancy.ID) (r *record, err error) {
	name := v.names.tenant(tenant)
	err = v.locked(ctx, func() error {
		switch gone, err := v.forgotten(name); {
		case err != nil:
			return err
		case gone:
			return ErrForgotten
		}
		r, err = v.readRecord(name)
		if errors.Is(err, fs.ErrNotExist) {
			r, err = v.createRecord(name)
		}
		return err
	})
	return r, err
}

// readRecord reads what vault and this machine alone can have written.
func (v *Vault) readRecord(name string) (*record, error) {
	text, err := v.readAll(recordPath(name, recordEnd))
	if err != nil {
		return nil, err
	}
	sig, err := v.readAll(recordPath(name, signatureEnd))
	if err != nil {
		return nil, fmt.Errorf("%w: the signature of tenant %s: %w", ErrVault, name, err)
	}
	return v.checkRecord(name, text, sig)
}

func (v *Vault) checkRecord(name string, text, sig []byte) (*record, error) {
	if err := verify(v.signer.public, namespaceVault, text, sig); err != nil {
		return nil, fmt.Errorf("%w: tenant %s: %w", ErrVault, name, err)
	}
	return parseRecord(text, name)
}

func parseRecord(text []byte, name string) (*record, error) {
	var r record
	if err := strictJSON(text, &r); err != nil || r.Format != VaultFormat || r.Tenant != name || !isDigest(r.Identity) {
		return nil, fmt.Errorf("%w: the record of tenant %s is none", ErrVault, name)
	}
	if _, err := age.ParseX25519Recipient(r.Recipient); err != nil {
		return nil, fmt.Errorf("%w: the record of tenant %s names no recipient", ErrVault, name)
	}
	return &r, nil
}

func (v *Vault) createRecord(name string) (*record, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("backup: make identity: %w", err)
	}
	sealed, err := seal([]byte(id.String()+"\n"), v.recipients)
	if err != nil {
		return nil, err
	}
	r := &record{
		Format: VaultFormat, Tenant: name, Recipient: id.Recipient().String(), Identity: digestOf(sealed),
		Recipients: v.recipient, Created: time.Now().UTC().Truncate(time.Microsecond),
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	sig := sshsig.Sign(v.signer.key, namespaceVault, text)
	for i, content := range [][]byte{sealed, sig, text} {
		if err := v.writeAll(recordPath(name, recordEnds[i]), content); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func seal(text []byte, to []age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		return nil, fmt.Errorf("backup: encrypt: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("backup: encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("backup: encrypt: %w", err)
	}
	return b.Bytes(), nil
}

// openIdentity opens the identity of a tenant.
func openIdentity(sealed []byte, ids []age.Identity) (*age.X25519Identity, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, ErrIdentity
		}
		return nil, fmt.Errorf("%w: a tenant's identity is damaged", ErrVault)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return nil, fmt.Errorf("%w: a tenant's identity is damaged", ErrVault)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil { // err could quote it
		return nil, fmt.Errorf("%w: a tenant's identity is damaged", ErrVault)
	}
	return id, nil
}

func (v *Vault) removeRecord(name string) error {
	for _, end := range slices.Backward(recordEnds) {
		if err := v.removeAll(recordPath(name, end)); err != nil {
			return err
		}
	}
	return nil
}

// recordNames are the pseudonyms of which any folder holds anything.
func (v *Vault) recordNames() ([]string, error) {
	var all []string
	for _, f := range v.open {
		names, err := f.names(recordsDir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name, _, _ := strings.Cut(name, "."); isPseudonym(name) {
				all = append(all, name)
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(all))), nil
}
