package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// MaxLeaf is the greatest length in bytes of a leaf, a limit of the export
// format (c2sp.org/tlog-tiles).
const MaxLeaf = math.MaxUint16

const (
	leafVersion = 1
	digestSize  = 32 // SHA-256
	macSize     = 32 // HMAC-SHA256
)

// ErrLeaf says that bytes are not a leaf in the one form that is allowed.
var ErrLeaf = errors.New("audit: not a leaf")

// Leaf is the open part of an event, as the Merkle tree holds it. It names
// nobody: people, tenants and rows appear as random ids, and what happened to
// the data as digests of ciphertexts. docs/formats/audit-leaf.md is its
// specification.
type Leaf struct {
	Log     uuid.UUID // the log that the leaf lies in
	Tenant  uuid.UUID // nil for the platform
	Event   uuid.UUID
	At      time.Time // UTC, in microseconds
	Writer  uuid.UUID // the process that wrote the event
	Counter int64     // counts the events of that writer in this tenant's log, from 1
	Actor   string
	Session string // "" without
	Action  string
	Object  uuid.UUID // nil for none
	Outcome Outcome
	// Digests holds 32 bytes for each part of the payload: SHA-256 over the id
	// of the data subject (16 bytes, zero for none) and the stored ciphertext.
	Digests []byte
	// MAC is the writer's HMAC-SHA256, by which the sealer knows that the event
	// was not edited before it was sealed.
	MAC [macSize]byte
}

// AppendBinary appends the leaf's bytes to b. It returns [ErrTooLarge] for a
// leaf over [MaxLeaf], and [ErrLeaf] for one that the format cannot hold.
func (l *Leaf) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, leafVersion)
	b = append(b, l.Log[:]...)
	b, err := l.appendBody(b)
	if err != nil {
		return nil, err
	}
	b = append(b, l.MAC[:]...)
	if len(b)-start > MaxLeaf {
		return nil, fmt.Errorf("audit: leaf of %d bytes: %w", len(b)-start, ErrTooLarge)
	}
	return b, nil
}

// appendBody appends what the MAC covers.
func (l *Leaf) appendBody(b []byte) ([]byte, error) {
	if len(l.Digests)%digestSize != 0 || !validOutcome(l.Outcome) || l.Counter < 0 {
		return nil, ErrLeaf
	}
	count := len(l.Digests) / digestSize
	if max(len(l.Actor), len(l.Session), len(l.Action), count) > math.MaxUint16 {
		return nil, ErrTooLarge
	}
	b = append(b, l.Tenant[:]...)
	b = append(b, l.Event[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.At.UnixMicro()))
	b = append(b, l.Writer[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Counter))
	for _, s := range []string{l.Actor, l.Session, l.Action} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	b = append(b, l.Object[:]...)
	b = append(b, byte(l.Outcome))
	b = binary.BigEndian.AppendUint16(b, uint16(count))
	return append(b, l.Digests...), nil
}

// ParseLeaf reads the bytes of one leaf. Anything but the exact bytes that
// [Leaf.AppendBinary] writes is [ErrLeaf].
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) > MaxLeaf {
		return Leaf{}, ErrLeaf
	}
	r := leafReader{b: b}
	if v := r.take(1); r.bad || v[0] != leafVersion {
		return Leaf{}, ErrLeaf
	}
	l := Leaf{
		Log: r.id(), Tenant: r.id(), Event: r.id(),
		At:     time.UnixMicro(int64(r.uint64())).UTC(),
		Writer: r.id(), Counter: int64(r.uint64()),
		Actor: r.text(), Session: r.text(), Action: r.text(),
		Object: r.id(), Outcome: Outcome(r.byte()),
	}
	l.Digests = r.take(int(r.uint16()) * digestSize)
	copy(l.MAC[:], r.take(macSize))
	if r.bad || len(r.b) != 0 || !validOutcome(l.Outcome) || l.Counter < 0 {
		return Leaf{}, ErrLeaf
	}
	return l, nil
}

func validOutcome(o Outcome) bool { return o == tenancy.Done || o == tenancy.Refused }

// hash is the leaf's hash in the tree (RFC 6962).
func (l *Leaf) hash(scratch []byte) (tlog.Hash, error) {
	b, err := l.AppendBinary(scratch[:0])
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.RecordHash(b), nil
}

// leafReader takes values from the front of b; what is missing sets bad.
type leafReader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes, or n zeroes when there are fewer.
func (r *leafReader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *leafReader) id() uuid.UUID  { return uuid.UUID(r.take(16)) }
func (r *leafReader) byte() byte     { return r.take(1)[0] }
func (r *leafReader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *leafReader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *leafReader) text() string   { return string(r.take(int(r.uint16()))) }
