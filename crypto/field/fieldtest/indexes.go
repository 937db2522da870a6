package fieldtest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// ErrWidth says that blind indexes over one plaintext keep too many bits, or so
// few that they are of no use.
var ErrWidth = errors.New("fieldtest: unsafe width of blind indexes")

// CheckIndexes fails the test where the blind indexes over one plaintext, in a
// table that is to hold expectedRows rows per tenant, together show too much or
// find too little; see [CheckWidths]. An index of full width always does: it shows
// which rows are equal, which its declaration must have wanted.
func CheckIndexes(tb testing.TB, expectedRows int, indexes ...*field.Index) {
	tb.Helper()
	bits := make([]int, len(indexes))
	for i, x := range indexes {
		bits[i] = x.Width()
	}
	if err := CheckWidths(expectedRows, bits...); err != nil {
		tb.Error(err)
	}
}

// CheckWidths judges numbers of bits by CipherSweet's rule. R rows of which each
// is indexed by b1, b2, … bits share their values with C = R / 2^(b1 + b2 + …)
// others on average; 2 ≤ C must hold, or equal values prove equal plaintexts, and
// C < √R, or a search reads too much of the table. It returns an error that wraps
// [ErrWidth] and says what would do.
//
// It counts each bit in full. Where there are fewer possible plaintexts than
// values, as with prefixes, frequencies show beyond what any width hides.
//
// Source: CipherSweet, docs/SECURITY.md, "Blind Index Information Leaks",
// https://github.com/paragonie/ciphersweet.
func CheckWidths(expectedRows int, bits ...int) error {
	sum := 0
	for _, b := range bits {
		if b < 1 {
			return fmt.Errorf("%w: an index of %d bits", ErrWidth, b)
		}
		sum += b
	}
	most, err := field.Width(expectedRows)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWidth, err)
	}
	coincidences := float64(expectedRows) / math.Exp2(float64(sum))
	switch {
	case len(bits) == 0:
		return fmt.Errorf("%w: no index", ErrWidth)
	case coincidences < 2:
		return fmt.Errorf("%w: %d bits over one plaintext in %d rows: equal values prove equal contents; keep at most %d bits in all",
			ErrWidth, sum, expectedRows, most)
	case coincidences >= math.Sqrt(float64(expectedRows)):
		return fmt.Errorf("%w: %d bits over one plaintext in %d rows: a search finds %.0f rows for each; keep up to %d bits",
			ErrWidth, sum, expectedRows, coincidences, most)
	}
	return nil
}
