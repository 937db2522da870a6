package tenancy

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"
)

// Reference says that a column of the rows of T holds the key of a row of R. It is
// declared beside the repositories and needs no foreign key in the database.
type Reference[T, R any] struct {
	c    *column
	from *table
	to   *Repository[R]
}

// NewReference checks that the column exists and holds a UUID, or a pointer to one,
// and that the other table's key is one UUID: of the same type, where both have a type
// of their own.
func NewReference[T, R any](from *Repository[T], name string, to *Repository[R]) (Reference[T, R], error) {
	i := slices.IndexFunc(from.t.cols, func(c column) bool { return c.name == name })
	if i < 0 {
		return Reference[T, R]{}, fmt.Errorf("tenancy: table %s declares no column %q", from.t.name, name)
	}
	c := &from.t.cols[i]
	typ := c.typ
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if !uuidLike(typ) {
		return Reference[T, R]{}, fmt.Errorf("tenancy: column %s.%s is a %s and refers to nothing: a UUID does", from.t.name, name, c.typ)
	}
	if to.t.derives() {
		return Reference[T, R]{}, fmt.Errorf("tenancy: column %s.%s refers to %s, whose key is not one UUID: find its rows by filters", from.t.name, name, to.t.name)
	}
	if key := to.t.cols[to.t.keys[0]].typ; key != typ && key != uuidType && typ != uuidType {
		return Reference[T, R]{}, fmt.Errorf("tenancy: column %s.%s is a %s, and the key of %s a %s", from.t.name, name, c.typ, to.t.name, key)
	}
	return Reference[T, R]{c: c, from: from.t, to: to}, nil
}

// MustReference is [NewReference] for declarations; it panics on error.
func MustReference[T, R any](from *Repository[T], name string, to *Repository[R]) Reference[T, R] {
	ref, err := NewReference(from, name, to)
	if err != nil {
		panic(err)
	}
	return ref
}

// Load reads the rows that rows refer to, each once, by their keys. One that does
// not exist, or is another tenant's, is absent. Up to 500 come with one statement.
func (f Reference[T, R]) Load(ctx context.Context, c Conn, rows []T) (map[uuid.UUID]R, error) {
	if f.to == nil {
		return nil, fmt.Errorf("tenancy: load: the zero Reference: %w", ErrBadValue)
	}
	seen := make(map[uuid.UUID]bool, len(rows))
	var ids []reflect.Value
	for i := range rows {
		v := reflect.ValueOf(&rows[i]).Elem().Field(f.c.field)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				continue
			}
			v = v.Elem()
		}
		if id := uuid.UUID(v.Bytes()); id != uuid.Nil && !seen[id] {
			seen[id] = true
			ids = append(ids, v)
		}
	}
	out := make(map[uuid.UUID]R, len(ids))
	for part := range slices.Chunk(ids, pageSize) {
		key := Filter{t: f.to.t, c: &f.to.t.cols[f.to.t.keys[0]], values: part}
		for row, err := range f.to.List(ctx, c, key, Limit(len(part))) {
			if err != nil {
				return nil, err
			}
			out[f.to.t.keyOf(reflect.ValueOf(&row).Elem())] = row
		}
	}
	return out, nil
}
