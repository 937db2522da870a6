package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// bindAll turns arguments into what the driver takes.
func bindAll(args []any) ([]driver.NamedValue, error) {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v, err := bind(a)
		if err != nil {
			return nil, badArgument(i+1, err)
		}
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out, nil
}

func badArgument(n int, err error) error {
	return &engine.Error{Kind: engine.BadValue, Text: fmt.Sprintf("argument %d: %s", n, err)}
}

// bind turns one argument into nil, int64, float64, string or []byte.
func bind(v any) (driver.Value, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // NULL
	case string:
		return text(v)
	case []byte:
		return blob(v), nil
	case int64:
		return v, nil
	case bool:
		return flag(v), nil
	case uuid.UUID:
		return v.String(), nil
	case time.Time:
		return stamp(v)
	case driver.Valuer:
		return bindValuer(v)
	}
	return bindReflect(reflect.ValueOf(v))
}

func bindValuer(v driver.Valuer) (driver.Value, error) {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, nil //nolint:nilnil // NULL
	}
	x, err := v.Value()
	if err != nil {
		return nil, fmt.Errorf("%T has no value to store", v) // its own text may hold the value
	}
	if _, again := x.(driver.Valuer); again {
		return nil, fmt.Errorf("%T yields a Valuer", v)
	}
	return bind(x)
}

func bindReflect(rv reflect.Value) (driver.Value, error) {
	switch rv.Kind() {
	case reflect.Pointer:
		if rv.IsNil() {
			return nil, nil //nolint:nilnil // NULL
		}
		return bind(rv.Elem().Interface())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rv.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if rv.Uint() > math.MaxInt64 {
			return nil, fmt.Errorf("%s is larger than a 64-bit integer", rv.Type())
		}
		return int64(rv.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return float(rv.Float())
	case reflect.Bool:
		return flag(rv.Bool()), nil
	case reflect.String:
		return text(rv.String())
	case reflect.Slice:
		if rv.Type().Elem().Kind() == reflect.Uint8 {
			return blob(rv.Bytes()), nil
		}
	case reflect.Array:
		if rv.Type().ConvertibleTo(uuidType) {
			u, _ := reflect.TypeAssert[uuid.UUID](rv.Convert(uuidType))
			return u.String(), nil
		}
	}
	return nil, fmt.Errorf("%s cannot be stored", rv.Type())
}

func text(s string) (driver.Value, error) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return nil, fmt.Errorf("text is not valid UTF-8 or holds NUL")
	}
	return s, nil
}

func stamp(t time.Time) (driver.Value, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("time is outside the years 0 to 9999")
	}
	return t.Format(engine.SQLiteTime), nil
}

// float refuses NaN, which SQLite would store as NULL.
func float(f float64) (driver.Value, error) {
	if math.IsNaN(f) {
		return nil, fmt.Errorf("number is NaN")
	}
	return f, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func blob(b []byte) driver.Value {
	if b == nil {
		return nil
	}
	return b
}
