package field_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
	"unicode"

	"github.com/art32/art32/crypto/field"
)

var indexKey = bytes.Repeat([]byte{7}, field.KeySize)

func TestWidth(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{-1, 0, 1, 15} {
		if _, err := field.Width(rows); !errors.Is(err, field.ErrFewRows) {
			t.Errorf("%d rows: %v", rows, err)
		}
	}
	for _, rows := range []int{16, 17, 31, 32, 100, 1000, 1 << 20, 1e9, math.MaxInt} {
		bits, err := field.Width(rows)
		if err != nil || bits < 1 {
			t.Fatalf("%d rows: %d bits, %v", rows, bits, err)
		}
		coincidences := float64(rows) / math.Exp2(float64(bits))
		if coincidences < 2 || coincidences > math.Sqrt(float64(rows)) {
			t.Errorf("%d rows, %d bits: %.1f coincidences", rows, bits, coincidences)
		}
	}
}

func TestIndexTruncates(t *testing.T) {
	t.Parallel()
	x, err := field.NewIndex(indexKey, "customers.email", field.Email, 1000) // 8 bits
	if err != nil {
		t.Fatal(err)
	}
	y, err := field.NewIndex(indexKey, "customers.email", field.Email, 5000) // 11 bits
	if err != nil {
		t.Fatal(err)
	}
	if x.Width() != 8 || y.Width() != 11 {
		t.Fatalf("%d and %d bits", x.Width(), y.Width())
	}
	seen := make(map[string]bool)
	for i := range 5000 {
		text := fmt.Sprintf("user%d@example.org", i)
		a, b := x.Sum(text), y.Sum(text)
		if len(a) != 1 || len(b) != 2 || b[1]&0x1f != 0 || a[0] != b[0] {
			t.Fatalf("%x and %x", a, b)
		}
		seen[string(b)] = true
	}
	if len(seen) < 1500 || len(seen) > 2048 {
		t.Errorf("%d of 2048 values used by 5000 texts", len(seen))
	}
}

func TestUniqueIndex(t *testing.T) {
	t.Parallel()
	x, err := field.NewUniqueIndex(indexKey, "customers.email", field.Email)
	if err != nil {
		t.Fatal(err)
	}
	if a := x.Sum("A@Example.org "); len(a) != 32 || !bytes.Equal(a, x.Sum("a@example.ORG")) {
		t.Errorf("%x", a)
	}
	for name, other := range map[string]func() (*field.Index, error){
		"label":     func() (*field.Index, error) { return field.NewUniqueIndex(indexKey, "tickets.email", field.Email) },
		"transform": func() (*field.Index, error) { return field.NewUniqueIndex(indexKey, "customers.email", field.Casefold) },
		"key": func() (*field.Index, error) {
			return field.NewUniqueIndex(make([]byte, 32), "customers.email", field.Email)
		},
	} {
		o, err := other()
		if err != nil || bytes.Equal(o.Sum("a@b"), x.Sum("a@b")) {
			t.Errorf("another %s gives the same value, %v", name, err)
		}
	}
}

func TestIndexRefuses(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"short key":         second(field.NewIndex(indexKey[:31], "l", field.Exact, 100)),
		"no label":          second(field.NewIndex(indexKey, "", field.Exact, 100)),
		"unknown transform": second(field.NewUniqueIndex(indexKey, "l", "soundex")),
		"few rows":          second(field.NewIndex(indexKey, "l", field.Exact, 15)),
	} {
		if err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}

func second(_ *field.Index, err error) error { return err }

