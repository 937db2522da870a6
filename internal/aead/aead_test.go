package aead_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/internal/aead"
)

var scope = []string{"tenant", "table", "column", "row"}

func newAEAD(tb testing.TB, label string, version uint32, key []byte) *aead.AEAD {
	tb.Helper()
	a, err := aead.New(label, version, key)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func seal(tb testing.TB, a *aead.AEAD, plain []byte, scope ...string) []byte {
	tb.Helper()
	out, err := a.Seal(nil, plain, scope...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, aead.KeySize) }

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 7, key(1))
	for _, n := range []int{0, 1, 31, 32, 1000, 70000} {
		plain := make([]byte, n)
		rand.Read(plain)
		sealed := seal(t, a, plain, scope...)
		if len(sealed) != n+aead.Overhead {
			t.Errorf("%d bytes became %d", n, len(sealed))
		}
		if v, ok := aead.KeyVersion(sealed); v != 7 || !ok {
			t.Errorf("key version %d, %t", v, ok)
		}
		got, err := a.Open([]byte("before"), sealed, scope...)
		if err != nil || !bytes.Equal(got, append([]byte("before"), plain...)) {
			t.Errorf("%d bytes: opened to %d, %v", n, len(got), err)
		}
	}
}

// TestRefusals changes one thing at a time: every one is the same error.
func TestRefusals(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 1, key(1))
	sealed := seal(t, a, []byte("Jürgen Müller"), scope...)
	refused := func(name string, a *aead.AEAD, c []byte, scope ...string) {
		t.Helper()
		got, err := a.Open(nil, c, scope...)
		if !errors.Is(err, aead.ErrOpen) || err.Error() != aead.ErrOpen.Error() || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for i := range 8 * len(sealed) {
		c := slices.Clone(sealed)
		c[i/8] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d", i), a, c, scope...)
	}
	for i := range sealed {
		refused(fmt.Sprintf("truncated to %d", i), a, sealed[:i], scope...)
	}
	refused("extended", a, append(slices.Clone(sealed), 0), scope...)
	refused("doubled", a, append(slices.Clone(sealed), sealed...), scope...)
	for i := range scope {
		other := slices.Clone(scope)
		other[i] += "x"
		refused("other "+scope[i], a, sealed, other...)
	}
	refused("parts shifted", a, sealed, "tenantt", "able", "column", "row")
	refused("a part less", a, sealed, scope[:3]...)
	refused("a part more", a, sealed, append(slices.Clone(scope), "")...)
	refused("huge part", a, sealed, "tenant", "table", "column", strings.Repeat("x", 1<<17))
	refused("other key", newAEAD(t, aead.LabelField, 1, key(2)), sealed, scope...)
	refused("other version", newAEAD(t, aead.LabelField, 2, key(1)), sealed, scope...)
	refused("other label", newAEAD(t, aead.LabelWrap, 1, key(1)), sealed, scope...)
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := aead.New(aead.LabelField, 1, make([]byte, n)); err == nil {
			t.Errorf("key of %d bytes accepted", n)
		}
	}
	a := newAEAD(t, aead.LabelField, 1, key(1))
	if _, err := a.Seal(nil, nil, strings.Repeat("x", 1<<17)); !errors.Is(err, aead.ErrScope) {
		t.Errorf("huge scope: %v", err)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 1, key(1))
	for name, c := range map[string]struct {
		b    *aead.AEAD
		want bool
	}{
		"same":    {newAEAD(t, aead.LabelField, 1, key(1)), true},
		"version": {newAEAD(t, aead.LabelField, 2, key(1)), false},
		"key":     {newAEAD(t, aead.LabelField, 1, key(2)), false},
		"label":   {newAEAD(t, aead.LabelWrap, 1, key(1)), false},
	} {
		if a.Equal(c.b) != c.want {
			t.Errorf("%s: want %t", name, c.want)
		}
	}
}

