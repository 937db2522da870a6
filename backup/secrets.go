package backup

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// The platform's secrets. They lie in the keystore, and so in its copies: a
// restored system goes on with the same names and the same signer.
const (
	secretSigning   = "backup/signing"
	secretPseudonym = "backup/pseudonym"
	secretLedger    = "backup/ledger"
)

// pseudonymSize is what of a tenant's HMAC names its objects.
const pseudonymSize = 16

// pseudonyms name tenants and data subjects to those who have the secrets.
type pseudonyms struct{ tenants, subjects []byte }

func openPseudonyms(ctx context.Context, keys *keyring.Ring) (p pseudonyms, err error) {
	if p.tenants, err = keys.Secret(ctx, uuid.Nil, secretPseudonym); err != nil {
		return p, fmt.Errorf("backup: open secrets: %w", err)
	}
	if p.subjects, err = keys.Secret(ctx, uuid.Nil, secretLedger); err != nil {
		return p, fmt.Errorf("backup: open secrets: %w", err)
	}
	return p, nil
}

func (p pseudonyms) tenant(id tenancy.ID) string {
	return hex.EncodeToString(code(p.tenants, id[:])[:pseudonymSize])
}

func (p pseudonyms) subject(id tenancy.ID, subject uuid.UUID) string {
	return hex.EncodeToString(code(p.subjects, id[:], subject[:]))
}

func code(secret []byte, texts ...[]byte) []byte {
	h := hmac.New(sha256.New, secret)
	for _, t := range texts {
		h.Write(t)
	}
	return h.Sum(nil)
}

// signer signs manifests and records of the vault.
type signer struct {
	key    ed25519.PrivateKey
	public ed25519.PublicKey
}

func openSigner(ctx context.Context, keys *keyring.Ring) (*signer, error) {
	seed, err := keys.Secret(ctx, uuid.Nil, secretSigning)
	if err != nil {
		return nil, fmt.Errorf("backup: open secrets: %w", err)
	}
	defer clear(seed)
	key := ed25519.NewKeyFromSeed(seed)
	return &signer{key: key, public: key.Public().(ed25519.PublicKey)}, nil //nolint:forcetypeassert // documented
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
