package field

import (
	"bytes"
	"strings"

	"github.com/art32/art32/internal/aead"
)

// Sealable is what a repository needs of a field whose T it does not know;
// [*Encrypted] implements it. Code without a repository calls Seal before it
// writes and Attach after it has read, for each field or for all of a row by
// [Fields].
type Sealable interface {
	// Seal makes the field ready to be written at s under c. New plaintext is
	// encrypted and stays readable, as it will be read back. What is sealed there already is left alone;
	// what was loaded from elsewhere, under another key, scope or an older
	// version of the key, or in clear under a [Migration], is revealed and sealed
	// anew, with the errors of Reveal. NULL stays NULL. It returns [ErrErased] for
	// a nil c, and an error for a plaintext that is [Redacted].
	Seal(c *Cipher, s Scope) error
	// Attach says, after Load or Scan, how Reveal will decrypt. A nil c says that
	// the key was destroyed. On NULL and on new plaintext it has no effect. Under
	// a c that accepts plaintext, see [Migration], what is no ciphertext is taken
	// for that; what is neither is never written back for an erased person.
	Attach(c *Cipher, s Scope)
	// Load replaces the field by a ciphertext from the database and keeps the
	// slice: the caller must not change it any more. Nil is NULL.
	Load(ciphertext []byte)
	// Ciphertext is what is to be written; nil for NULL, while not sealed, and for
	// what was loaded and is no ciphertext. The caller must not change it.
	Ciphertext() []byte
	// Fresh reports whether the field holds plaintext, new or read in clear under
	// a [Migration], sealed in the meantime or not.
	Fresh() bool
	// IndexText is the plaintext for a blind index; false for NULL. It returns
	// [ErrNotText] when T is no text, and the errors of Reveal.
	IndexText() (text string, ok bool, err error)
	// IsNull reports whether the field is NULL.
	IsNull() bool
}

// Seal implements [Sealable].
func (e *Encrypted[T]) Seal(c *Cipher, s Scope) error {
	switch {
	case e.state == null:
		return nil
	case c == nil:
		return ErrErased
	case e.ciphertext != nil && e.scope == s && e.cipher.equal(c) && e.current():
		return nil
	}
	plain, err := e.encoding()
	defer clear(plain)
	if err != nil {
		return err
	}
	if e.state == fresh && holdsMarker[T](plain) {
		return errMarker
	}
	shown, err := e.sealedPlain(plain)
	if err != nil {
		return err
	}
	sealed, err := c.Seal(nil, plain, s)
	if err != nil {
		return err
	}
	e.plain = shown
	e.ciphertext, e.cipher, e.scope = sealed, c, s
	if e.state == legacy {
		e.state = fresh
	}
	return nil
}

// sealedPlain is what the field reveals once it is sealed: JSON is read anew each
// time, so that a map which changes elsewhere does not show what was not sealed.
func (e *Encrypted[T]) sealedPlain(plain []byte) (func() T, error) {
	if e.plain == nil || kindOf[T]() != jsonKind {
		return e.plain, nil
	}
	kept := bytes.Clone(plain)
	if _, err := parsed[T](kept); err != nil {
		return nil, err
	}
	return func() T { v, _ := parsed[T](kept); return v }, nil
}

// holdsMarker reports whether a plaintext is, or as JSON holds, the marker.
func holdsMarker[T any](plain []byte) bool {
	if k := kindOf[T](); k == jsonKind {
		return bytes.Contains(plain, []byte(`"`+Redacted+`"`))
	} else if !k.textual() {
		return false
	}
	return strings.TrimSpace(string(plain)) == Redacted
}

// current reports whether the newest version of the key has sealed the field.
func (e *Encrypted[T]) current() bool {
	version, ok := KeyVersion(e.ciphertext)
	return ok && version == e.cipher.Version()
}

// Attach implements [Sealable].
func (e *Encrypted[T]) Attach(c *Cipher, s Scope) {
	switch {
	case e.state == null || e.state == fresh:
	case c == nil:
		e.erase()
	case e.state == legacy:
		e.cipher, e.scope = c, s
	default:
		e.cipher, e.scope, e.state = c, s, attached
		if c.get().migration != nil {
			e.attachLegacy()
		}
	}
}

// attachLegacy takes what is no ciphertext for the plaintext that it may be.
func (e *Encrypted[T]) attachLegacy() {
	if v, ok := parseLegacy[T](e.ciphertext); ok {
		e.plain, e.ciphertext, e.state = func() T { return v }, nil, legacy
	}
}

// erase keeps the ciphertext that nobody can read any more, and nothing else.
func (e *Encrypted[T]) erase() {
	kept := []byte{} // not NULL
	if aead.IsCiphertext(e.ciphertext) {
		kept = e.ciphertext
	}
	*e = Encrypted[T]{ciphertext: kept, state: erased}
}

// Load implements [Sealable].
func (e *Encrypted[T]) Load(ciphertext []byte) {
	*e = Encrypted[T]{ciphertext: ciphertext}
	if ciphertext != nil {
		e.state = raw
	}
}

// Ciphertext implements [Sealable].
func (e *Encrypted[T]) Ciphertext() []byte {
	if e.state == erased || aead.IsCiphertext(e.ciphertext) {
		return e.ciphertext
	}
	return nil
}

// Fresh implements [Sealable].
func (e *Encrypted[T]) Fresh() bool { return e.state == fresh || e.state == legacy }

// IndexText implements [Sealable].
func (e *Encrypted[T]) IndexText() (text string, ok bool, err error) {
	if !kindOf[T]().textual() {
		return "", false, ErrNotText
	}
	if e.state == null {
		return "", false, nil
	}
	plain, err := e.encoding()
	defer clear(plain)
	if err != nil {
		return "", false, err
	}
	return string(plain), true, nil
}
