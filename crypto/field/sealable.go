package field

import "strings"

// Sealable is what a repository needs of a field whose T it does not know;
// [*Encrypted] implements it. Application code has no use for it.
type Sealable interface {
	// Seal makes the field ready to be written at s under c. New plaintext is
	// encrypted and stays readable. What is sealed there already is left alone;
	// what was loaded from elsewhere, under another key, scope or an older
	// version of the key, is revealed and sealed anew, with the errors of Reveal. NULL stays NULL. It returns
	// [ErrErased] for a nil c, and an error for a plaintext that is [Redacted].
	Seal(c *Cipher, s Scope) error
	// Attach says, after Load or Scan, how Reveal will decrypt. A nil c says that
	// the key was destroyed. On NULL and on new plaintext it has no effect.
	Attach(c *Cipher, s Scope)
	// Load replaces the field by a ciphertext from the database and keeps the
	// slice: the caller must not change it any more. Nil is NULL.
	Load(ciphertext []byte)
	// Ciphertext is what is to be written; nil for NULL and while not sealed.
	// The caller must not change it.
	Ciphertext() []byte
	// Fresh reports whether the field holds plaintext that was not loaded from
	// the database, sealed in the meantime or not.
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
	if e.state == fresh && textual[T]() && strings.TrimSpace(string(plain)) == Redacted {
		return errMarker
	}
	sealed, err := c.Seal(nil, plain, s)
	if err != nil {
		return err
	}
	e.ciphertext, e.cipher, e.scope = sealed, c, s
	return nil
}

// current reports whether the newest version of the key has sealed the field.
func (e *Encrypted[T]) current() bool {
	version, ok := KeyVersion(e.ciphertext)
	return ok && version == e.cipher.Version()
}

// Attach implements [Sealable].
func (e *Encrypted[T]) Attach(c *Cipher, s Scope) {
	if e.state == null || e.state == fresh {
		return
	}
	e.cipher, e.scope, e.state = c, s, attached
	if c == nil {
		e.state = erased
	}
}

// Load implements [Sealable].
func (e *Encrypted[T]) Load(ciphertext []byte) {
	*e = Encrypted[T]{ciphertext: ciphertext}
	if ciphertext != nil {
		e.state = raw
	}
}

// Ciphertext implements [Sealable].
func (e *Encrypted[T]) Ciphertext() []byte { return e.ciphertext }

// Fresh implements [Sealable].
func (e *Encrypted[T]) Fresh() bool { return e.state == fresh }

// IndexText implements [Sealable].
func (e *Encrypted[T]) IndexText() (text string, ok bool, err error) {
	if !textual[T]() {
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
