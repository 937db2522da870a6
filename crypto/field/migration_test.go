package field_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/bubbletest"
)

func migration(tb testing.TB) *field.Migration {
	tb.Helper()
	m, err := field.NewMigration(field.DateOf(time.Now().AddDate(0, 1, 0)))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMigrationNeedsADate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, day := range map[string]field.Date{
		"none":        {},
		"no such day": {Year: now.Year(), Month: 2, Day: 30},
		"too far":     field.DateOf(now.AddDate(1, 0, 3)),
		"for ever":    {Year: 9999, Month: 12, Day: 31},
	} {
		if m, err := field.NewMigration(day); !errors.Is(err, field.ErrMigration) || m != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, day := range map[string]field.Date{
		"a year": field.DateOf(now.AddDate(0, 11, 28)), "today": field.DateOf(now), "passed": {Year: 2020, Month: 1, Day: 1},
	} {
		if _, err := field.NewMigration(day); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlaintextIsCounted reads a column that was not encrypted yet.
func TestPlaintextIsCounted(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	m := migration(t)
	c := newCipher(t, 1).Accepting(m)
	e := loaded[string]([]byte("a@example.org"))
	e.Attach(c, place)
	if m.Reads() != 0 {
		t.Error("counted before it was read")
	}
	for want := range int64(2) {
		if v, err := e.Reveal(); v != "a@example.org" || err != nil || m.Reads() != want+1 {
			t.Errorf("%q, %v, %d reads", v, err, m.Reads())
		}
	}
	if _, err := e.Value(); !errors.Is(err, field.ErrUnsealed) || e.Ciphertext() != nil || !e.Fresh() || e.IsNull() {
		t.Errorf("plaintext would be written back: %v", err)
	}
	if text, ok, err := e.IndexText(); text != "a@example.org" || !ok || err != nil || m.Reads() != 3 {
		t.Errorf("index text %q, %t, %v, %d reads", text, ok, err, m.Reads())
	}
	check(t, "a field in clear", fmt.Sprintf("%v %+v %s %x", e, struct{ hidden any }{e}, m, e))
	if err := e.Seal(c, place); err != nil || m.Reads() != 4 {
		t.Fatalf("seal: %v, %d reads", err, m.Reads())
	}
	back := loaded[string](e.Ciphertext())
	back.Attach(newCipher(t, 1), place)
	if v, err := back.Reveal(); v != "a@example.org" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := e.Reveal(); err != nil || m.Reads() != 4 {
		t.Errorf("what is sealed is counted on: %v", err)
	}
}

// TestPlaintextAndCiphertext are never taken for each other.
func TestPlaintextAndCiphertext(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	m := migration(t)
	c := newCipher(t, 1).Accepting(m)
	sealed := must(c.Seal(nil, []byte("a@example.org"), place))
	other := must(newCipher(t, 2).Seal(nil, []byte("a@example.org"), place))
	stored := map[string][]byte{
		"of another key":     other,
		"truncated":          sealed[:len(sealed)-1],
		"cut to a header":    sealed[:5],
		"changed first byte": append([]byte{0x7f}, sealed[1:]...),
		"looks like one":     append([]byte{1}, strings.Repeat("a", 100)...),
		"begins like one":    []byte("\x01a"),
		"no text":            []byte("a\xff"),
	}
	for name, b := range stored {
		e := loaded[string](b)
		e.Attach(c, place)
		if v, err := e.Reveal(); v != "" || !errors.Is(err, field.ErrOpen) || errors.Is(err, field.ErrMigrationOver) {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if err := e.Seal(c, place); !errors.Is(err, field.ErrOpen) && !bytes.Equal(e.Ciphertext(), b) {
			t.Errorf("%s: sealed: %v", name, err)
		}
	}
	raw := loaded[[]byte](sealed[:40])
	raw.Attach(c, place)
	if v, err := raw.Reveal(); v != nil || !errors.Is(err, field.ErrOpen) {
		t.Errorf("bytes: %x, %v", v, err)
	}
	e := loaded[string](sealed)
	e.Attach(c, place)
	if v, err := e.Reveal(); v != "a@example.org" || err != nil {
		t.Errorf("what is sealed: %q, %v", v, err)
	}
	if m.Reads() != 0 {
		t.Errorf("%d reads counted", m.Reads())
	}
}

// TestPlaintextNeedsAMigration: without one, and with another's, all is as ever.
func TestPlaintextNeedsAMigration(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	plainly := newCipher(t, 1)
	m := migration(t)
	for name, attach := range map[string]func(e *field.Encrypted[string]){
		"none":        func(e *field.Encrypted[string]) { e.Attach(plainly, place) },
		"nil":         func(e *field.Encrypted[string]) { e.Attach(plainly.Accepting(nil), place) },
		"taken away":  func(e *field.Encrypted[string]) { e.Attach(plainly.Accepting(m), place); e.Attach(plainly, place) },
		"of a parent": func(e *field.Encrypted[string]) { plainly.Accepting(m); e.Attach(plainly, place) },
	} {
		e := loaded[string]([]byte("a@example.org"))
		attach(&e)
		if v, err := e.Reveal(); v != "" || !errors.Is(err, field.ErrOpen) {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
	if got, err := plainly.Accepting(m).Open(nil, []byte("a@example.org"), place); got != nil || !errors.Is(err, field.ErrOpen) {
		t.Errorf("a cipher opens bytes in clear: %q, %v", got, err)
	}
	both := versionOf(t, 2).Accepting(m).With(versionOf(t, 1))
	e := loaded[string]([]byte("x"))
	e.Attach(both, place)
	if v, err := e.Reveal(); v != "x" || err != nil {
		t.Errorf("With forgets the migration: %q, %v", v, err)
	}
}

// TestMigrationEnds at midnight of its day, UTC.
func TestMigrationEnds(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	bubbletest.Run(t, func(t *testing.T) {
		m, err := field.NewMigration(field.DateOf(time.Now().UTC().AddDate(0, 0, 1)))
		if err != nil {
			t.Fatal(err)
		}
		c := newCipher(t, 1).Accepting(m)
		e := loaded[string]([]byte("x"))
		e.Attach(c, place)
		time.Sleep(time.Until(m.Until()) - time.Nanosecond)
		if _, err := e.Reveal(); err != nil {
			t.Errorf("before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		late := loaded[string]([]byte("x"))
		late.Attach(c, place)
		for _, f := range []*field.Encrypted[string]{&e, &late} {
			if v, err := f.Reveal(); v != "" || !errors.Is(err, field.ErrMigrationOver) || !errors.Is(err, field.ErrOpen) {
				t.Errorf("after: %q, %v", v, err)
			}
			if err := f.Seal(c, place); !errors.Is(err, field.ErrMigrationOver) {
				t.Errorf("sealed after the end: %v", err)
			}
		}
		if m.Reads() != 1 {
			t.Errorf("%d reads", m.Reads())
		}
	})
}

// TestPlaintextOfTheErased is neither shown nor written back.
func TestPlaintextOfTheErased(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1).Accepting(migration(t))
	for name, attach := range map[string]func(e *field.Encrypted[string]){
		"at once":    func(e *field.Encrypted[string]) { e.Attach(nil, place) },
		"afterwards": func(e *field.Encrypted[string]) { e.Attach(c, place); e.Attach(nil, place) },
	} {
		e := loaded[string]([]byte(canary))
		attach(&e)
		if v, err := e.Reveal(); v != "" || !errors.Is(err, field.ErrErased) || e.Fresh() || e.IsNull() {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if v, err := e.Value(); err != nil || len(v.([]byte)) != 0 || e.Ciphertext() == nil || len(e.Ciphertext()) != 0 {
			t.Errorf("%s: would be written back: %q, %v", name, v, err)
		}
	}
}

// TestPlaintextTypes are those that a database makes of its own columns.
func TestPlaintextTypes(t *testing.T) {
	t.Parallel()
	legacy(t, "text", []byte("Jürgen"), "Jürgen")
	legacy(t, "empty text", []byte{}, "")
	legacy(t, "long text", bytes.Repeat([]byte("a"), 100), strings.Repeat("a", 100))
	legacy(t, "bytes", []byte{2, 0xff}, []byte{2, 0xff})
	legacy(t, "integer", binary.BigEndian.AppendUint64(nil, 1<<56), int64(1)<<56)
	legacy(t, "true", []byte{1}, true)
	legacy(t, "date", []byte("1985-03-01"), field.Date{Year: 1985, Month: 3, Day: 1})
	legacy(t, "JSON", []byte(`{"Street": "S"}`), base{"S"})
	m := migration(t)
	for name, s := range map[string]field.Sealable{
		"short integer": new(field.Encrypted[int64]), "no bool": new(field.Encrypted[bool]),
		"no date": new(field.Encrypted[field.Date]), "no JSON": new(field.Encrypted[base]),
	} {
		s.Load([]byte("ab"))
		s.Attach(newCipher(t, 1).Accepting(m), place)
		if err := s.Seal(newCipher(t, 2), place); !errors.Is(err, field.ErrOpen) || s.Fresh() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func legacy[T any](t *testing.T, name string, stored []byte, want T) {
	t.Helper()
	e := loaded[T](stored)
	e.Attach(newCipher(t, 1).Accepting(migration(t)), place)
	if got, err := e.Reveal(); err != nil || !e.Equal(field.New(want)) {
		t.Errorf("%s: %v, %v; want %v", name, got, err, want)
	}
}
