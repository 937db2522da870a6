package field

import (
	"encoding/json"
	"reflect"
	"sync"
)

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// keptJSON remembers what keepsJSON found: reflect.Type → bool.
var keptJSON sync.Map

// keepsJSON reports whether a value of t comes back from encoding/json as it
// went in, as far as its type can tell.
func keepsJSON(t reflect.Type) bool {
	if kept, ok := keptJSON.Load(t); ok {
		return kept == true
	}
	kept := jsonWalk{}.keeps(t, true)
	keptJSON.Store(t, kept)
	return kept
}

// jsonWalk holds the types that are being looked at, since a type may hold
// itself behind a pointer.
type jsonWalk map[reflect.Type]bool

// keeps looks at a type; addressable says whether encoding/json reaches the
// marshalers of its pointer.
func (w jsonWalk) keeps(t reflect.Type, addressable bool) bool {
	if w[t] {
		return true
	}
	w[t] = true
	defer delete(w, t)
	if t.Kind() == reflect.Interface || isField(t) { // a field would store its redaction marker
		return false
	}
	if out, in := jsonMethods(t, addressable); out || in {
		return out && in
	}
	switch t.Kind() { //nolint:exhaustive // the rest is not JSON
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Pointer, reflect.Slice:
		return w.keeps(t.Elem(), true)
	case reflect.Array:
		return w.keeps(t.Elem(), addressable)
	case reflect.Map:
		return keepsKey(t.Key()) && w.keeps(t.Elem(), false)
	case reflect.Struct:
		return w.keepsStruct(t, addressable)
	}
	return false
}

// keepsStruct looks at the fields that encoding/json sees, of which there must
// be one.
func (w jsonWalk) keepsStruct(t reflect.Type, addressable bool) bool {
	seen := false
	for f := range t.Fields() {
		if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if !f.IsExported() && f.Type.Kind() == reflect.Pointer {
			return false // is written, and cannot be read
		}
		if !f.IsExported() && f.Type.Kind() != reflect.Struct {
			continue
		}
		if !w.keeps(f.Type, addressable) {
			return false
		}
		seen = true
	}
	return seen
}

// jsonMethods reports whether encoding/json writes and reads t by its methods.
func jsonMethods(t reflect.Type, addressable bool) (out, in bool) {
	p := reflect.PointerTo(t)
	out, in = p.Implements(jsonMarshaler), p.Implements(jsonUnmarshaler)
	if !out && !in {
		out, in = p.Implements(marshaler), p.Implements(unmarshaler)
	}
	if out && !addressable && !t.Implements(jsonMarshaler) && !t.Implements(marshaler) {
		out = false
	}
	return out, in
}

// keepsKey reports whether a map's keys come back.
func keepsKey(t reflect.Type) bool {
	switch t.Kind() { //nolint:exhaustive // the rest needs methods
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		out, in := t.Implements(marshaler), reflect.PointerTo(t).Implements(unmarshaler)
		return out == in
	}
	return t.Kind() != reflect.Interface && t.Implements(marshaler) && reflect.PointerTo(t).Implements(unmarshaler)
}

// isField reports whether t is an [Encrypted].
func isField(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Implements(reflect.TypeFor[plainTyped]())
}
