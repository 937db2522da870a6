package field_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/art32/art32/crypto/field"
)

func TestNull(t *testing.T) {
	t.Parallel()
	var e field.Encrypted[string]
	c := newCipher(t, 1)
	if err := errors.Join(e.Seal(c, place), e.Seal(nil, place), e.Scan(nil)); err != nil {
		t.Error(err)
	}
	e.Attach(nil, place)
	if v, err := e.Reveal(); v != "" || err != nil {
		t.Errorf("reveal: %q, %v", v, err)
	}
	if v, err := e.Value(); v != nil || err != nil {
		t.Errorf("value: %v, %v", v, err)
	}
	if v, err := e.RevealAny(); v != nil || err != nil {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if !e.IsNull() || e.Fresh() || e.Ciphertext() != nil {
		t.Error("not NULL")
	}
	if empty := field.New(""); empty.IsNull() || empty.Equal(e) || e.Equal(empty) || !e.Equal(field.Encrypted[string]{}) {
		t.Error("NULL and empty are not told apart")
	}
	if _, ok, err := e.IndexText(); ok || err != nil {
		t.Errorf("index text: %t, %v", ok, err)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	c, e := newCipher(t, 1), field.New("a@example.org")
	if _, err := e.Value(); !errors.Is(err, field.ErrUnsealed) || !e.Fresh() {
		t.Errorf("fresh: %v", err)
	}
	if err := e.Seal(nil, place); !errors.Is(err, field.ErrErased) {
		t.Errorf("sealed without a key: %v", err)
	}
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	if v, err := e.Value(); err != nil || len(v.([]byte)) == 0 || !e.Fresh() {
		t.Errorf("sealed: %v", err)
	}
	if v, err := e.Reveal(); v != "a@example.org" || err != nil {
		t.Errorf("sealed, revealed: %q, %v", v, err)
	}
	back := loaded[string](e.Ciphertext())
	if _, err := back.Reveal(); !errors.Is(err, field.ErrUnattached) || back.Fresh() {
		t.Errorf("raw: %v", err)
	}
	if err := back.Seal(c, place); !errors.Is(err, field.ErrUnattached) {
		t.Errorf("raw, sealed: %v", err)
	}
	if v, err := back.Value(); err != nil || len(v.([]byte)) == 0 {
		t.Errorf("raw, written back: %v", err)
	}
	if back.Equal(back) {
		t.Error("what nobody can read equals something")
	}
}

func TestErased(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c, e := newCipher(t, 1), field.New("a@example.org")
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	gone := loaded[string](e.Ciphertext())
	gone.Attach(nil, place)
	if v, err := gone.Reveal(); v != "" || !errors.Is(err, field.ErrErased) {
		t.Errorf("reveal: %q, %v", v, err)
	}
	if v, err := gone.RevealAny(); v != nil || !errors.Is(err, field.ErrErased) {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if v, err := e.RevealAny(); v != "a@example.org" || err != nil {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if gone.IsNull() || gone.Equal(gone) || gone.Equal(e) || e.Equal(gone) {
		t.Error("an erased field equals something")
	}
	if err := gone.Seal(c, place); !errors.Is(err, field.ErrErased) {
		t.Errorf("seal: %v", err)
	}
	if _, _, err := gone.IndexText(); !errors.Is(err, field.ErrErased) {
		t.Errorf("index text: %v", err)
	}
	if v, err := gone.Value(); err != nil || v == nil {
		t.Errorf("the row stands: %v, %v", v, err)
	}
}

func TestSealAnew(t *testing.T) {
	t.Parallel()
	one, two := newCipher(t, 1), newCipher(t, 2)
	e := field.New("v")
	if err := e.Seal(one, place); err != nil {
		t.Fatal(err)
	}
	first := e.Ciphertext()
	if err := e.Seal(newCipher(t, 1), place); err != nil || &e.Ciphertext()[0] != &first[0] {
		t.Errorf("the same key and place: sealed anew, %v", err)
	}
	back := loaded[string](first)
	back.Attach(one, place)
	elsewhere := place
	elsewhere.Row = "43"
	for name, to := range map[string]struct {
		c *field.Cipher
		s field.Scope
	}{"row": {one, elsewhere}, "key": {two, place}} {
		moved := back
		if err := moved.Seal(to.c, to.s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := moved.Reveal(); v != "v" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if _, err := to.c.Open(nil, moved.Ciphertext(), to.s); err != nil {
			t.Errorf("%s: not under the new key and place: %v", name, err)
		}
	}
}

// TestCopiesAreIndependent: neither who made a field nor who revealed it can
// change what it holds.
func TestCopiesAreIndependent(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	independent(t, []byte("plain"))
	independent(t, blob("plain"))
	independent(t, json.RawMessage("plain"))
	independent(t, word("plain"))
	if v, err := field.New([]byte(nil)).Reveal(); v != nil || err != nil {
		t.Errorf("nil: %q, %v", v, err)
	}
	c := newCipher(t, 1)
	old := loaded[[]byte]([]byte("plain"))
	old.Attach(c.Accepting(migration(t)), place)
	must(old.Reveal())[0] = 'X'
	if got := must(old.Reveal()); string(got) != "plain" {
		t.Errorf("plaintext of a migration: %q", got)
	}
}

// word is bytes that are stored as their text.
type word []byte

func (w word) MarshalText() ([]byte, error)  { return w, nil }
func (w *word) UnmarshalText(b []byte) error { *w = bytes.Clone(b); return nil }

func independent[T ~[]byte](t *testing.T, of T) {
	t.Helper()
	e := field.New(of)
	of[0] = 'X'
	for range 2 { // fresh, then sealed
		twin := e
		must(e.Reveal())[1] = 'X'
		must(twin.RevealAny()).(T)[2] = 'X'
		if got := must(twin.Reveal()); string(got) != "plain" {
			t.Errorf("%T: %q", of, got)
		}
		if err := e.Seal(newCipher(t, 1), place); err != nil {
			t.Errorf("%T: %v", of, err)
		}
	}
}

// TestSealedShowsWhatIsStored: a map that changes afterwards is not written, and
// must not look as if it were.
func TestSealedShowsWhatIsStored(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c, m := newCipher(t, 1), map[string]int{"a": 1}
	e := field.New(m)
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	m["a"] = 2
	must(e.Reveal())["a"] = 3
	back := loaded[map[string]int](e.Ciphertext())
	back.Attach(c, place)
	if shown, stored := must(e.Reveal())["a"], must(back.Reveal())["a"]; shown != 1 || stored != 1 {
		t.Errorf("shown %d, stored %d", shown, stored)
	}
	unreadable := field.New(map[string]writeOnly{"a": {1}})
	if err := unreadable.Seal(c, place); !errors.Is(err, field.ErrDecode) || unreadable.Ciphertext() != nil {
		t.Errorf("what does not read back was sealed: %v", err)
	}
}

// writeOnly writes what it does not read.
type writeOnly struct{ n int }

func (w writeOnly) MarshalJSON() ([]byte, error) { return []byte{'0' + byte(w.n)}, nil }
func (w *writeOnly) UnmarshalJSON([]byte) error  { return errors.New("not read") }

func TestScan(t *testing.T) {
	t.Parallel()
	c, e := newCipher(t, 1), field.New("v")
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	row := append([]byte(nil), e.Ciphertext()...)
	var back field.Encrypted[string]
	if err := back.Scan(row); err != nil {
		t.Fatal(err)
	}
	clear(row) // the driver reuses it
	back.Attach(c, place)
	if v, err := back.Reveal(); v != "v" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	for _, src := range []any{"text", 1, true} {
		if err := back.Scan(src); err == nil {
			t.Errorf("%T accepted", src)
		}
	}
}

// TestSetAny sets a field whose type is found by reflection.
func TestSetAny(t *testing.T) {
	t.Parallel()
	var e field.Encrypted[string]
	if err := e.SetAny("a"); err != nil || must(e.Reveal()) != "a" {
		t.Error(err)
	}
	if err := e.SetAny(7); err == nil || must(e.Reveal()) != "a" {
		t.Errorf("another type: %v", err)
	}
	if err := e.SetAny(nil); err != nil || !e.IsNull() {
		t.Errorf("nil: %v", err)
	}
}
