package field

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/art32/art32/internal/aead"
)

const (
	// KeySize is the length of a data key in bytes.
	KeySize = aead.KeySize
	// Overhead is by how many bytes a ciphertext is longer than its plaintext.
	Overhead = aead.Overhead
)

var (
	// ErrOpen says that a ciphertext does not open. It is one error for a wrong
	// key, a wrong scope, a changed byte and a wrong length: which one it was is
	// of use to an attacker only.
	ErrOpen = errors.New("field: ciphertext does not open")
	// ErrScope says that a scope lacks tenant, table, column or row, or that one
	// of them is longer than 65,536 bytes. A field without a place could be moved.
	ErrScope = errors.New("field: scope incomplete or too long")
)

// Scope is the one place where a ciphertext opens. All four are needed: what
// is bound to its row alone could be moved between columns.
type Scope struct {
	Tenant string // the tenant's id
	Table  string // the table's name, without quotes
	Column string // the column's name, without quotes
	Row    string // the row's primary key as text; it must exist before INSERT
}

func (s Scope) valid() bool {
	return s.Tenant != "" && s.Table != "" && s.Column != "" && s.Row != ""
}

// Budget counts the messages of a key that many rows share: a random nonce
// carries at most 2^32 of them. It must be safe for concurrent use.
type Budget interface {
	// Take is called before each message; an error keeps it from being sealed.
	Take() error
}

// Cipher seals and opens fields and streams under one data key. It is safe for
// concurrent use and takes about 1.6 KiB; the key's bytes cannot be read from it.
type Cipher struct{ get hidden[keys] }

type keys struct {
	aead      *aead.AEAD
	budget    Budget       // nil: not counted
	older     []*aead.AEAD // retired versions: they open, and seal nothing
	migration *Migration   // nil: plaintext is refused
}

func (k *keys) cipher() *Cipher { return &Cipher{get: hide(k)} }

// NewKey returns [KeySize] random bytes, a data key. The caller keeps them
// wrapped, by a key management service or package keyring, and clears them.
func NewKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key)
	return key
}

// NewCipher returns the cipher of a data key of [KeySize] random bytes, which
// it neither keeps nor changes: the caller should clear them. The version
// stands in every ciphertext and must match on opening. The caller must not
// seal more than 2^32 fields with one key; see [NewCountedCipher].
func NewCipher(version uint32, key []byte) (*Cipher, error) {
	return NewCountedCipher(version, key, nil)
}

// NewCountedCipher is [NewCipher] for a key that may come near 2^32 messages:
// Seal asks the budget first and returns its error. A nil budget counts nothing.
func NewCountedCipher(version uint32, key []byte, b Budget) (*Cipher, error) {
	a, err := aead.New(aead.LabelField, version, key)
	if err != nil {
		return nil, fmt.Errorf("field: new cipher: %w", err)
	}
	return (&keys{aead: a, budget: b}).cipher(), nil
}

// With returns a cipher that seals as c does and also opens what the older
// versions of the key have sealed. c itself does not change.
func (c *Cipher) With(older ...*Cipher) *Cipher {
	k := *c.get()
	k.older = slices.Clone(k.older)
	for _, o := range older {
		k.older = append(append(k.older, o.get().aead), o.get().older...)
	}
	return k.cipher()
}

// Accepting returns a cipher that seals and opens as c does, and under which a
// field may also be read while it still holds plaintext, as far as m allows; see
// [Migration]. c itself does not change. A nil m allows nothing.
func (c *Cipher) Accepting(m *Migration) *Cipher {
	k := *c.get()
	k.migration = m
	return k.cipher()
}

// Version is the version of the data key.
func (c *Cipher) Version() uint32 { return c.get().aead.Version() }

// Seal appends the ciphertext of plaintext to dst; it opens with the same key
// and scope only. The rest of dst's capacity must not overlap plaintext. It
// returns [ErrScope] or the budget's error.
func (c *Cipher) Seal(dst, plaintext []byte, s Scope) ([]byte, error) {
	if !s.valid() {
		return nil, ErrScope
	}
	k := c.get()
	if k.budget != nil {
		if err := k.budget.Take(); err != nil {
			return nil, fmt.Errorf("field: seal: %w", err)
		}
	}
	out, err := k.aead.Seal(dst, plaintext, s.Tenant, s.Table, s.Column, s.Row)
	if errors.Is(err, aead.ErrScope) {
		return nil, ErrScope
	}
	return out, err
}

// Open appends the plaintext of ciphertext to dst, or returns [ErrOpen]. The
// rest of dst's capacity must not overlap ciphertext.
func (c *Cipher) Open(dst, ciphertext []byte, s Scope) ([]byte, error) {
	version, _ := aead.KeyVersion(ciphertext)
	out, err := c.get().opener(version).Open(dst, ciphertext, s.Tenant, s.Table, s.Column, s.Row)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// opener is the version that a ciphertext names; where it names none that k
// holds, the newest one refuses it.
func (k *keys) opener(version uint32) *aead.AEAD {
	for _, o := range k.older {
		if o.Version() == version && version != k.aead.Version() {
			return o
		}
	}
	return k.aead
}

// KeyVersion reads from a ciphertext, without opening it, the version of the
// data key that sealed it; false when it is no field ciphertext.
func KeyVersion(ciphertext []byte) (uint32, bool) { return aead.KeyVersion(ciphertext) }

// Format keeps the key out of every log.
func (c Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

func (c *Cipher) equal(o *Cipher) bool {
	return c == o || (c != nil && o != nil && c.get().aead.Equal(o.get().aead))
}
