package field

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"
)

var (
	// ErrType says that a type cannot be stored in a field.
	ErrType = errors.New("field: type not supported")
	// ErrNotText says that a blind index was asked of a type that is no text.
	ErrNotText = errors.New("field: no text to index")
	// ErrDecode says that a plaintext opened but is no encoding of T: the field
	// was written with another type, or with a wider one.
	ErrDecode = errors.New("field: plaintext does not fit the type")
)

const (
	wordSize = 8  // integers and floats of any width: the length tells nothing
	timeSize = 12 // seconds since 1970, nanoseconds
)

// plainTyped is implemented by [Encrypted] of any T.
type plainTyped interface{ PlainType() reflect.Type }

// Supports reports, as an error that wraps [ErrType], whether T can be stored.
func Supports[T any]() error { return CheckType(reflect.TypeFor[T]()) }

// CheckType is [Supports] for a type found by reflection: T, or Encrypted[T].
func CheckType(t reflect.Type) error {
	if p, ok := reflect.Zero(t).Interface().(plainTyped); ok && t.Kind() == reflect.Struct {
		t = p.PlainType()
	}
	if kindOf(t) == unsupported {
		return fmt.Errorf("%w: %s", ErrType, t)
	}
	return nil
}

type kind uint8

const (
	unsupported kind = iota
	text             // TextMarshaler and TextUnmarshaler
	stringKind
	bytesKind
	boolKind
	intKind
	uintKind
	floatKind
	timeKind
)

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType    = reflect.TypeFor[time.Time]()
)

func kindOf(t reflect.Type) kind {
	switch p := reflect.PointerTo(t); {
	case t == timeType:
		return timeKind
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		return unsupported
	case p.Implements(marshaler) && p.Implements(unmarshaler):
		return text
	}
	switch t.Kind() { //nolint:exhaustive // the rest is not supported
	case reflect.String:
		return stringKind
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return bytesKind
		}
	case reflect.Bool:
		return boolKind
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return intKind
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return uintKind
	case reflect.Float64:
		return floatKind
	}
	return unsupported
}

func textual[T any]() bool {
	k := kindOf(reflect.TypeFor[T]())
	return k == text || k == stringKind || k == bytesKind
}

// appendPlain appends the encoding of *v, which docs/formats/field.md specifies.
func appendPlain[T any](dst []byte, v *T) ([]byte, error) {
	switch p := any(v).(type) { // the common ones, without reflection
	case *string:
		return append(dst, *p...), nil
	case *[]byte:
		return append(dst, *p...), nil
	}
	r := reflect.ValueOf(v).Elem()
	switch kindOf(r.Type()) {
	case text:
		return appendText(dst, any(v).(encoding.TextMarshaler)) //nolint:forcetypeassert // kindOf has asked
	case stringKind:
		return append(dst, r.String()...), nil
	case bytesKind:
		return append(dst, r.Bytes()...), nil
	case boolKind:
		return append(dst, boolByte(r.Bool())), nil
	case intKind:
		return binary.BigEndian.AppendUint64(dst, uint64(r.Int())), nil
	case uintKind:
		return binary.BigEndian.AppendUint64(dst, r.Uint()), nil
	case floatKind:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(r.Float())), nil
	case timeKind:
		return appendTime(dst, r.Interface().(time.Time)), nil //nolint:forcetypeassert // kindOf has asked
	case unsupported:
	}
	return nil, fmt.Errorf("%w: %T", ErrType, *v)
}

// parsePlain is the reverse of appendPlain; v keeps nothing of plain.
func parsePlain[T any](plain []byte, v *T) error {
	switch p := any(v).(type) {
	case *string:
		*p = string(plain)
		return nil
	case *[]byte:
		*p = append(make([]byte, 0, len(plain)), plain...)
		return nil
	}
	r := reflect.ValueOf(v).Elem()
	switch k := kindOf(r.Type()); k {
	case text:
		if any(v).(encoding.TextUnmarshaler).UnmarshalText(plain) != nil { //nolint:forcetypeassert // kindOf has asked
			return ErrDecode // the type's own error may quote the content
		}
		return nil
	case stringKind:
		r.SetString(string(plain))
		return nil
	case bytesKind:
		r.SetBytes(append(make([]byte, 0, len(plain)), plain...))
		return nil
	case unsupported:
		return fmt.Errorf("%w: %T", ErrType, *v)
	default:
		return parseFixed(plain, r, k)
	}
}

func parseFixed(plain []byte, r reflect.Value, k kind) error {
	switch {
	case k == boolKind && len(plain) == 1 && plain[0] <= 1:
		r.SetBool(plain[0] == 1)
	case k == timeKind && len(plain) == timeSize:
		sec, nsec := binary.BigEndian.Uint64(plain), binary.BigEndian.Uint32(plain[8:])
		r.Set(reflect.ValueOf(time.Unix(int64(sec), int64(nsec)).UTC()))
	case k >= intKind && k <= floatKind && len(plain) == wordSize:
		return setWord(r, k, binary.BigEndian.Uint64(plain))
	default:
		return ErrDecode
	}
	return nil
}

func setWord(r reflect.Value, k kind, word uint64) error {
	switch {
	case k == intKind && !r.OverflowInt(int64(word)):
		r.SetInt(int64(word))
	case k == uintKind && !r.OverflowUint(word):
		r.SetUint(word)
	case k == floatKind:
		r.SetFloat(math.Float64frombits(word))
	default:
		return ErrDecode
	}
	return nil
}

func appendText(dst []byte, m encoding.TextMarshaler) ([]byte, error) {
	b, err := m.MarshalText()
	if err != nil { // its text may quote the content
		return nil, fmt.Errorf("field: %T does not marshal", m)
	}
	return append(dst, b...), nil
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond()))
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// buffer is where a plaintext lies between decryption and its type.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 512)} }}

func getBuffer(n int) *buffer {
	buf := buffers.Get().(*buffer) //nolint:forcetypeassert // New makes nothing else
	if cap(buf.b) < n {
		buf.b = make([]byte, 0, n)
	}
	return buf
}

func putBuffer(buf *buffer) {
	clear(buf.b[:cap(buf.b)])
	if cap(buf.b) <= 4<<10 {
		buffers.Put(buf)
	}
}
