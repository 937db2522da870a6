package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	algCosignature = 4 // Ed25519 with a timestamp
	keyLength      = 1 + ed25519.PublicKeySize
	stampLength    = 8 // seconds since 1970, u64, big endian
)

var errKey = errors.New("witness: the key is none of a witness: name+hash+base64 of type 4 is wanted")

// verifier verifies the cosignatures of one witness. It implements [note.Verifier].
type verifier struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var _ note.Verifier = (*verifier)(nil)

// parseKey reads a public key in the form of a note verifier key of type 4.
func parseKey(vkey string) (*verifier, error) {
	parts := strings.SplitN(strings.TrimSpace(vkey), "+", 3)
	if len(parts) != 3 || parts[0] == "" || strings.ContainsAny(parts[0], " \t\r\n") {
		return nil, errKey
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	key, berr := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || berr != nil || len(parts[1]) != 8 || len(key) != keyLength || key[0] != algCosignature {
		return nil, errKey
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if binary.BigEndian.Uint32(sum[:]) != uint32(hash) {
		return nil, fmt.Errorf("%w: its hash is wrong", errKey)
	}
	return &verifier{name: parts[0], hash: uint32(hash), key: key[1:]}, nil
}

// Name implements [note.Verifier].
func (v *verifier) Name() string { return v.name }

// KeyHash implements [note.Verifier].
func (v *verifier) KeyHash() uint32 { return v.hash }

// Verify implements [note.Verifier]: sig is a timestamp and a signature over it and
// the text of the checkpoint.
func (v *verifier) Verify(msg, sig []byte) bool {
	if len(sig) != stampLength+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at > math.MaxInt64 {
		return false
	}
	text := append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), msg...)
	return ed25519.Verify(v.key, text, sig[stampLength:])
}

// Verify checks the cosignatures in a signed checkpoint, such as the one of an export,
// against the public key of a witness as [New] takes it. An error says that there is
// none, or that one is wrong.
func Verify(signed []byte, vkey string) error {
	v, err := parseKey(vkey)
	if err != nil {
		return err
	}
	if _, err = v.lines(signed); err != nil {
		return err
	}
	return nil
}

var errUnsigned = errors.New("witness: there is no cosignature of the witness that verifies")

// lines are the cosignatures in a signed note, each as its line without the end.
func (v *verifier) lines(signed []byte) ([]string, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return nil, errUnsigned // the text of the other holds what was sent
	}
	all := make([]string, len(n.Sigs))
	for i, s := range n.Sigs {
		all[i] = "— " + s.Name + " " + s.Base64
	}
	return all, nil
}
