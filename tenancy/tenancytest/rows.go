package tenancytest

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// rows is a repository whose type of row is known to its application alone: its
// verbs by reflection.
type rows struct {
	tenancy.TableInfo

	repo reflect.Value
	typ  reflect.Type // of a row
	keys []string     // the columns of the key
}

// tables are the tables of a schema, which must be repositories.
func tables(s tenancy.Schema) ([]rows, error) {
	all := make([]rows, len(s))
	for i, info := range s.Info() {
		repo := reflect.ValueOf(s[i])
		insert := repo.MethodByName("Insert")
		if !insert.IsValid() {
			return nil, fmt.Errorf("table %s is no repository", info.Name)
		}
		all[i] = rows{TableInfo: info, repo: repo, typ: insert.Type().In(2).Elem(), keys: keysOf(info)}
	}
	return all, nil
}

func keysOf(info tenancy.TableInfo) []string {
	if info.Key != "" {
		return []string{info.Key}
	}
	var names []string
	for _, k := range info.Keys {
		names = append(names, k.Name)
	}
	return names
}

// fail is the error among the results of a verb.
func fail(results []reflect.Value) error {
	err, _ := reflect.TypeAssert[error](results[len(results)-1])
	return err
}

func args(ctx context.Context, c tenancy.Conn, more ...reflect.Value) []reflect.Value {
	return append([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(c)}, more...)
}

// insert adds row, a pointer.
func (r rows) insert(ctx context.Context, c tenancy.Conn, row reflect.Value) error {
	return fail(r.repo.MethodByName("Insert").Call(args(ctx, c, row)))
}

func (r rows) get(ctx context.Context, c tenancy.Conn, key reflect.Value) (reflect.Value, error) {
	out := r.repo.MethodByName("Get").Call(args(ctx, c, key))
	return out[0], fail(out)
}

// edit lets fn change a row, which it is given as a pointer.
func (r rows) edit(ctx context.Context, c tenancy.Conn, key reflect.Value, fn func(row reflect.Value) error) error {
	m := r.repo.MethodByName("Edit")
	return fail(m.Call(args(ctx, c, key, changing(m.Type().In(3), fn))))
}

// changing is fn as a function of the type typ, whose argument is a pointer to a row.
func changing(typ reflect.Type, fn func(row reflect.Value) error) reflect.Value {
	return reflect.MakeFunc(typ, func(in []reflect.Value) []reflect.Value {
		err := reflect.New(reflect.TypeFor[error]()).Elem()
		if e := fn(in[0]); e != nil {
			err.Set(reflect.ValueOf(e))
		}
		return []reflect.Value{err}
	})
}

func (r rows) remove(ctx context.Context, c tenancy.Conn, key reflect.Value) error {
	return fail(r.repo.MethodByName("Delete").Call(args(ctx, c, key)))
}

func (r rows) count(ctx context.Context, c tenancy.Conn, filters ...tenancy.Filter) (int, error) {
	all := args(ctx, c)
	for _, f := range filters {
		all = append(all, reflect.ValueOf(f))
	}
	out := r.repo.MethodByName("Count").Call(all)
	return int(out[0].Int()), fail(out)
}

// page reads the first page, in the order of keys.
func (r rows) page(ctx context.Context, c tenancy.Conn) ([]reflect.Value, error) {
	out := r.repo.MethodByName("Page").Call(args(ctx, c, reflect.ValueOf("")))
	var all []reflect.Value
	for _, row := range out[0].FieldByName("Rows").Seq2() {
		all = append(all, row)
	}
	return all, fail(out)
}

func (r rows) upsert(ctx context.Context, c tenancy.Conn, row reflect.Value) error {
	return fail(r.repo.MethodByName("Upsert").Call(args(ctx, c, row)))
}

// insertAll adds a copy of row, a pointer.
func (r rows) insertAll(ctx context.Context, c tenancy.Conn, row reflect.Value) error {
	list := reflect.Append(reflect.MakeSlice(reflect.SliceOf(r.typ), 0, 1), row.Elem())
	return fail(r.repo.MethodByName("InsertAll").Call(args(ctx, c, list)))
}

// editAll lets fn change all rows, which it is given as pointers.
func (r rows) editAll(ctx context.Context, c tenancy.Conn, fn func(row reflect.Value) error) (int, error) {
	m := r.repo.MethodByName("EditAll")
	out := m.Call(args(ctx, c, changing(m.Type().In(2), fn)))
	return int(out[0].Int()), fail(out)
}

func (r rows) removeAll(ctx context.Context, c tenancy.Conn) (int, error) {
	out := r.repo.MethodByName("DeleteAll").Call(args(ctx, c))
	return int(out[0].Int()), fail(out)
}

func (r rows) list(ctx context.Context, c tenancy.Conn) ([]reflect.Value, error) {
	var all []reflect.Value
	for row, err := range r.repo.MethodByName("List").Call(args(ctx, c))[0].Seq2() {
		if e, ok := reflect.TypeAssert[error](err); ok && e != nil {
			return nil, e
		}
		all = append(all, row)
	}
	return all, nil
}

// field is the field of a row that holds a column.
func (r rows) field(row reflect.Value, column string) reflect.Value {
	for i := range r.typ.NumField() {
		if r.typ.Field(i).Tag.Get("db") == column {
			return reflect.Indirect(row).Field(i)
		}
	}
	return reflect.Value{}
}

func (r rows) id(row reflect.Value, column string) uuid.UUID {
	if column == "" {
		return uuid.Nil
	}
	id, _ := reflect.TypeAssert[uuid.UUID](r.field(row, column).Convert(reflect.TypeFor[uuid.UUID]()))
	return id
}

