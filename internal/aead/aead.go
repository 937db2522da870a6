// Package aead is the committing, scope-bound encryption on which field
// ciphertexts, wrapped keys and streams stand: AES-256-GCM with random nonces,
// and an HMAC-SHA256 commitment to key and scope that is checked before anything
// is decrypted. docs/formats/field.md and docs/formats/stream.md have the layouts
// and the arguments.
package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// KeySize is the length in bytes of the only key size there is.
	KeySize = 32
	// Overhead is by how many bytes a ciphertext is longer than its plaintext.
	Overhead = headerSize + nonceSize + tagSize + commitSize
	// FormatVersion is the first byte of a ciphertext.
	FormatVersion = 1

	headerSize = 1 + 4
	nonceSize  = 12
	tagSize    = 16
	commitSize = hashSize
	maxPart    = 1 << 16
)

// Labels separate the uses of the construction: a ciphertext made under one
// label never opens under another, not even with the same key.
const (
	LabelField = "art32/field/v1"
	LabelWrap  = "art32/wrap/v1"
)

var (
	// ErrOpen says that a ciphertext does not open. It is the same error for a
	// wrong key, version, scope, a changed byte and a wrong length, so that
	// nobody learns which one it was.
	ErrOpen = errors.New("aead: ciphertext does not open")
	// ErrScope says that a part of the scope is longer than 65,536 bytes.
	ErrScope = errors.New("aead: scope too long")
)

// AEAD seals and opens under one key with its version. It is safe for
// concurrent use and takes about 1.5 KiB.
type AEAD struct {
	gcm     cipher.AEAD
	macs    *macKeys // behind a pointer: fmt follows one, for a verb it does not know
	label   string   // of the commitment
	version uint32
}

// macKeys are the keys of the HMACs: the key itself, from which streams are
// derived, and that of the commitments.
type macKeys struct{ root, commit macKey }

// New expands the 32 bytes of key, which it neither keeps nor changes, into an
// encryption and a commitment key for one label.
func New(label string, version uint32, key []byte) (*AEAD, error) {
	if len(key) != KeySize {
		return nil, errKeySize(key)
	}
	s := getScratch()
	defer putScratch(s)
	a := &AEAD{macs: new(macKeys), label: commitLabel(label), version: version}
	if err := s.initMAC(&a.macs.root, key); err != nil {
		return nil, err
	}
	enc, com, err := s.expand(&a.macs.root, label)
	if err != nil {
		return nil, err
	}
	if err := s.initMAC(&a.macs.commit, com); err != nil {
		return nil, err
	}
	a.gcm, err = newGCM(enc)
	return a, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aead: new cipher: %w", err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("aead: new cipher: %w", err)
	}
	return gcm, nil
}

// Version is the key version that stands in every ciphertext of a.
func (a *AEAD) Version() uint32 { return a.version }

// Equal reports whether both hold the same key, version and label.
func (a *AEAD) Equal(b *AEAD) bool {
	return a.version == b.version && a.label == b.label &&
		subtle.ConstantTimeCompare(a.macs.commit.inner[:], b.macs.commit.inner[:]) == 1
}

// Seal appends the ciphertext of plaintext, bound to scope, to dst. The rest of
// dst's capacity must not overlap plaintext.
func (a *AEAD) Seal(dst, plaintext []byte, scope ...string) ([]byte, error) {
	s := getScratch()
	defer putScratch(s)
	s.setHeader(FormatVersion, a.version)
	if err := s.addScope(scope); err != nil {
		return nil, err
	}
	start := len(dst)
	dst = grow(dst, len(plaintext)+Overhead)
	dst = append(dst, s.ad[:headerSize]...)
	dst = a.gcm.Seal(dst, nil, plaintext, s.ad) //nolint:gosec // G407: this AEAD draws the nonce itself
	nonce, tag := ends(dst[start+headerSize:])
	sum, err := s.commitment(a, nonce, tag)
	if err != nil {
		return nil, err
	}
	return append(dst, sum...), nil
}

// Open appends the plaintext of ciphertext to dst, or returns [ErrOpen]. The
// rest of dst's capacity must not overlap ciphertext.
func (a *AEAD) Open(dst, ciphertext []byte, scope ...string) ([]byte, error) {
	if len(ciphertext) < Overhead {
		return nil, ErrOpen
	}
	s := getScratch()
	defer putScratch(s)
	s.setHeader(FormatVersion, a.version)
	if err := s.addScope(scope); err != nil {
		return nil, ErrOpen
	}
	body := ciphertext[headerSize : len(ciphertext)-commitSize]
	want := ciphertext[len(ciphertext)-commitSize:]
	nonce, tag := ends(body)
	sum, err := s.commitment(a, nonce, tag)
	if err != nil {
		return nil, ErrOpen
	}
	same := subtle.ConstantTimeCompare(ciphertext[:headerSize], s.ad[:headerSize])
	same &= subtle.ConstantTimeCompare(sum, want)
	if same != 1 {
		return nil, ErrOpen
	}
	out, err := a.gcm.Open(dst, nil, body, s.ad)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// IsCiphertext reports whether b has the form of a ciphertext.
func IsCiphertext(b []byte) bool { return len(b) >= Overhead && b[0] == FormatVersion }

// KeyVersion reads the version of the key that sealed ciphertext, without
// opening it; false when ciphertext is none of this format.
func KeyVersion(ciphertext []byte) (uint32, bool) {
	if !IsCiphertext(ciphertext) {
		return 0, false
	}
	return binary.BigEndian.Uint32(ciphertext[1:]), true
}

func ends(body []byte) (nonce, tag []byte) {
	return body[:nonceSize], body[len(body)-tagSize:]
}

func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	grown := make([]byte, len(dst), len(dst)+n)
	copy(grown, dst)
	return grown
}

func commitLabel(label string) string {
	switch label {
	case LabelField:
		return LabelField + "/commit"
	case LabelWrap:
		return LabelWrap + "/commit"
	}
	return label + "/commit"
}

// Format keeps key states out of every log.
func (a AEAD) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }
