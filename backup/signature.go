package backup

import (
	"crypto/ed25519"
	"fmt"

	"github.com/art32/art32/internal/sshsig"
)

// The namespaces keep a signature of one purpose from serving another.
const (
	namespaceManifest = "art32-backup"
	namespaceVault    = "art32-vault"
)

// verify refuses a signature that is not of signer over text in the namespace.
func verify(signer ed25519.PublicKey, namespace string, text, armored []byte) error {
	if err := sshsig.Verify(signer, namespace, text, armored); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// signedWith is the public key in a signature, which nobody has vouched for.
func signedWith(armored []byte) (ed25519.PublicKey, error) {
	key, err := sshsig.SignedWith(armored)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return key, nil
}

// parseSigner reads a public key as it stands in a file authorized_keys.
func parseSigner(text string) (ed25519.PublicKey, error) {
	key, err := sshsig.ParseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return key, nil
}
