package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	originPrefix  = "art32.audit/"
	maxCheckpoint = 1 << 16 // bytes of a note that is worth reading
)

// ErrCheckpoint says that a checkpoint is malformed, of another log, or not
// signed by the log's key.
var ErrCheckpoint = errors.New("audit: checkpoint not valid")

// Checkpoint is the signed head of a log (c2sp.org/tlog-checkpoint): all that
// must be held outside to find out later that the log was rewritten.
type Checkpoint struct {
	// Origin is the log's name, which is the name of its key as well.
	Origin string
	// Size is how many entries the head covers.
	Size int64
	// Root is the root hash of the tree over them (RFC 6962).
	Root [tlog.HashSize]byte
}

// ParseCheckpoint reads a signed checkpoint and checks its signature against
// vkey, the log's public key in the form of a note verifier. The origin must be
// the key's name. Any fault is [ErrCheckpoint].
func ParseCheckpoint(signed []byte, vkey string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: malformed public key", ErrCheckpoint)
	}
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: too long", ErrCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: no signature of the log's key", ErrCheckpoint)
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: a signature in another form", ErrCheckpoint)
	}
	c, err := parseCheckpointText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("%w: another origin", ErrCheckpoint)
	}
	return c, nil
}

// parseCheckpointText reads origin, size, root; extension lines may follow.
func parseCheckpointText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("%w: malformed", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("%w: malformed size", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize || base64.StdEncoding.EncodeToString(root) != lines[2] {
		return Checkpoint{}, fmt.Errorf("%w: malformed root", ErrCheckpoint)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: [tlog.HashSize]byte(root)}, nil
}

// text is the signed text.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" +
		base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// originOf is a log's name. It says nothing about whose log it is.
func originOf(log uuid.UUID) string { return originPrefix + log.String() }

// signer signs checkpoints of one log. It implements [note.Signer].
type signer struct {
	log  uuid.UUID // that the key signs
	name string
	hash uint32
	vkey string
	key  ed25519.PrivateKey
}

// newLogSigner makes the signer of the log whose id follows from the seed.
func newLogSigner(seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("audit: signing key: seed of %d bytes instead of %d", len(seed), ed25519.SeedSize)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	return newSigner(originOf(logOf(public)), seed)
}

// newSigner makes the signer of an origin from a seed of 32 bytes.
func newSigner(origin string, seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("audit: signing key: seed of %d bytes instead of %d", len(seed), ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	public := key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("audit: signing key: %w", err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("audit: signing key: %w", err)
	}
	return &signer{log: logOf(public), name: origin, hash: v.KeyHash(), vkey: vkey, key: key}, nil
}

// Name implements [note.Signer].
func (s *signer) Name() string { return s.name }

// KeyHash implements [note.Signer].
func (s *signer) KeyHash() uint32 { return s.hash }

// Sign implements [note.Signer].
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// checkpoint signs the head of the log.
func (s *signer) checkpoint(size int64, root tlog.Hash) ([]byte, error) {
	c := Checkpoint{Origin: s.name, Size: size, Root: root}
	signed, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("audit: sign checkpoint: %w", err)
	}
	return signed, nil
}