// key is what the verbs take for the id of a row.
func (r rows) key(row reflect.Value) reflect.Value {
	if len(r.keys) == 1 {
		return r.field(row, r.keys[0])
	}
	var fields []reflect.StructField
	for f := range r.typ.Fields() {
		if slices.Contains(r.keys, f.Tag.Get("db")) {
			fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type})
		}
	}
	key := reflect.New(reflect.StructOf(fields)).Elem()
	for i, f := range fields {
		key.Field(i).Set(reflect.Indirect(row).FieldByName(f.Name))
	}
	return key
}

// object is the id by which the log names a row.
func (r rows) object(row reflect.Value) (uuid.UUID, error) {
	out := r.repo.MethodByName("Object").Call([]reflect.Value{r.key(row)})
	id, _ := reflect.TypeAssert[uuid.UUID](out[0])
	return id, fail(out)
}

// condition is the SQL that finds a row by its key.
func (r rows) condition(row reflect.Value) string {
	parts := make([]string, len(r.keys))
	for i, name := range r.keys {
		f := r.field(row, name)
		value := fmt.Sprint(f.Interface())
		if f.Kind() == reflect.Array {
			value = r.id(row, name).String()
		}
		parts[i] = fmt.Sprintf("%q = '%s'", name, strings.ReplaceAll(value, "'", "''"))
	}
	return strings.Join(parts, " AND ")
}

// plain reports whether a column is none of key, tenant and subject.
func (r rows) plain(c tenancy.ColumnInfo) bool {
	return !slices.Contains(r.keys, c.Name) && c.Name != r.Tenant && c.Name != r.Subject
}

// made is a row about a data subject, a pointer, with something in each column.
// The number tells one row's values from another's.
func (r rows) made(subject uuid.UUID, number int) (reflect.Value, error) {
	row := reflect.New(r.typ)
	if r.Subject != "" {
		f := r.field(row, r.Subject)
		f.Set(reflect.ValueOf(subject).Convert(f.Type()))
	}
	for _, c := range r.Columns {
		if !r.plain(c) {
			continue
		}
		if err := put(r.field(row, c.Name), number); err != nil {
			return row, fmt.Errorf("make a row of %s: column %s: %w: give Options.Fill", r.Name, c.Name, err)
		}
	}
	return row, r.makeKey(row, number)
}

// makeKey gives a row a key of its own.
func (r rows) makeKey(row reflect.Value, number int) error {
	for _, name := range r.keys {
		f := r.field(row, name)
		if name == r.Subject {
			continue
		}
		if f.CanInt() {
			f.SetInt(int64(number))
		} else if err := put(f, number); err != nil {
			return err
		}
	}
	return nil
}

// sealed is a pointer to an encrypted field.
type sealed interface {
	PlainType() reflect.Type
	RevealAny() (any, error)
	SetAny(v any) error
}

// put gives a field a value that differs from number to number, where its type
// is one that is known.
func put(f reflect.Value, number int) error {
	if s, ok := reflect.TypeAssert[sealed](f.Addr()); ok {
		plain := reflect.New(s.PlainType()).Elem()
		if err := put(plain, number); err != nil {
			return err
		}
		return s.SetAny(plain.Interface())
	}
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	switch {
	case f.Type() == reflect.TypeFor[time.Time]():
		f.Set(reflect.ValueOf(time.Date(2000, 1, 1+number, 0, 0, 0, 0, time.UTC)))
	case f.Type() == reflect.TypeFor[json.RawMessage]():
		f.SetBytes(fmt.Appendf(nil, "%d", number))
	case f.Kind() == reflect.Array && f.Type().ConvertibleTo(reflect.TypeFor[uuid.UUID]()):
		f.Set(reflect.ValueOf(uuid.New()).Convert(f.Type()))
	default:
		basic(f, number)
	}
	return nil
}

// basic leaves types that it does not know at their zero value.
func basic(f reflect.Value, number int) {
	switch f.Kind() {
	case reflect.String:
		f.SetString(fmt.Sprintf("value-%d", number))
	case reflect.Bool:
		f.SetBool(number%2 == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(int64(number % 100))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		f.SetUint(uint64(number % 100))
	case reflect.Float32, reflect.Float64:
		f.SetFloat(float64(number))
	case reflect.Slice:
		if f.Type().Elem().Kind() == reflect.Uint8 {
			f.SetBytes(fmt.Appendf(nil, "value-%d", number))
		}
	default:
	}
}

// erased says what of a row still tells about an erased person: "" for nothing.
func (r rows) erased(row reflect.Value) string {
	var left []string
	for _, c := range r.Columns {
		f := r.field(row, c.Name)
		switch c.Class {
		case tenancy.Encrypted:
			if s, ok := reflect.TypeAssert[interface{ RevealAny() (any, error) }](f); ok {
				if v, err := s.RevealAny(); v != nil || err != nil && !errors.Is(err, field.ErrErased) {
					left = append(left, c.Name)
				}
			}
		case tenancy.Personal:
			if !empty(f) {
				left = append(left, c.Name)
			}
		case tenancy.Open:
		}
	}
	return strings.Join(left, ", ")
}

// empty reports whether a field holds nothing, as its type stores it.
func empty(f reflect.Value) bool {
	if t, ok := reflect.TypeAssert[time.Time](f); ok {
		return t.IsZero() // in whatever location
	}
	if v, ok := reflect.TypeAssert[driver.Valuer](f); ok && f.Kind() != reflect.Pointer {
		zero, _ := reflect.TypeAssert[driver.Valuer](reflect.Zero(f.Type()))
		have, errHave := v.Value()
		none, errNone := zero.Value()
		return errHave == nil && errNone == nil && reflect.DeepEqual(have, none)
	}
	return f.IsZero()
}
