package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

//nolint:gochecknoglobals // a constant of a type
var uuidType = reflect.TypeFor[uuid.UUID]()

// record is the current row of a library statement.
type record struct {
	names  []string
	values []driver.Value
}

var _ engine.Row = (*record)(nil)

// Scan implements [engine.Row]. No error of it holds a value.
func (r *record) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return &engine.Error{Kind: engine.Other, Text: fmt.Sprintf("scan: %d columns into %d destinations", len(r.values), len(dest))}
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return &engine.Error{Kind: engine.BadValue, Column: columnName(r.names[i]), Text: err.Error()}
		}
	}
	return nil
}

var identifier = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// columnName keeps what is a name: a column without one shows its expression.
func columnName(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return ""
}

// assign stores src, a value of the driver, into the pointer dest.
func assign(dest any, src driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := src.(string); ok {
			*d = s
			return nil
		}
	case *int64:
		if n, ok := src.(int64); ok {
			*d = n
			return nil
		}
	case *any:
		*d = own(src)
		return nil
	case *time.Time:
		return assignTime(d, src)
	case sql.Scanner:
		if err := d.Scan(own(src)); err != nil {
			return fmt.Errorf("%T does not take %s", dest, kindOf(src)) // its own text may hold the value
		}
		return nil
	}
	rv := reflect.ValueOf(dest)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("%T is no pointer", dest)
	}
	return assignTo(rv.Elem(), src)
}

func assignTo(v reflect.Value, src driver.Value) error {
	if v.Kind() == reflect.Pointer {
		return assignPointer(v, src)
	}
	if src == nil && isBytes(v) {
		v.SetZero()
		return nil
	}
	var ok bool
	switch s := src.(type) {
	case int64:
		ok = assignInt(v, s)
	case float64:
		ok = assignFloat(v, s)
	case string:
		ok = assignText(v, s)
	case []byte:
		ok = assignBytes(v, s)
	case time.Time: // the driver parses columns declared as times
		ok = assignText(v, s.UTC().Format(engine.SQLiteTime))
	}
	if !ok {
		return fmt.Errorf("%s does not take %s", v.Type(), kindOf(src))
	}
	return nil
}

func assignPointer(v reflect.Value, src driver.Value) error {
	if src == nil {
		v.SetZero()
		return nil
	}
	p := reflect.New(v.Type().Elem())
	if err := assign(p.Interface(), src); err != nil {
		return err
	}
	v.Set(p)
	return nil
}

func assignInt(v reflect.Value, n int64) bool {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v.OverflowInt(n) {
			return false
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n < 0 || v.OverflowUint(uint64(n)) {
			return false
		}
		v.SetUint(uint64(n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Bool:
		if n != 0 && n != 1 {
			return false
		}
		v.SetBool(n == 1)
	case reflect.String:
		v.SetString(strconv.FormatInt(n, 10))
	default:
		return false
	}
	return true
}

// assignFloat takes a whole number also into an integer: a column without a
// type may hold 1.0 where 1 was meant.
func assignFloat(v reflect.Value, f float64) bool {
	if v.CanFloat() && !v.OverflowFloat(f) {
		v.SetFloat(f)
		return true
	}
	if (v.CanInt() || v.CanUint()) && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return assignInt(v, int64(f))
	}
	return false
}

func assignText(v reflect.Value, s string) bool {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(s)
	case v.Type().ConvertibleTo(uuidType) && v.Kind() == reflect.Array:
		u, err := uuid.Parse(s)
		if err != nil || len(s) != 36 {
			return false
		}
		v.Set(reflect.ValueOf(u).Convert(v.Type()))
	case isBytes(v):
		v.SetBytes([]byte(s))
	default:
		return false
	}
	return true
}

func assignBytes(v reflect.Value, b []byte) bool {
	switch {
	case isBytes(v):
		v.SetBytes(append([]byte{}, b...))
	case v.Kind() == reflect.String:
		v.SetString(string(b))
	case v.Kind() == reflect.Array && v.Type().ConvertibleTo(uuidType) && len(b) == len(uuid.UUID{}):
		v.Set(reflect.ValueOf(uuid.UUID(b)).Convert(v.Type()))
	default:
		return false
	}
	return true
}

func isBytes(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}

func assignTime(d *time.Time, src driver.Value) error {
	switch s := src.(type) {
	case time.Time:
		*d = s.UTC()
		return nil
	case string:
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return fmt.Errorf("text is no time of the form %s", engine.SQLiteTime)
		}
		*d = t.UTC()
		return nil
	}
	return fmt.Errorf("time.Time does not take %s", kindOf(src))
}

// own gives bytes a copy that outlives the row.
func own(src driver.Value) driver.Value {
	if b, ok := src.([]byte); ok {
		return append([]byte{}, b...)
	}
	return src
}

// kindOf names the kind of a value, never the value.
func kindOf(src driver.Value) string {
	switch src.(type) {
	case nil:
		return "NULL"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case string:
		return "this text"
	case []byte:
		return "these bytes"
	case time.Time:
		return "a time"
	}
	return "this value"
}
