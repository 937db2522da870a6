package tenancy_test

import (
	"strings"
	"testing"

	"github.com/art32/art32/tenancy"
)

// FuzzParseID: what is accepted is the id's own form, so that it may become a
// file name.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{
		"", "6f1c1d5e-4c0e-4a54-9a0e-0c9b1f6f2c11", "00000000-0000-0000-0000-000000000000",
		"{6f1c1d5e-4c0e-4a54-9a0e-0c9b1f6f2c11}", "../../../../../../../../../etc/passwd", "6F1C1D5E-4C0E-4A54-9A0E-0C9B1F6F2C11",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := tenancy.ParseID(s)
		if err != nil {
			if !id.IsZero() {
				t.Errorf("%q gives an error and an id", s)
			}
			return
		}
		if id.IsZero() || id.String() != strings.ToLower(s) {
			t.Errorf("%q gives %s", s, id)
		}
	})
}
