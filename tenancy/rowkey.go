package tenancy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"
)

// keyKind is what a column of a key holds, as descriptions name it; "" for a column
// that is no part of the key.
type keyKind string

const (
	uuidKey    keyKind = "uuid"
	textKey    keyKind = "text"
	integerKey keyKind = "integer"
)

// keyKindOf says what a key of this type holds; "" for a type that cannot be one.
func keyKindOf(t reflect.Type) keyKind {
	switch {
	case uuidLike(t):
		return uuidKey
	case t.Implements(valuerType) || reflect.PointerTo(t).Implements(scannerType):
		return "" // stored in a form of its own
	case t.Kind() == reflect.String:
		return textKey
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		return integerKey
	}
	return ""
}

// rowKey is the key of one row.
type rowKey struct {
	id     uuid.UUID // the name of the row in events and ciphertexts
	values []any     // of the columns of the key; nil where the one value is id
}

// params are the parameters of a statement about the row, the tenant's first.
func (k rowKey) params(tenant any) []any {
	if k.values == nil {
		return []any{tenant, k.id}
	}
	return append([]any{tenant}, k.values...)
}

// derives reports whether rows are named by a UUID that is made of their keys, since
// the key is not one UUID.
func (t *table) derives() bool { return len(t.keys) != 1 || t.cols[t.keys[0]].key != uuidKey }

// keyOf is the UUID that names a row: its key, or what is made of it.
func (t *table) keyOf(row reflect.Value) uuid.UUID {
	if !t.derives() {
		return t.cols[t.keys[0]].uuidAt(row)
	}
	return t.rowID(t.keyValues(row))
}

// keyAt is the key of a row, whatever its values.
func (t *table) keyAt(row reflect.Value) rowKey {
	if !t.derives() {
		return rowKey{id: t.cols[t.keys[0]].uuidAt(row)}
	}
	values := t.keyValues(row)
	return rowKey{id: t.rowID(values), values: values}
}

// checkedKey is the key of a row of the caller's, which must be whole. An id that
// the library draws may be missing still.
func (t *table) checkedKey(row reflect.Value) (rowKey, error) {
	k := t.keyAt(row)
	return k, t.checkKey(k.values)
}

func (t *table) keyValues(row reflect.Value) []any {
	values := make([]any, len(t.keys))
	for i, n := range t.keys {
		c := &t.cols[n]
		values[i] = c.keyValue(row.Field(c.field))
	}
	return values
}

// keyValue is a value of the key as engines bind it.
func (c *column) keyValue(v reflect.Value) any {
	switch c.key {
	case textKey:
		return v.String()
	case integerKey:
		return v.Int()
	default:
		u, _ := reflect.TypeAssert[uuid.UUID](v.Convert(uuidType))
		return u
	}
}

// is reports whether the column of the key has the value in the row.
func (c *column) is(row reflect.Value, value any) bool {
	f := row.Field(c.field)
	switch x := value.(type) {
	case string:
		return c.key == textKey && f.String() == x
	case int64:
		return c.key == integerKey && f.Int() == x
	case uuid.UUID:
		return c.key == uuidKey && c.uuidAt(row) == x
	}
	return false
}

// checkKey refuses values of which one is missing. A number may be zero.
func (t *table) checkKey(values []any) error {
	for i, v := range values {
		if v == "" || v == uuid.Nil {
			return fmt.Errorf("tenancy: key of %s: column %s has no value: %w", t.name, t.cols[t.keys[i]].name, ErrBadValue)
		}
		if s, ok := v.(string); ok {
			if err := checkText(s); err != nil {
				return fmt.Errorf("tenancy: key of %s: column %s: %w", t.name, t.cols[t.keys[i]].name, err)
			}
		}
	}
	return nil
}

// rowIDLabel separates the ids of rows from whatever else is hashed.
const rowIDLabel = "art32/row-id/v1"

// rowID makes a UUID of the values of a key, in the order of the declaration. It does
// not depend on that order: docs/formats/row-id.md.
func (t *table) rowID(values []any) uuid.UUID {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	name := func(i int) string { return t.cols[t.keys[i]].name }
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(name(a), name(b)) })
	b := append(make([]byte, 0, 256), rowIDLabel...)
	b = appendText(b, t.name)
	for _, i := range order {
		b = appendText(b, name(i))
		switch v := values[i].(type) {
		case string:
			b = appendText(append(b, 't'), v)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case uuid.UUID:
			b = append(append(b, 'u'), v[:]...)
		}
	}
	sum := sha256.Sum256(b)
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	return id
}

// appendText writes a text behind its length.
func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
