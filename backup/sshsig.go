package backup

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The namespaces keep a signature of one purpose from serving another.
const (
	namespaceManifest = "art32-backup"
	namespaceVault    = "art32-vault"
)

const (
	sigMagic = "SSHSIG"
	sigHash  = "sha512"
	sigType  = "SSH SIGNATURE"
)

// sigBlob and sigBody are the structures of
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig.
type sigBlob struct {
	Magic     [6]byte
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

type sigBody struct {
	Magic     [6]byte
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

func bodyOf(namespace string, text []byte) []byte {
	digest := sha512.Sum512(text)
	return ssh.Marshal(sigBody{Magic: [6]byte([]byte(sigMagic)), Namespace: namespace, Hash: sigHash, Digest: digest[:]})
}

// sign makes what `ssh-keygen -Y sign` makes.
func sign(key ed25519.PrivateKey, namespace string, text []byte) ([]byte, error) {
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("backup: sign: %w", err)
	}
	sig := ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(key, bodyOf(namespace, text))}
	blob := ssh.Marshal(sigBlob{
		Magic: [6]byte([]byte(sigMagic)), Version: 1, PublicKey: public.Marshal(),
		Namespace: namespace, Hash: sigHash, Signature: ssh.Marshal(sig),
	})
	return pem.EncodeToMemory(&pem.Block{Type: sigType, Bytes: blob}), nil
}

// signedWith is the public key in a signature, which nobody has vouched for.
func signedWith(armored []byte) (ssh.PublicKey, error) {
	var blob sigBlob
	block, _ := pem.Decode(armored)
	if block == nil || ssh.Unmarshal(block.Bytes, &blob) != nil {
		return nil, fmt.Errorf("%w: it is no SSH signature", ErrSignature)
	}
	key, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil || key.Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("%w: it is of another kind", ErrSignature)
	}
	return key, nil
}

// verify refuses a signature that is not of signer over text in the namespace.
func verify(signer ssh.PublicKey, namespace string, text, armored []byte) error {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != sigType || len(bytes.TrimSpace(rest)) > 0 {
		return fmt.Errorf("%w: it is no SSH signature", ErrSignature)
	}
	var blob sigBlob
	var sig ssh.Signature
	if ssh.Unmarshal(block.Bytes, &blob) != nil || ssh.Unmarshal(blob.Signature, &sig) != nil {
		return fmt.Errorf("%w: it is no SSH signature", ErrSignature)
	}
	switch {
	case string(blob.Magic[:]) != sigMagic || blob.Version != 1 || blob.Hash != sigHash || sig.Format != ssh.KeyAlgoED25519:
		return fmt.Errorf("%w: it is of another kind", ErrSignature)
	case blob.Namespace != namespace:
		return fmt.Errorf("%w: it was made for another purpose", ErrSignature)
	case !bytes.Equal(blob.PublicKey, signer.Marshal()):
		return fmt.Errorf("%w: another key signed", ErrSignature)
	case signer.Verify(bodyOf(namespace, text), &sig) != nil:
		return fmt.Errorf("%w: what was signed was changed", ErrSignature)
	}
	return nil
}

// parseSigner reads a public key as it stands in a file authorized_keys.
func parseSigner(text string) (ssh.PublicKey, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(bytes.TrimSpace(rest)) > 0 || key.Type() != ssh.KeyAlgoED25519 {
		return nil, errors.New("backup: the signer is no public key of the form \"ssh-ed25519 AAAA…\"")
	}
	return key, nil
}

// formatSigner is the line of a file authorized_keys.
func formatSigner(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
