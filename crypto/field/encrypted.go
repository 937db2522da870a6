package field

import (
	"bytes"
	"crypto/subtle"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
)

var (
	// ErrErased says that the field's data key was destroyed: the row stands,
	// its content cannot be read by us any more.
	ErrErased = errors.New("field: erased")
	// ErrUnattached says that a field was scanned from raw SQL and does not know
	// yet with which key and scope to open; see [Sealable].
	ErrUnattached = errors.New("field: scanned but not attached to a key and scope")
	// ErrUnsealed says that a field holds plaintext only and was about to be
	// written: it can be sealed where key, table and row are known, not in Value.
	ErrUnsealed = errors.New("field: not sealed; write it through a repository or seal it first")
)

type state uint8

const (
	null     state = iota
	fresh          // plain is set; ciphertext once sealed
	raw            // ciphertext as it came from the database
	attached       // raw, with cipher and scope
	legacy         // plain is what the database held in clear, under a Migration
	erased         // raw, its key destroyed
)

// Encrypted is a value that is stored encrypted. The zero Encrypted is NULL,
// which is not the same as an empty value. It opens only in [Encrypted.Reveal];
// fmt, slog, JSON and text show [Redacted]. Copies are independent; a single
// one is for one goroutine while it is written.
//
// T is a string, []byte, integer, bool, float, [time.Time], a type of such a
// kind, or one that implements both [encoding.TextMarshaler] and
// [encoding.TextUnmarshaler], as [Date] and decimals do. Any other struct or map
// is stored as JSON, if encoding/json can write and read all that it shows of it:
// fields that are not exported or say json:"-" are not stored, a struct without
// any other is refused, and so are interfaces, which come back as something else,
// two fields of one name, also through embedding, methods for text or JSON that
// come from an embedded field while others stand beside it, and keys of a map that
// are of a kind of string and have methods for text, which are read otherwise than
// written. Text in JSON must be UTF-8, else Seal returns an error; a string by itself
// need not be. What was stored before a struct changed reads as encoding/json has it:
// a new field is zero, an unknown one is left out and lost when the value is written
// anew, a name in the tag json outlives that of the field, and a type that does not
// fit gives [ErrDecode]. See [CheckType].
type Encrypted[T any] struct {
	plain      func() T // no pointer: fmt and other readers by reflection follow those
	ciphertext []byte
	cipher     *Cipher
	scope      Scope
	state      state
}

var (
	_ Sealable      = (*Encrypted[string])(nil)
	_ driver.Valuer = Encrypted[string]{}
	_ sql.Scanner   = (*Encrypted[string])(nil)
)

// New returns v as a field that is not sealed yet. It copies bytes, and so does
// Reveal. Other values that hold references, such as maps, stay shared with the
// caller, copies of the field and what Reveal returns, those stored as JSON until
// Seal: the caller must not change them.
func New[T any](v T) Encrypted[T] {
	v = independent(v)
	return Encrypted[T]{plain: func() T { return v }, state: fresh}
}

// Reveal returns the plaintext, and decrypts it each time: a reveal is a read.
// NULL gives the zero value. It returns [ErrErased], [ErrUnattached], [ErrOpen],
// or [ErrDecode] where another type was stored.
func (e Encrypted[T]) Reveal() (T, error) {
	var v T
	switch e.state {
	case null:
		return v, nil
	case fresh:
		return independent(e.plain()), nil
	case raw:
		return v, ErrUnattached
	case erased:
		return v, ErrErased
	case legacy:
		if err := e.cipher.get().migration.take(); err != nil {
			return v, err
		}
		return independent(e.plain()), nil
	case attached:
		return e.reveal()
	}
	return v, ErrOpen
}

// RevealAny is [Encrypted.Reveal] for code that finds the field by reflection;
// NULL is nil.
func (e Encrypted[T]) RevealAny() (any, error) {
	if e.IsNull() {
		return nil, nil //nolint:nilnil // NULL
	}
	v, err := e.Reveal()
	if err != nil {
		return nil, err
	}
	return v, nil
}

// SetAny is [New] for code that finds the field by reflection; nil is NULL. It refuses
// a v that is no T.
func (e *Encrypted[T]) SetAny(v any) error {
	if v == nil {
		e.Load(nil)
		return nil
	}
	plain, ok := v.(T)
	if !ok {
		return fmt.Errorf("field: set: %T instead of %T", v, plain)
	}
	*e = New(plain)
	return nil
}

// IsNull reports whether the field is NULL.
func (e Encrypted[T]) IsNull() bool { return e.state == null }

// Equal reports whether both hold the same plaintext, in time that depends on
// the lengths alone. NULL equals NULL; what does not reveal equals nothing,
// not even itself.
func (e Encrypted[T]) Equal(o Encrypted[T]) bool {
	if e.IsNull() || o.IsNull() {
		return e.IsNull() && o.IsNull()
	}
	a, errA := e.canonical()
	b, errB := o.canonical()
	defer clear(a)
	defer clear(b)
	return errA == nil && errB == nil && subtle.ConstantTimeCompare(a, b) == 1
}

// Value implements [driver.Valuer]: the ciphertext, nil for NULL, and
// [ErrUnsealed] while the field holds plaintext only, since a Valuer knows
// neither key nor row.
func (e Encrypted[T]) Value() (driver.Value, error) {
	if e.state == null {
		return nil, nil //nolint:nilnil // database/sql spells NULL so
	}
	if c := e.Ciphertext(); c != nil {
		return c, nil
	}
	return nil, ErrUnsealed
}

// Scan implements [sql.Scanner]: it keeps a copy of the ciphertext, which
// opens after [Sealable.Attach].
func (e *Encrypted[T]) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		e.Load(nil)
	case []byte:
		e.Load(append(make([]byte, 0, len(src)), src...))
	default:
		return fmt.Errorf("field: scan: column is %T instead of bytes", src)
	}
	return nil
}

// PlainType is T, for code that finds the field by reflection.
func (e Encrypted[T]) PlainType() reflect.Type { return reflect.TypeFor[T]() }

// canonical is the encoding as it is written now: JSON of the same value may
// have been written with its members in another order.
func (e Encrypted[T]) canonical() ([]byte, error) {
	if e.state != attached || kindOf[T]() != jsonKind {
		return e.encoding()
	}
	v, err := e.Reveal()
	if err != nil {
		return nil, err
	}
	return appendPlain(nil, &v)
}

func (e Encrypted[T]) encoding() ([]byte, error) {
	switch e.state {
	case fresh, legacy:
		v, err := e.Reveal()
		if err != nil {
			return nil, err
		}
		return appendPlain(nil, &v)
	case attached:
		return e.cipher.Open(nil, e.ciphertext, e.scope)
	case null, raw:
		return nil, ErrUnattached
	case erased:
	}
	return nil, ErrErased
}

func (e *Encrypted[T]) reveal() (v T, err error) {
	buf := getBuffer(len(e.ciphertext))
	defer putBuffer(buf)
	plain, err := e.cipher.Open(buf.b[:0], e.ciphertext, e.scope)
	if err != nil {
		return v, err
	}
	if text, ok := any(&v).(*string); ok { // spares v the heap
		*text = string(plain)
		return v, nil
	}
	return parsed[T](plain)
}

// independent returns v, or a copy where it is a slice of bytes.
func independent[T any](v T) T {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		r := reflect.ValueOf(&v).Elem()
		r.SetBytes(bytes.Clone(r.Bytes()))
	}
	return v
}

func parsed[T any](plain []byte) (v T, err error) {
	err = parsePlain(plain, &v)
	return v, err
}
