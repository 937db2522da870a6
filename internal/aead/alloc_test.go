//go:build !race

// The race detector makes sync.Pool forget at random.

package aead_test

import (
	"testing"

	"github.com/art32/art32/internal/aead"
)

func TestNoAllocation(t *testing.T) {
	a := newAEAD(t, aead.LabelField, 1, key(1))
	plain := make([]byte, 256)
	sealed := seal(t, a, plain, scope...)
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(200, func() {
		_, _ = a.Seal(dst, plain, "tenant", "table", "column", "row")
		_, _ = a.Open(dst, sealed, "tenant", "table", "column", "row")
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
