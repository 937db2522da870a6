package tenancy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/google/uuid"
)

// Object is the UUID by which the log, encrypted fields and reports name the row with
// this id: the id itself, or where the key is not one UUID, a UUID that is made of it
// (docs/formats/row-id.md). The id is what [Repository.Get] takes.
func (r *Repository[T]) Object(id any) (uuid.UUID, error) {
	k, err := r.rowKey(id)
	return k.id, err
}

// rowKey reads the id that a caller passed.
func (r *Repository[T]) rowKey(id any) (rowKey, error) {
	v, t := reflect.ValueOf(id), r.t
	switch {
	case !v.IsValid():
		return rowKey{}, t.errKey(id)
	case !t.derives():
		if v.Type() != uuidType && v.Type() != t.cols[t.keys[0]].typ {
			return rowKey{}, t.errKey(id)
		}
		u, _ := reflect.TypeAssert[uuid.UUID](v.Convert(uuidType))
		return rowKey{id: u}, nil
	}
	values, ok := t.given(v)
	if !ok {
		return rowKey{}, t.errKey(id)
	}
	if err := t.checkKey(values); err != nil {
		return rowKey{}, err
	}
	return rowKey{id: t.rowID(values), values: values}, nil
}

func (t *table) errKey(id any) error {
	if len(t.keys) == 1 {
		return fmt.Errorf("tenancy: key of %s is of type %s, not %T: %w", t.name, t.cols[t.keys[0]].typ, id, ErrBadValue)
	}
	var want strings.Builder
	for i, n := range t.keys {
		if i > 0 {
			want.WriteString("; ")
		}
		f := t.typ.Field(t.cols[n].field)
		want.WriteString(f.Name + " " + f.Type.String())
	}
	return fmt.Errorf("tenancy: key of %s is a struct { %s }, not %T: %w", t.name, want.String(), id, ErrBadValue)
}

// given reads the values of a key: of the type of its one field or the plain type
// below it, or a struct with the fields of the key.
func (t *table) given(v reflect.Value) (values []any, ok bool) {
	if len(t.keys) > 1 {
		return t.givenStruct(v)
	}
	c := &t.cols[t.keys[0]]
	switch v.Type() {
	case c.typ:
	case reflect.TypeFor[string]():
		ok = c.key == textKey
	case reflect.TypeFor[int](), reflect.TypeFor[int64]():
		ok = c.key == integerKey && !reflect.Zero(c.typ).OverflowInt(v.Int())
	}
	if !ok && v.Type() != c.typ {
		return nil, false
	}
	return []any{c.keyValue(v)}, true
}

func (t *table) givenStruct(v reflect.Value) ([]any, bool) {
	fields, ok := t.keyFields(v.Type())
	if !ok {
		return nil, false
	}
	values := make([]any, len(fields))
	for i, f := range fields {
		values[i] = t.cols[t.keys[i]].keyValue(v.Field(f))
	}
	return values, true
}

// keyFields finds the fields of the key in a struct that has them and no others, by
// name and type: two ids of one type must not be exchanged unnoticed.
func (t *table) keyFields(typ reflect.Type) ([]int, bool) {
	if known, ok := t.keyTypes.Load(typ); ok {
		fields, ok := known.([]int)
		return fields, ok
	}
	if typ.Kind() != reflect.Struct || typ.NumField() != len(t.keys) {
		return nil, false
	}
	fields := make([]int, len(t.keys))
	for i, n := range t.keys {
		want := t.typ.Field(t.cols[n].field)
		f, ok := typ.FieldByName(want.Name)
		if !ok || f.Type != want.Type || len(f.Index) != 1 {
			return nil, false
		}
		fields[i] = f.Index[0]
	}
	t.keyTypes.Store(typ, fields)
	return fields, true
}
