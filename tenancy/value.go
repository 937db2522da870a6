package tenancy

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

var (
	valuerType  = reflect.TypeFor[driver.Valuer]()
	scannerType = reflect.TypeFor[sql.Scanner]()
	jsonType    = reflect.TypeFor[json.RawMessage]()
)

// argument turns a field's value into one of the types that engines bind.
func argument(v reflect.Value) (any, error) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil //nolint:nilnil // NULL
		}
		return argument(v.Elem())
	}
	switch {
	case v.Type() == timeType:
		t, _ := reflect.TypeAssert[time.Time](v)
		return t.UTC(), nil
	case uuidLike(v.Type()):
		u, _ := reflect.TypeAssert[uuid.UUID](v.Convert(uuidType))
		return u, nil
	case v.Type().Implements(valuerType):
		return value(v)
	}
	return basic(v)
}

func value(v reflect.Value) (any, error) {
	valuer, ok := reflect.TypeAssert[driver.Valuer](v)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrBadValue, v.Type())
	}
	x, err := valuer.Value()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrBadValue, v.Type())
	}
	return x, nil
}

func basic(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.String:
		return v.String(), checkText(v.String())
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Slice:
		if v.IsNil() {
			return nil, nil //nolint:nilnil // NULL
		}
		if v.Type() == jsonType { // bytes do not fit a column of type jsonb
			return string(v.Bytes()), nil
		}
		return v.Bytes(), nil
	default:
		return nil, fmt.Errorf("%w: %s", ErrBadValue, v.Type())
	}
}

// checkText refuses what no database takes for text.
func checkText(s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("%w: text is not valid UTF-8 or holds NUL", ErrBadValue)
	}
	return nil
}

// same compares two values of a column that is not encrypted, times as they are
// stored: in microseconds.
func same(a, b reflect.Value) bool {
	if a.Type() == timeType {
		x, _ := reflect.TypeAssert[time.Time](a)
		y, _ := reflect.TypeAssert[time.Time](b)
		return x.Truncate(time.Microsecond).Equal(y.Truncate(time.Microsecond))
	}
	if a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil() {
		return same(a.Elem(), b.Elem())
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
