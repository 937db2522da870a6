package field_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/field"
)

var place = field.Scope{Tenant: "acme", Table: "customers", Column: "email", Row: "42"}

func newCipher(tb testing.TB, b byte) *field.Cipher {
	tb.Helper()
	c, err := field.NewCipher(1, bytes.Repeat([]byte{b}, field.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestMoved takes a ciphertext to every other place it could be put.
func TestMoved(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	sealed, err := c.Seal(nil, []byte("a@example.org"), place)
	if err != nil {
		t.Fatal(err)
	}
	moved := map[string]field.Scope{
		"tenant":       {"other", "customers", "email", "42"},
		"table":        {"acme", "tickets", "email", "42"},
		"column":       {"acme", "customers", "name", "42"},
		"row":          {"acme", "customers", "email", "43"},
		"parts merged": {"acmec", "ustomers", "email", "42"},
		"no row":       {"acme", "customers", "email", ""},
		"nothing":      {},
	}
	for name, s := range moved {
		if got, err := c.Open(nil, sealed, s); !errors.Is(err, field.ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := newCipher(t, 2).Open(nil, sealed, place); !errors.Is(err, field.ErrOpen) {
		t.Errorf("other key: %v", err)
	}
	if got, err := c.Open(nil, sealed, place); err != nil || string(got) != "a@example.org" {
		t.Errorf("its own place: %q, %v", got, err)
	}
}

func TestScopeIsComplete(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	for name, s := range map[string]field.Scope{
		"no tenant": {"", "t", "c", "r"}, "no table": {"a", "", "c", "r"}, "no column": {"a", "t", "", "r"},
		"no row": {"a", "t", "c", ""}, "huge row": {"a", "t", "c", strings.Repeat("x", 1<<16+1)},
	} {
		if _, err := c.Seal(nil, nil, s); !errors.Is(err, field.ErrScope) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppendsToDst(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	for _, room := range []int{0, 3, 200} {
		dst := append(make([]byte, 0, 3+room), "abc"...)
		sealed, err := c.Seal(dst, []byte("plain"), place)
		if err != nil || !bytes.HasPrefix(sealed, []byte("abc")) {
			t.Fatalf("sealed %x, %v", sealed, err)
		}
		got, err := c.Open(dst, slices.Clone(sealed[3:]), place)
		if err != nil || string(got) != "abcplain" {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

type spent int

var errSpent = errors.New("spent")

func (s *spent) Take() error {
	if *s == 0 {
		return errSpent
	}
	*s--
	return nil
}

func TestBudget(t *testing.T) {
	t.Parallel()
	two := spent(2)
	c, err := field.NewCountedCipher(1, make([]byte, field.KeySize), &two)
	if err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	for range 2 {
		if sealed, err = c.Seal(nil, nil, place); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Seal(nil, nil, place); !errors.Is(err, errSpent) {
		t.Errorf("third: %v", err)
	}
	if _, err := c.Open(nil, sealed, place); err != nil {
		t.Errorf("opening costs nothing: %v", err)
	}
}

func TestCipherPrintsNoKey(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 'K')
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, c); strings.Contains(got, "KKKK") || strings.Contains(got, "inner") || len(got) > 100 {
			t.Errorf("%s: %s", format, got)
		}
	}
	if _, err := field.NewCipher(1, []byte("canary")); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("short key: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	c := newCipher(f, 1)
	for _, v := range readVectors(f) {
		f.Add(unhex(f, v.Ciphertext), v.Row)
	}
	f.Add([]byte{1}, "42")
	f.Fuzz(func(t *testing.T, sealed []byte, row string) {
		s := place
		s.Row = row
		if got, err := c.Open(nil, sealed, s); !errors.Is(err, field.ErrOpen) || got != nil {
			t.Errorf("a value that was never sealed opens to %q: %v", got, err)
		}
		var e field.Encrypted[string]
		if err := e.Scan(sealed); err != nil {
			t.Fatal(err)
		}
		e.Attach(c, s)
		if _, err := e.Reveal(); !e.IsNull() && !errors.Is(err, field.ErrOpen) {
			t.Errorf("reveal: %v", err)
		}
	})
}
