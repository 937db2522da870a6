package aead

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

const (
	hashSize  = sha256.Size
	blockSize = sha256.BlockSize

	// A marshalled SHA-256 is a magic, the chaining value, the block that is not
	// full yet, and the length so far.
	stateSize  = 108
	chainBegin = 4
	chainEnd   = chainBegin + hashSize
)

// errState cannot happen while crypto/sha256 reads the states it has written.
var errState = errors.New("aead: SHA-256 state not accepted")

func errKeySize(key []byte) error {
	return fmt.Errorf("aead: key of %d bytes instead of %d", len(key), KeySize)
}

// macKey is an HMAC-SHA256 key (FIPS 198-1) as the chaining values after its two
// pads, each one block. crypto/hmac would need an object per key and goroutine;
// with these one pool of hashes serves all keys, and a cold list of many data
// subjects does not wait for the collector.
type macKey struct {
	inner, outer [hashSize]byte
}

type digest interface {
	hash.Hash
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// scratch holds what one operation needs; its keys are cleared before it goes
// back into the pool.
type scratch struct {
	hash  digest
	ad    []byte // associated data: header, then the scope
	msg   []byte // what goes into the hash and must not escape one by one
	sum   [hashSize]byte
	pad   [blockSize]byte
	state [stateSize]byte // of a hash after one block; the chaining value varies
	keys  [2 * KeySize]byte
}

var scratches = sync.Pool{New: func() any {
	s := &scratch{hash: newDigest(), ad: make([]byte, 0, 256), msg: make([]byte, 0, 512)}
	if s.padded(0) != nil { // what every state after one block shares
		clear(s.state[:]) // no state at all: UnmarshalBinary refuses it
	}
	return s
}}

func newDigest() digest {
	return sha256.New().(digest) //nolint:forcetypeassert // crypto/sha256 documents both interfaces
}

func getScratch() *scratch {
	return scratches.Get().(*scratch) //nolint:forcetypeassert // New makes nothing else
}

func putScratch(s *scratch) {
	s.clear()
	if cap(s.ad) <= 4<<10 && cap(s.msg) <= 4<<10 {
		scratches.Put(s)
	}
}

// clear overwrites keys, and the last sum, which is half of what was expanded.
func (s *scratch) clear() {
	clear(s.keys[:])
	clear(s.sum[:])
	clear(s.pad[:])
	clear(s.state[chainBegin:chainEnd])
	s.hash.Reset()
}

// setHeader begins the associated data with format and key version.
func (s *scratch) setHeader(format byte, version uint32) {
	s.ad = binary.BigEndian.AppendUint32(append(s.ad[:0], format), version)
}

// addScope appends the length-prefixed parts to the associated data.
func (s *scratch) addScope(scope []string) error {
	for _, part := range scope {
		if len(part) > maxPart {
			return ErrScope
		}
		s.ad = binary.BigEndian.AppendUint32(s.ad, uint32(len(part)))
		s.ad = append(s.ad, part...)
	}
	return nil
}

// commitment returns the HMAC over label, header, nonce, tag and scope; it
// stands until the next use of s.
func (s *scratch) commitment(a *AEAD, nonce, tag []byte) ([]byte, error) {
	s.msg = append(s.msg[:0], a.label...)
	s.msg = append(s.msg, s.ad[:headerSize]...)
	s.msg = append(s.msg, nonce...)
	s.msg = append(s.msg, tag...)
	s.msg = append(s.msg, s.ad[headerSize:]...)
	return s.mac(&a.macs.commit, s.msg)
}

// expand is HKDF-Expand (RFC 5869) of 64 bytes, in two halves, which stand until
// the next use of s.
func (s *scratch) expand(key *macKey, info string) (first, second []byte, err error) {
	first, second = s.keys[:KeySize], s.keys[KeySize:]
	s.msg = append(append(s.msg[:0], info...), 1)
	if err := s.macInto(first, key); err != nil {
		return nil, nil, err
	}
	s.msg = append(append(append(s.msg[:0], first...), info...), 2)
	if err := s.macInto(second, key); err != nil {
		return nil, nil, err
	}
	clear(s.msg)
	return first, second, nil
}

func (s *scratch) macInto(dst []byte, k *macKey) error {
	sum, err := s.mac(k, s.msg)
	copy(dst, sum)
	return err
}

func (s *scratch) initMAC(k *macKey, key []byte) error {
	clear(s.pad[:])
	copy(s.pad[:], key)
	if err := s.padded(0x36); err != nil {
		return err
	}
	copy(k.inner[:], s.state[chainBegin:chainEnd])
	if err := s.padded(0x36 ^ 0x5c); err != nil {
		return err
	}
	copy(k.outer[:], s.state[chainBegin:chainEnd])
	return nil
}

// padded masks the pad with x and sets the state to that of a hash which has
// read it.
func (s *scratch) padded(x byte) error {
	for i := range s.pad {
		s.pad[i] ^= x
	}
	s.hash.Reset()
	s.hash.Write(s.pad[:])
	out, err := s.hash.AppendBinary(s.state[:0])
	if err != nil || len(out) != stateSize {
		return errState
	}
	return nil
}

func (s *scratch) mac(k *macKey, msg []byte) ([]byte, error) {
	if err := s.hashed(&k.inner, msg); err != nil {
		return nil, err
	}
	return s.sum[:], s.hashed(&k.outer, s.sum[:])
}

// hashed sets the sum to that of the block behind chain and msg.
func (s *scratch) hashed(chain *[hashSize]byte, msg []byte) error {
	copy(s.state[chainBegin:chainEnd], chain[:])
	if s.hash.UnmarshalBinary(s.state[:]) != nil {
		return errState
	}
	s.hash.Write(msg)
	s.hash.Sum(s.sum[:0])
	return nil
}

// MAC is an HMAC-SHA256 key for many short messages, safe for concurrent use.
type MAC struct{ key *macKey }

// NewMAC returns the MAC under key, which it does not keep.
func NewMAC(key []byte) (*MAC, error) {
	if len(key) != KeySize {
		return nil, errKeySize(key)
	}
	s := getScratch()
	defer putScratch(s)
	m := &MAC{new(macKey)}
	return m, s.initMAC(m.key, key)
}

// Append appends the first n bytes, at most 32, of the MAC of text to dst.
func (m *MAC) Append(dst []byte, text string, n int) ([]byte, error) {
	s := getScratch()
	defer putScratch(s)
	s.msg = append(s.msg[:0], text...)
	sum, err := s.mac(m.key, s.msg)
	clear(s.msg)
	if err != nil {
		return nil, err
	}
	return append(dst, sum[:min(n, hashSize)]...), nil
}

// Format keeps the key out of every log.
func (m MAC) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }
