package field_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// TestVersions: a cipher with older versions opens what they sealed, seals
// with the newest alone, and opens nothing of a version that it lacks.
func TestVersions(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	first, second, third := versionOf(t, 1), versionOf(t, 2), versionOf(t, 3)
	both := second.With(first)
	for name, c := range map[string]*field.Cipher{"old": first, "new": second} {
		sealed := must(c.Seal(nil, []byte("Anna"), place))
		if got, err := both.Open(nil, sealed, place); err != nil || string(got) != "Anna" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if v, _ := field.KeyVersion(must(both.Seal(nil, nil, place))); v != 2 {
		t.Errorf("sealed with version %d", v)
	}
	if _, err := both.Open(nil, must(third.Seal(nil, nil, place)), place); !errors.Is(err, field.ErrOpen) {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := second.Open(nil, must(first.Seal(nil, nil, place)), place); !errors.Is(err, field.ErrOpen) {
		t.Errorf("With changed its receiver: %v", err)
	}
	if all := third.With(both); string(must(all.Open(nil, must(first.Seal(nil, []byte("A"), place)), place))) != "A" {
		t.Error("a chain of versions does not open the first")
	}
	sealed := must(first.Seal(nil, []byte("Anna"), place))
	sealed[4] = 2 // claims to be of the newer version
	if _, err := both.Open(nil, sealed, place); !errors.Is(err, field.ErrOpen) {
		t.Errorf("another version's name opens: %v", err)
	}
}

// TestSealNewestVersion: a field that an older version sealed is sealed anew when it is
// written again, one of the newest version is left alone.
func TestSealNewestVersion(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	first := versionOf(t, 1)
	both := versionOf(t, 2).With(first)
	e := loaded[string](must(first.Seal(nil, []byte("Anna"), place)))
	e.Attach(both, place)
	if err := e.Seal(both, place); err != nil {
		t.Fatal(err)
	}
	sealed := bytes.Clone(e.Ciphertext())
	if v, _ := field.KeyVersion(sealed); v != 2 {
		t.Fatalf("still under version %d", v)
	}
	if err := e.Seal(both, place); err != nil || !bytes.Equal(sealed, e.Ciphertext()) {
		t.Errorf("sealed again though current: %v", err)
	}
	if got, err := e.Reveal(); err != nil || got != "Anna" {
		t.Errorf("%q, %v", got, err)
	}
}

// versionOf is a cipher of a key of its own.
func versionOf(t *testing.T, version uint32) *field.Cipher {
	t.Helper()
	key := bytes.Repeat([]byte{byte(version)}, field.KeySize)
	return must(field.NewCipher(version, key))
}