func TestTransforms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		t       field.Transform
		a, b    string
		meeting bool
	}{
		{field.Exact, "a", "A", false},
		{field.Exact, "a", "a ", false},
		{field.Casefold, " Müller\t", "MÜLLER", true},
		{field.Casefold, "Mu\u0308ller", "müller", true},
		{field.Casefold, "Straße", "STRAẞE", true},
		{field.Casefold, "Straße", "Strasse", false},
		{field.Casefold, "ΣΊΣΥΦΟΣ", "σίσυφος", true},
		{field.Casefold, "\u212Aelvin", "kelvin", true},
		{field.Casefold, "ﬁnal", "final", true},
		{field.Casefold, "a b", "ab", false},
		{field.Email, "Jürgen@Example.ORG ", "jürgen@example.org", true},
		{field.Email, "a.b@example.org", "ab@example.org", false},
		{field.Digits, "+49 (30) 123-45", "493012345", true},
		{field.Digits, "１２３", "123", true},
		{field.Digits, "1234", "123", false},
		{"prefix:4", "Müller", "MÜLLEIMER", true},
		{"prefix:4", "Müller", "Mu\u0308ll", true},
		{"prefix:4", "Müller", "Mül", false},
		{"prefix:4", " Jürgen", "jürgen", true},
		{"prefix:2", "a b", "a", true},
		{"prefix:2", "Ωμέγα", "ωμ", true},
		{"prefix:64", "Müller", "Müllers", false},
	} {
		if got := c.t.Apply(c.a) == c.t.Apply(c.b); got != c.meeting {
			t.Errorf("%s: %q and %q: meeting %t", c.t, c.a, c.b, got)
		}
		if once := c.t.Apply(c.a); c.t.Apply(once) != once {
			t.Errorf("%s: %q: twice is not once", c.t, c.a)
		}
	}
	for _, name := range []string{"exact", "casefold", "email", "digits", "prefix:1", "prefix:64"} {
		if got, err := field.ParseTransform(name); string(got) != name || err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "Exact", "prefix", "prefix:", "prefix:0", "prefix:65", "prefix:-1", "prefix:+4", "prefix:04", "prefix:4 ", "prefix:4:4", "prefix:a"} {
		if _, err := field.ParseTransform(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	if p, err := field.Prefix(4); p != "prefix:4" || err != nil {
		t.Errorf("%s, %v", p, err)
	}
}

// TestNoDigits: texts of which nothing is left are not the same text.
func TestNoDigits(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	key := bytes.Repeat([]byte{1}, field.KeySize)
	for name, x := range map[string]*field.Index{
		"unique":    must(field.NewUniqueIndex(key, "customers.phone", field.Digits)),
		"truncated": must(field.NewIndex(key, "customers.phone", field.Digits, 1000)),
	} {
		for _, text := range []string{"n/a", "unknown", "\u0660\u0661\u0662", " ", ""} {
			if sum := x.Sum(text); sum != nil {
				t.Errorf("%s: %q has the value %x", name, text, sum)
			}
		}
		if x.Sum("0") == nil || x.With(x).Sums("n/a")[1] != nil {
			t.Errorf("%s: a digit has no value, or none has one", name)
		}
	}
	for _, tr := range []field.Transform{field.Exact, field.Casefold, field.Email, "prefix:1"} {
		if must(field.NewUniqueIndex(key, "customers.phone", tr)).Sum("") == nil {
			t.Errorf("%s: empty, which is a text, has no value", tr)
		}
	}
}

// TestIndexVersions: while a key is rotated, a search asks for what either
// version wrote, and a write takes the current one.
func TestIndexVersions(t *testing.T) {
	t.Parallel()
	version := func(b byte) *field.Index {
		return must(field.NewIndex(bytes.Repeat([]byte{b}, field.KeySize), "customers.email", field.Email, 1000))
	}
	one, two, three := version(1), version(2), version(3)
	x := two.With(one, three.With(one))
	sums := x.Sums("A@example.org")
	if len(sums) != 4 || !bytes.Equal(sums[0], x.Sum("a@example.org")) || !bytes.Equal(sums[0], two.Sum("a@example.org")) {
		t.Errorf("%x", sums)
	}
	if !bytes.Equal(sums[1], one.Sum("a@example.org")) || !bytes.Equal(sums[2], three.Sum("a@example.org")) {
		t.Errorf("%x", sums)
	}
	if got := two.Sums("x"); len(got) != 1 {
		t.Errorf("With changed its receiver: %d values", len(got))
	}
}

func TestIndexText(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	e := field.New("a@example.org")
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	back := loaded[string](e.Ciphertext())
	back.Attach(c, place)
	for name, s := range map[string]field.Sealable{"fresh": &e, "loaded": &back} {
		if text, ok, err := s.IndexText(); text != "a@example.org" || !ok || err != nil {
			t.Errorf("%s: %q, %t, %v", name, text, ok, err)
		}
	}
	n := field.New(1)
	if _, _, err := n.IndexText(); !errors.Is(err, field.ErrNotText) {
		t.Errorf("number: %v", err)
	}
}

func FuzzTransform(f *testing.F) {
	for _, s := range []string{"", "Jürgen@Example.org", "Straße", "\xff\x00", "ﬁ\u0308", "+49 30", "a b", "abc\u0308d", "ab\u3000c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tr := range []field.Transform{field.Exact, field.Casefold, field.Email, field.Digits, "prefix:1", "prefix:3", "prefix:64"} {
			if once := tr.Apply(text); tr.Apply(once) != once {
				t.Errorf("%s: %q gives %q, then %q", tr, text, once, tr.Apply(once))
			}
		}
	})
}

// TestFoldIsStable holds for every character that the one-time folding of an
// indexed text is the folding of its folding, and for every pair of cases that
// both meet.
func TestFoldIsStable(t *testing.T) {
	t.Parallel()
	for r := range rune(0x30000) { // beyond lies nothing that folds or decomposes
		text := string(r)
		once := field.Casefold.Apply(text)
		if twice := field.Casefold.Apply(once); twice != once {
			t.Errorf("%U: %q, then %q", r, once, twice)
		}
		if other := string(unicode.SimpleFold(r)); field.Casefold.Apply(other) != once {
			t.Errorf("%U: %q and %q do not meet", r, text, other)
		}
	}
}
