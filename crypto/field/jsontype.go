package field

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"unicode"
)

var (
	jsonMarshaler   = reflect.TypeFor[json.Marshaler]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// keptJSON and keptText remember what was found: reflect.Type → bool.
var keptJSON, keptText sync.Map

// keepsJSON reports whether a value of t comes back from encoding/json as it
// went in, as far as its type can tell.
func keepsJSON(t reflect.Type) bool {
	return remembered(&keptJSON, t, func(t reflect.Type) bool { return jsonWalk{}.keeps(t, true) })
}

// keepsText reports the same of the methods for text, which t has.
func keepsText(t reflect.Type) bool {
	return t.Kind() != reflect.Struct || remembered(&keptText, t, methodsOfText.speakForAll)
}

func remembered(in *sync.Map, t reflect.Type, find func(reflect.Type) bool) bool {
	if kept, ok := in.Load(t); ok {
		return kept == true
	}
	kept := find(t)
	in.Store(t, kept)
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
	if out, in, by := jsonMethods(t, addressable); out || in {
		return out && in && by.speakForAll(t)
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
	shown := shownFields{names: map[string]bool{}, within: map[reflect.Type]bool{}}
	return w.keepsFields(t, addressable, shown)
}

// shownFields are the names under which fields of a struct show, and the structs
// embedded in each other that are being looked at.
type shownFields struct {
	names  map[string]bool
	within map[reflect.Type]bool
}

// keepsFields refuses a name that comes twice, also from an embedded struct:
// encoding/json shows one of the fields or none.
func (w jsonWalk) keepsFields(t reflect.Type, addressable bool, shown shownFields) bool {
	if shown.within[t] || isField(t) {
		return false
	}
	shown.within[t] = true
	defer delete(shown.within, t)
	before := len(shown.names)
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
		if inner, pointer, ok := flattened(f); ok {
			if !w.keepsFields(inner, addressable || pointer, shown) {
				return false
			}
			continue
		}
		name := shownName(f)
		if shown.names[name] || !w.keeps(f.Type, addressable) || !f.IsExported() && hasJSONMethods(f.Type) {
			return false
		}
		shown.names[name] = true
	}
	return len(shown.names) > before
}

// flattened returns the embedded struct whose fields show among those of the
// struct around it. Its methods are not asked.
func flattened(f reflect.StructField) (inner reflect.Type, pointer, ok bool) {
	inner = f.Type
	if pointer = inner.Kind() == reflect.Pointer; pointer {
		inner = inner.Elem()
	}
	return inner, pointer, f.Anonymous && inner.Kind() == reflect.Struct && taggedName(f) == ""
}

func shownName(f reflect.StructField) string {
	if name := taggedName(f); name != "" {
		return name
	}
	return f.Name
}

// taggedName is the name in the tag json; encoding/json passes over one with
// characters of other kinds.
func taggedName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) {
			return ""
		}
	}
	return name
}

// jsonMethods reports whether encoding/json writes and reads t by its methods,
// and by which.
func jsonMethods(t reflect.Type, addressable bool) (out, in bool, by methods) {
	p := reflect.PointerTo(t)
	out, in, by = p.Implements(jsonMarshaler), p.Implements(jsonUnmarshaler), methodsOfJSON
	if !out && !in {
		out, in, by = p.Implements(marshaler), p.Implements(unmarshaler), methodsOfText
	}
	if out && !addressable && !t.Implements(jsonMarshaler) && !t.Implements(marshaler) {
		out = false
	}
	return out, in, by
}

// hasJSONMethods reports whether encoding/json would call a method of t, which of
// an embedded field that is not exported it may not: it panics.
func hasJSONMethods(t reflect.Type) bool {
	out, in, _ := jsonMethods(t, true)
	return out || in
}

// keepsKey reports whether a map's keys come back. Those of a kind of string are
// written as they are, and read by their method where they have one.
func keepsKey(t reflect.Type) bool {
	switch t.Kind() { //nolint:exhaustive // the rest needs methods
	case reflect.String:
		return !t.Implements(marshaler) && !reflect.PointerTo(t).Implements(unmarshaler)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		out, in := t.Implements(marshaler), reflect.PointerTo(t).Implements(unmarshaler)
		return out == in
	}
	return t.Kind() != reflect.Interface && t.Implements(marshaler) && reflect.PointerTo(t).Implements(unmarshaler) &&
		methodsOfText.speakForAll(t)
}

// isField reports whether t is an [Encrypted].
func isField(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Implements(reflect.TypeFor[plainTyped]())
}
