package rowsum_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"testing"

	"github.com/art32/art32/internal/rowsum"
)

func sum(rows ...string) *rowsum.Sum {
	var s rowsum.Sum
	for _, r := range rows {
		s.Add([]byte(r))
	}
	return &s
}

func TestSumIsThatOfTheDigests(t *testing.T) {
	t.Parallel()
	var s rowsum.Sum
	want, mod := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 256)
	for i := range 500 {
		row := fmt.Appendf(nil, "row %d", i)
		s.Add(row)
		digest := sha256.Sum256(row)
		want.Add(want, new(big.Int).SetBytes(digest[:])).Mod(want, mod)
		if got := s.String(); got != fmt.Sprintf("%064x", want) {
			t.Fatalf("after %d rows: %s, want %064x", i+1, got, want)
		}
	}
	if s.Rows() != 500 {
		t.Errorf("Rows = %d", s.Rows())
	}
}

func TestSumTellsSetsApart(t *testing.T) {
	t.Parallel()
	a := sum("1", "2", "3")
	for name, c := range map[string]struct {
		rows []string
		same bool
	}{
		"another order": {[]string{"3", "1", "2"}, true},
		"one missing":   {[]string{"1", "2"}, false},
		"one changed":   {[]string{"1", "2", "4"}, false},
		"one doubled":   {[]string{"1", "2", "3", "3"}, false},
		"a pair more":   {[]string{"1", "2", "3", "4", "4"}, false},
	} {
		if got := sum(c.rows...).String() == a.String(); got != c.same {
			t.Errorf("%s: equal = %v, want %v", name, got, c.same)
		}
	}
}
