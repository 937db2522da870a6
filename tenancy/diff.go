package tenancy

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/art32/art32/crypto/field"
)

// diff lists the columns in which two rows differ. An invalid old is an insert,
// an invalid row a delete; NULL and zero values of those are left out.
func (t *table) diff(old, row reflect.Value) ([]FieldChange, error) {
	var changes []FieldChange
	for i := range t.cols {
		c := &t.cols[i]
		if i == t.tenant || i == t.version || c.key != "" && !t.derives() { // the event names the row by its id
			continue
		}
		fc, differs, err := t.diffColumn(c, old, row)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.name, err)
		}
		if differs {
			changes = append(changes, fc)
		}
	}
	return changes, nil
}

func (t *table) diffColumn(c *column, old, row reflect.Value) (FieldChange, bool, error) {
	fc := FieldChange{Column: c.name, Class: c.class}
	if c.sealed() && old.IsValid() && row.IsValid() && sameSealed(sealable(old, c), sealable(row, c)) {
		return fc, false, nil
	}
	var err error
	if fc.Old, err = plain(c, old); err != nil {
		return fc, false, err
	}
	if fc.New, err = plain(c, row); err != nil {
		return fc, false, err
	}
	if v := reflect.ValueOf(fc.New); c.sealed() && v.IsValid() && v.Kind() == reflect.String {
		if err := checkText(v.String()); err != nil { // would not be the same text in documents and exports
			return fc, false, err
		}
	}
	return fc, differ(c, fc, old, row), nil
}

// differ decides whether a column changed, once both plain values are known.
func differ(c *column, fc FieldChange, old, row reflect.Value) bool {
	switch {
	case old.IsValid() && row.IsValid() && !c.sealed():
		return !same(old.Field(c.field), row.Field(c.field))
	case fc.Old == nil || fc.New == nil:
		return fc.Old != fc.New
	}
	return !same(reflect.ValueOf(fc.Old), reflect.ValueOf(fc.New))
}

// sameSealed reports whether a sealed field was left as it was read.
func sameSealed(old, row field.Sealable) bool {
	return !row.Fresh() && bytes.Equal(old.Ciphertext(), row.Ciphertext())
}

// revealer is the part of [*field.Encrypted] that gives the plain value.
type revealer interface{ RevealAny() (any, error) }

// plain is the value that the event shows: nil for NULL, for what is not there,
// and for what was erased.
func plain(c *column, row reflect.Value) (any, error) {
	if !row.IsValid() {
		return nil, nil //nolint:nilnil // no row
	}
	f := row.Field(c.field)
	if !c.sealed() {
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				return nil, nil //nolint:nilnil // NULL
			}
			f = f.Elem()
		}
		if uuidLike(f.Type()) { // not under a name of the application's, which may print otherwise
			return f.Convert(uuidType).Interface(), nil
		}
		if t, ok := reflect.TypeAssert[time.Time](f); ok {
			return t.UTC().Truncate(time.Microsecond), nil // as it is stored
		}
		return f.Interface(), nil
	}
	s := sealable(row, c)
	if s.IsNull() {
		return nil, nil //nolint:nilnil // NULL
	}
	v, err := row.Field(c.field).Addr().Interface().(revealer).RevealAny() //nolint:forcetypeassert // a *field.Encrypted
	if errors.Is(err, field.ErrErased) {
		return nil, nil //nolint:nilnil // erased
	}
	return v, err
}
