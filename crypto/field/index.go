package field

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/art32/art32/internal/aead"
)

// ErrFewRows says that a truncated blind index was asked for fewer than
// [MinRows] expected rows.
var ErrFewRows = errors.New("field: blind index needs at least 16 expected rows; declare it unique or do without")

// MinRows is the fewest expected rows of a truncated blind index.
const MinRows = 16

const indexLabel = "art32/index/v1"

// Width returns by CipherSweet's rule how many bits a blind index may keep: R
// rows under b bits give R/2^b coincidences per value, which should lie between
// 2, so that a match is no proof, and √R, so that a search stays selective.
// The most selective width within is floor(log2(R/2)). Fewer rows than
// [MinRows] give [ErrFewRows]. Several indexes over one plaintext add up: the
// rule holds for the sum of their bits, which CheckIndexes of package fieldtest
// tests.
//
// Source: CipherSweet, docs/SECURITY.md, "Blind Index Information Leaks",
// https://github.com/paragonie/ciphersweet.
func Width(expectedRows int) (int, error) {
	if expectedRows < MinRows {
		return 0, ErrFewRows
	}
	return min(bits.Len(uint(expectedRows/2))-1, 8*sha256.Size), nil
}

// Index computes a blind index: a keyed, truncated hash by which the rows with
// equal plaintext are found without decrypting. It is safe for concurrent use.
type Index struct {
	mac       *aead.MAC
	transform Transform
	bits      int
	others    []*Index // of other versions of the key
}

// NewIndex returns a truncated index. The key is the tenant's index key of
// [KeySize] bytes, which is not kept; the label names the index within the
// tenant ("customers.email") and makes its values unlike those of any other.
// Matches are candidates: the caller must compare [Index.Normalize] of the
// decrypted plaintexts.
func NewIndex(key []byte, label string, t Transform, expectedRows int) (*Index, error) {
	width, err := Width(expectedRows)
	if err != nil {
		return nil, err
	}
	return newIndex(key, label, t, width)
}

// NewUniqueIndex returns an index of full width, which can carry a UNIQUE
// constraint and serve a tenant with few rows. It shows to whoever reads the
// table which rows have equal plaintexts, and how many.
func NewUniqueIndex(key []byte, label string, t Transform) (*Index, error) {
	return newIndex(key, label, t, 8*sha256.Size)
}

// With returns an index that writes as x does and also searches for what indexes
// of other versions of the key have written. The caller must make them with the
// label, transform and number of rows of x. x itself does not change.
func (x *Index) With(others ...*Index) *Index {
	out := *x
	out.others = slices.Clone(x.others)
	for _, o := range others {
		out.others = append(append(out.others, o), o.others...)
	}
	return &out
}

// Sums returns the values by which text is searched for: first [Index.Sum], then
// that of each other version; nil, NULL, finds nothing.
func (x *Index) Sums(text string) [][]byte {
	sums := [][]byte{x.Sum(text)}
	for _, o := range x.others {
		sums = append(sums, o.Sum(text))
	}
	return sums
}

// Sum returns the index value of text to be written: [Index.Width] bits, the
// rest of the last byte zero. It is nil, to be written as NULL, for a text of
// which the transform [Digits] leaves nothing: such texts are not found, and do
// not stand in each other's way in a unique index.
func (x *Index) Sum(text string) []byte {
	n := (x.bits + 7) / 8
	text = x.Normalize(text)
	if text == "" && x.transform == Digits {
		return nil
	}
	sum, err := x.mac.Append(make([]byte, 0, n), text, n)
	if err != nil {
		return nil // NULL: matches nothing
	}
	if rest := x.bits % 8; rest != 0 {
		sum[n-1] &= 0xff << (8 - rest)
	}
	return sum
}

// Normalize returns what is hashed of text.
func (x *Index) Normalize(text string) string { return x.transform.Apply(text) }

// Width is the number of bits kept.
func (x *Index) Width() int { return x.bits }

// Format keeps the key out of every log.
func (x Index) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

func newIndex(key []byte, label string, t Transform, width int) (*Index, error) {
	if len(key) != KeySize || label == "" {
		return nil, fmt.Errorf("field: new index: key of %d bytes, label %q", len(key), label)
	}
	if _, err := ParseTransform(string(t)); err != nil {
		return nil, err
	}
	info := appendPart(appendPart([]byte(indexLabel), label), string(t))
	derived, err := hkdf.Expand(sha256.New, key, string(info), KeySize)
	if err != nil {
		return nil, fmt.Errorf("field: new index: %w", err)
	}
	defer clear(derived)
	mac, err := aead.NewMAC(derived)
	if err != nil {
		return nil, fmt.Errorf("field: new index: %w", err)
	}
	return &Index{mac: mac, transform: t, bits: width}, nil
}

func appendPart(dst []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(part))), part...)
}
