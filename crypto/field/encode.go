package field

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"
)

var (
	// ErrNotText says that a blind index was asked of a type that is no text.
	ErrNotText = errors.New("field: no text to index")
	// ErrDecode says that a plaintext opened but is no encoding of T: the field
	// was written with another type, or with a wider one.
	ErrDecode = errors.New("field: plaintext does not fit the type")

	// errNotUTF8 keeps two texts from being stored as one.
	errNotUTF8 = errors.New("field: refused: text that is not UTF-8 does not come back from JSON")
)

const (
	wordSize = 8  // integers and floats of any width: the length tells nothing
	timeSize = 12 // seconds since 1970, nanoseconds
	jsonStep = 64 // JSON is padded to multiples: true and false are not of equal length
)

// appendPlain appends the encoding of *v, which docs/formats/field.md specifies.
func appendPlain[T any](dst []byte, v *T) ([]byte, error) {
	switch p := any(v).(type) { // the common ones, without reflection
	case *string:
		return append(dst, *p...), nil
	case *[]byte:
		return append(dst, *p...), nil
	}
	r := reflect.ValueOf(v).Elem()
	switch kindOf[T]() {
	case text:
		return appendText(dst, any(v).(encoding.TextMarshaler)) //nolint:forcetypeassert // kindOf has asked
	case jsonKind:
		return appendJSON(dst, v, new(T))
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

// parsePlain is the reverse of appendPlain; v keeps nothing of plain, and is
// zero after an error.
func parsePlain[T any](plain []byte, v *T) error {
	switch p := any(v).(type) {
	case *string:
		*p = string(plain)
		return nil
	case *[]byte:
		*p = append(make([]byte, 0, len(plain)), plain...)
		return nil
	}
	err := parseKind(plain, v, kindOf[T]())
	if err != nil {
		*v = *new(T) // half of a value is none
	}
	return err
}

func parseKind[T any](plain []byte, v *T, k kind) error {
	r := reflect.ValueOf(v).Elem()
	switch k {
	case text:
		if any(v).(encoding.TextUnmarshaler).UnmarshalText(plain) != nil { //nolint:forcetypeassert // kindOf has asked
			return ErrDecode // the type's own error may quote the content
		}
	case jsonKind:
		if json.Unmarshal(plain, v) != nil { // its errors quote the content
			return ErrDecode
		}
	case stringKind:
		r.SetString(string(plain))
	case bytesKind:
		r.SetBytes(append(make([]byte, 0, len(plain)), plain...))
	case unsupported:
		return fmt.Errorf("%w: %T", ErrType, *v)
	default:
		return parseFixed(plain, r, k)
	}
	return nil
}

func parseFixed(plain []byte, r reflect.Value, k kind) error {
	switch {
	case k == boolKind && len(plain) == 1 && plain[0] <= 1:
		r.SetBool(plain[0] == 1)
	case k == timeKind && len(plain) == timeSize:
		return setTime(r, int64(binary.BigEndian.Uint64(plain)), binary.BigEndian.Uint32(plain[8:]))
	case k >= intKind && k <= floatKind && len(plain) == wordSize:
		return setWord(r, k, binary.BigEndian.Uint64(plain))
	default:
		return ErrDecode
	}
	return nil
}

func setTime(r reflect.Value, seconds int64, nanoseconds uint32) error {
	if nanoseconds >= 1e9 { // has another form
		return ErrDecode
	}
	r.Set(reflect.ValueOf(time.Unix(seconds, int64(nanoseconds)).UTC()))
	return nil
}

func setWord(r reflect.Value, k kind, word uint64) error {
	switch {
	case k == intKind && !r.OverflowInt(int64(word)):
		r.SetInt(int64(word))
	case k == uintKind && !r.OverflowUint(word):
		r.SetUint(word)
	case k == floatKind:
		return setFloat(r, math.Float64frombits(word))
	default:
		return ErrDecode
	}
	return nil
}

// setFloat refuses what a float32 would have to round.
func setFloat(r reflect.Value, f float64) error {
	if r.Kind() == reflect.Float32 && float64(float32(f)) != f && !math.IsNaN(f) {
		return ErrDecode
	}
	r.SetFloat(f)
	return nil
}

func appendText(dst []byte, m encoding.TextMarshaler) ([]byte, error) {
	b, err := m.MarshalText()
	if err != nil { // its text may quote the content
		return nil, fmt.Errorf("field: %s does not marshal", reflect.TypeOf(m).Elem())
	}
	return append(dst, b...), nil
}

// appendJSON appends v as JSON, padded with spaces. The caller gives an empty
// value of the same type.
func appendJSON(dst []byte, v, empty any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil { // its text may quote the content
		return nil, fmt.Errorf("field: %s does not marshal", reflect.TypeOf(v).Elem())
	}
	defer clear(b)
	if !keepsRunes(b, empty) {
		return nil, errNotUTF8
	}
	dst = append(dst, b...)
	for n := len(b); n%jsonStep != 0; n++ {
		dst = append(dst, ' ')
	}
	return dst, nil
}

// keepsRunes reports whether all text in b is what it was: encoding/json writes
// the escape of U+FFFD for a byte that is not UTF-8, and the character itself for
// the character. A marshaler of one's own may write the escape for either, which
// shows where what was read is written again.
func keepsRunes(b []byte, empty any) bool {
	if !utf8.Valid(b) {
		return false
	}
	if !bytes.Contains(b, []byte(`\ufffd`)) {
		return true
	}
	if json.Unmarshal(b, empty) != nil {
		return false
	}
	again, err := json.Marshal(empty)
	defer clear(again)
	return err == nil && bytes.Equal(b, again)
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
