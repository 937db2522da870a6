package field_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/art32/art32/crypto/field"
)

func TestFields(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	email, note := field.New("a@example.org"), field.New("b")
	fields := field.Fields{"email": &email, "note": &note}
	at := place
	at.Column = "of no account"
	if err := fields.Seal(c, at); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Open(nil, email.Ciphertext(), place); err != nil || string(got) != "a@example.org" {
		t.Errorf("sealed elsewhere: %v", err)
	}
	back, other := loaded[string](email.Ciphertext()), loaded[string](note.Ciphertext())
	field.Fields{"email": &back, "note": &other}.Attach(c, at)
	if got, err := other.Reveal(); err != nil || got != "b" || !back.Equal(email) {
		t.Errorf("%q, %v", got, err)
	}
	field.Fields{"note": &back, "email": &other}.Attach(c, at)
	if _, err := back.Reveal(); !errors.Is(err, field.ErrOpen) {
		t.Errorf("columns exchanged: %v", err)
	}
	raw := loaded[string](note.Ciphertext())
	err := field.Fields{"a": &email, "b": &raw, "c": &note}.Seal(c, at)
	if !errors.Is(err, field.ErrUnattached) || !strings.Contains(err.Error(), "column b") {
		t.Errorf("one that cannot be sealed: %v", err)
	}
	field.Fields{"email": &back}.Attach(nil, at)
	if _, err := back.Reveal(); !errors.Is(err, field.ErrErased) {
		t.Errorf("erased: %v", err)
	}
}