// TestCommitment recomputes the last 32 bytes with crypto/hkdf and crypto/hmac:
// the package composes both itself, to share hash states between keys.
func TestCommitment(t *testing.T) {
	t.Parallel()
	for _, label := range []string{aead.LabelField, aead.LabelWrap} {
		k := make([]byte, aead.KeySize)
		rand.Read(k)
		sealed := seal(t, newAEAD(t, label, 9, k), []byte("plain"), scope...)
		keys, err := hkdf.Expand(sha256.New, k, label, 64)
		if err != nil {
			t.Fatal(err)
		}
		body, com := sealed[:len(sealed)-32], sealed[len(sealed)-32:]
		h := hmac.New(sha256.New, keys[32:])
		h.Write([]byte(label + "/commit"))
		h.Write(body[:17]) // header, nonce
		h.Write(body[len(body)-16:])
		for _, part := range scope {
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
			h.Write([]byte(part))
		}
		if !hmac.Equal(com, h.Sum(nil)) {
			t.Errorf("%s: commitment differs from crypto/hmac over crypto/hkdf", label)
		}
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	m, err := aead.NewMAC(key(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 55, 64, 65, 9000} {
		text := strings.Repeat("ä", n)
		h := hmac.New(sha256.New, key(3))
		h.Write([]byte(text))
		if got, err := m.Append(nil, text, 32); err != nil || !bytes.Equal(got, h.Sum(nil)) {
			t.Errorf("%d runes: got %x, %v", n, got, err)
		}
	}
	if _, err := aead.NewMAC(key(3)[:16]); err == nil {
		t.Error("short key accepted")
	}
}

// TestKeysAreCleared: of expanded keys nothing stays in what is used again.
func TestKeysAreCleared(t *testing.T) {
	t.Parallel()
	k := key(1)
	keys, left, err := aead.LeftOfExpand(k, aead.LabelField)
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string][]byte{"key": k, "first half": keys[:aead.KeySize], "second half": keys[aead.KeySize:]} {
		if bytes.Contains(left, part) {
			t.Errorf("the %s is left", name)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a, err := aead.New(aead.LabelField, uint32(i), key(byte(i)))
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 200 {
				plain := bytes.Repeat([]byte{byte(i)}, j)
				sealed, err := a.Seal(nil, plain, scope...)
				if err != nil {
					t.Error(err)
				}
				if got, err := a.Open(nil, sealed, scope...); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("key %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNothingPrinted(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 1, key(1))
	m, err := aead.NewMAC(key(1))
	if err != nil {
		t.Fatal(err)
	}
	_, s, err := a.NewStream(nil, scope...)
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct { // fmt asks no method of these
		a *aead.AEAD
		m *aead.MAC
		s *aead.Stream
	}{a, m, s}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%t"} {
		if got := fmt.Sprintf(format, hidden); strings.Contains(got, "115 104 97") || strings.Contains(got, "736861") || strings.Contains(got, "0x73") {
			t.Errorf("%s: %s", format, got) // "sha", as hash states begin
		}
		if got := fmt.Sprintf(format+format, a, s); got != "[key][key]" {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// sealedOnce is "seed" under key(1); a constant, for each worker of a fuzz
// campaign would seal another one.
const sealedOnce = "01000000016b4e645beb812a18ece5295780cf30dff2749f431e047c6c170a93756309" +
	"613828e9c3bcb6868fe8b0f0a65be6c4ce04d13d05f4e600f2a7696cd8812d7f6378"

func FuzzOpen(f *testing.F) {
	a := newAEAD(f, aead.LabelField, 1, key(1))
	sealed, err := hex.DecodeString(sealedOnce)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, "row")
	f.Add(sealed[:64], "row")
	f.Add([]byte{}, "")
	f.Add(sealed, "column")
	f.Fuzz(func(t *testing.T, c []byte, row string) {
		got, err := a.Open(nil, c, "tenant", "table", "column", row)
		if bytes.Equal(c, sealed) && row == "row" {
			if err != nil || string(got) != "seed" {
				t.Errorf("the sealed value does not open: %v", err)
			}
		} else if !errors.Is(err, aead.ErrOpen) || got != nil {
			t.Errorf("a value that was never sealed opens to %q: %v", got, err)
		}
	})
}
