package field

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// ErrType says that a type cannot be stored in a field.
var ErrType = errors.New("field: type not supported")

// plainTyped is implemented by [Encrypted] of any T.
type plainTyped interface{ PlainType() reflect.Type }

// Supports reports, as an error that wraps [ErrType], whether T can be stored.
func Supports[T any]() error { return CheckType(reflect.TypeFor[T]()) }

// CheckType is [Supports] for a type found by reflection: T, or Encrypted[T].
func CheckType(t reflect.Type) error {
	if p, ok := reflect.Zero(t).Interface().(plainTyped); ok && t.Kind() == reflect.Struct {
		t = p.PlainType()
	}
	if kindOfType(t) == unsupported {
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
	jsonKind // structs and maps
	boolKind
	intKind
	uintKind
	floatKind
	timeKind
)

// variable reports whether the encodings of the kind differ in length.
func (k kind) variable() bool { return k >= text && k <= jsonKind }

// textual reports whether the encoding is the text itself.
func (k kind) textual() bool { return k >= text && k <= bytesKind }

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	timeType    = reflect.TypeFor[time.Time]()
)

func kindOf[T any]() kind { return kindOfType(reflect.TypeFor[T]()) }

func kindOfType(t reflect.Type) kind {
	if t == timeType {
		return timeKind
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return unsupported
	}
	switch p := reflect.PointerTo(t); {
	case p.Implements(marshaler) && p.Implements(unmarshaler) && keepsText(t):
		return text
	case p.Implements(marshaler) || p.Implements(unmarshaler):
		return unsupported // would not come back as it went in
	}
	return basicKind(t)
}

func basicKind(t reflect.Type) kind {
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
	case reflect.Float32, reflect.Float64:
		return floatKind
	case reflect.Struct, reflect.Map:
		if keepsJSON(t) {
			return jsonKind
		}
	}
	return unsupported
}
