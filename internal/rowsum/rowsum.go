// Package rowsum fingerprints a set of rows, whatever their order.
//
// The fingerprint is the sum of the rows' SHA-256 modulo 2^256: it changes with
// any row, and a row that stands twice counts twice, which an exclusive-or would
// lose. It compares copies that nobody forges; it is no commitment against
// somebody who chooses rows.
package rowsum

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Sum is the fingerprint of the rows added so far; the zero value is that of
// none. It is not safe for concurrent use.
type Sum struct {
	limbs [4]uint64 // least significant first
	rows  int64
}

// Add adds a row. The caller must encode it so that different rows differ.
func (s *Sum) Add(row []byte) {
	digest := sha256.Sum256(row)
	var carry uint64
	for i := range s.limbs {
		s.limbs[i], carry = bits.Add64(s.limbs[i], binary.BigEndian.Uint64(digest[24-8*i:]), carry)
	}
	s.rows++
}

// Rows counts what was added.
func (s *Sum) Rows() int64 { return s.rows }

// String is the sum as 64 hexadecimal digits.
func (s *Sum) String() string {
	var b [32]byte
	for i, limb := range s.limbs {
		binary.BigEndian.PutUint64(b[24-8*i:], limb)
	}
	return hex.EncodeToString(b[:])
}
