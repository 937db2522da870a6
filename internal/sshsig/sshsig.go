// Package sshsig signs texts with Ed25519 in the form of OpenSSH, so that
// `ssh-keygen -Y verify` accepts what it signs, and checks what `ssh-keygen -Y
// sign` has signed. It knows no other algorithm. Its errors say in a sentence what
// is wrong with a signature; whoever calls it wraps them.
package sshsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// The words of https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig.
const (
	magic     = "SSHSIG"
	version   = 1
	hash      = "sha512"
	blockType = "SSH SIGNATURE"
	algorithm = "ssh-ed25519"
)

// The reasons for which a signature is refused.
var (
	errForm      = errors.New("it is no SSH signature")
	errKind      = errors.New("it is of another kind")
	errNamespace = errors.New("it was made for another purpose")
	errSigner    = errors.New("another key signed")
	errText      = errors.New("what was signed was changed")
)

// Sign makes what `ssh-keygen -Y sign` makes. The namespace keeps a signature of
// one purpose from serving another.
func Sign(key ed25519.PrivateKey, namespace string, text []byte) []byte {
	public := key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	blob := []byte(magic)
	blob = append(blob, 0, 0, 0, version)
	blob = appendString(blob, keyBlob(public))
	blob = appendString(blob, []byte(namespace))
	blob = appendString(blob, nil) // reserved
	blob = appendString(blob, []byte(hash))
	sig := appendString(appendString(nil, []byte(algorithm)), ed25519.Sign(key, signed(namespace, text)))
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: appendString(blob, sig)})
}

// Verify refuses a signature that is not of signer over text in the namespace.
func Verify(signer ed25519.PublicKey, namespace string, text, armored []byte) error {
	s, err := parse(armored)
	switch {
	case err != nil:
		return err
	case s.namespace != namespace:
		return errNamespace
	case !signer.Equal(s.key):
		return errSigner
	case !ed25519.Verify(signer, signed(namespace, text), s.signature):
		return errText
	}
	return nil
}

// SignedWith is the public key in a signature, which nobody has vouched for.
func SignedWith(armored []byte) (ed25519.PublicKey, error) {
	s, err := parse(armored)
	if err != nil {
		return nil, err
	}
	return s.key, nil
}

// ParseSigner reads a public key of the form "ssh-ed25519 AAAA…", as it stands in
// a file authorized_keys; a comment may follow.
func ParseSigner(text string) (ed25519.PublicKey, error) {
	wrong := errors.New(`the signer is no public key of the form "ssh-ed25519 AAAA…"`)
	text = strings.TrimSpace(text)
	fields := strings.Fields(text)
	if strings.ContainsAny(text, "\r\n") || len(fields) < 2 || fields[0] != algorithm {
		return nil, wrong
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(fields[1])
	if err != nil {
		return nil, wrong
	}
	key, ok := parseKey(blob)
	if !ok {
		return nil, wrong
	}
	return key, nil
}

// FormatSigner is what [ParseSigner] reads.
func FormatSigner(key ed25519.PublicKey) string {
	return algorithm + " " + base64.StdEncoding.EncodeToString(keyBlob(key))
}

// signature is one that was taken apart.
type signature struct {
	key       ed25519.PublicKey
	namespace string
	signature []byte
}

func parse(armored []byte) (s signature, err error) {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != blockType || len(bytes.TrimSpace(rest)) > 0 {
		return s, errForm
	}
	var number uint32
	var start, key, namespace, reserved, digest, sig, kind []byte
	in := cryptobyte.String(block.Bytes)
	if !in.ReadBytes(&start, len(magic)) || string(start) != magic || !in.ReadUint32(&number) ||
		!readStrings(&in, &key, &namespace, &reserved, &digest, &sig) {
		return s, errForm
	}
	in = sig
	if !readStrings(&in, &kind, &s.signature) {
		return s, errForm
	}
	var ok bool
	if s.key, ok = parseKey(key); !ok || number != version || string(digest) != hash || string(kind) != algorithm {
		return s, errKind
	}
	s.namespace = string(namespace)
	return s, nil
}

// readStrings reads the strings that make up the whole of in.
func readStrings(in *cryptobyte.String, into ...*[]byte) bool {
	for _, b := range into {
		var n uint32
		if !in.ReadUint32(&n) || int64(n) > int64(len(*in)) || !in.ReadBytes(b, int(n)) {
			return false
		}
	}
	return in.Empty()
}

func parseKey(blob []byte) (ed25519.PublicKey, bool) {
	var kind, key []byte
	in := cryptobyte.String(blob)
	if !readStrings(&in, &kind, &key) || string(kind) != algorithm || len(key) != ed25519.PublicKeySize {
		return nil, false
	}
	return key, true
}

func keyBlob(key ed25519.PublicKey) []byte {
	return appendString(appendString(nil, []byte(algorithm)), key)
}

// signed is what the key signs in place of the text.
func signed(namespace string, text []byte) []byte {
	digest := sha512.Sum512(text)
	body := appendString([]byte(magic), []byte(namespace))
	body = appendString(body, nil) // reserved
	body = appendString(body, []byte(hash))
	return appendString(body, digest[:])
}

// appendString appends a string with its length, as RFC 4251, section 5, has it.
func appendString(b, s []byte) []byte {
	n := uint32(len(s))
	return append(append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), s...)
}
