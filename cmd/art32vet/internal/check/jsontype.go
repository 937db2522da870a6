package check

import (
	"go/types"
	"reflect"
	"strings"
	"unicode"
)

// This file judges structs and maps as crypto/field/jsontype.go and promoted.go
// do, by go/types in place of reflect.

// jsonWalk holds the types that are being looked at, since a type may hold
// itself behind a pointer.
type jsonWalk map[types.Type]bool

// keeps reports whether a value of t comes back from encoding/json as it went in;
// addressable says whether the methods of its pointer are reached.
func (w jsonWalk) keeps(t types.Type, addressable bool) bool {
	t = types.Unalias(t)
	if w[t] {
		return true
	}
	w[t] = true
	defer delete(w, t)
	if types.IsInterface(t) || plainType(t) != nil {
		return false
	}
	if out, in, by := jsonMethods(t, addressable); out || in {
		return out && in && by.speakForAll(t)
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return kind(t, append(numbers(), types.String, types.Bool, types.Float32, types.Float64)...)
	case *types.Pointer:
		return w.keeps(u.Elem(), true)
	case *types.Slice:
		return w.keeps(u.Elem(), true)
	case *types.Array:
		return w.keeps(u.Elem(), addressable)
	case *types.Map:
		return keepsKey(u.Key()) && w.keeps(u.Elem(), false)
	case *types.Struct:
		return w.keepsStruct(t, addressable)
	}
	return false
}

func (w jsonWalk) keepsStruct(t types.Type, addressable bool) bool {
	shown := shownFields{names: map[string]bool{}, within: map[types.Type]bool{}}
	return w.keepsFields(t, addressable, shown)
}

// shownFields are the names under which fields of a struct show, and the structs
// embedded in each other that are being looked at.
type shownFields struct {
	names  map[string]bool
	within map[types.Type]bool
}

// keepsFields refuses a name that comes twice, also from an embedded struct.
func (w jsonWalk) keepsFields(t types.Type, addressable bool, shown shownFields) bool {
	s, ok := t.Underlying().(*types.Struct)
	if !ok || shown.within[t] || plainType(t) != nil {
		return false
	}
	shown.within[t] = true
	defer delete(shown.within, t)
	before := len(shown.names)
	for i := range s.NumFields() {
		f, tag := s.Field(i), reflect.StructTag(s.Tag(i)).Get("json")
		inner, isPointer, isStruct := embeddable(f.Type())
		switch {
		case tag == "-" || !f.Exported() && !f.Embedded():
			continue
		case !f.Exported() && isPointer:
			return false
		case !f.Exported() && !isStruct:
			continue
		case f.Embedded() && isStruct && taggedName(tag) == "":
			if !w.keepsFields(inner, addressable || isPointer, shown) {
				return false
			}
			continue
		}
		name := f.Name()
		if tagged := taggedName(tag); tagged != "" {
			name = tagged
		}
		if shown.names[name] || !w.keeps(f.Type(), addressable) {
			return false
		}
		shown.names[name] = true
	}
	return len(shown.names) > before
}

// embeddable looks through the pointer that an embedded field may have.
func embeddable(t types.Type) (inner types.Type, isPointer, isStruct bool) {
	inner = types.Unalias(t)
	p, isPointer := inner.Underlying().(*types.Pointer)
	if isPointer {
		inner = types.Unalias(p.Elem())
	}
	_, isStruct = inner.Underlying().(*types.Struct)
	return inner, isPointer, isStruct
}

// taggedName is the name that encoding/json takes from its tag.
func taggedName(tag string) string {
	name, _, _ := strings.Cut(tag, ",")
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) {
			return ""
		}
	}
	return name
}

func jsonMethods(t types.Type, addressable bool) (out, in bool, by methods) {
	const marshal, unmarshal = "() ([]byte, error)", "([]byte) (error)"
	out, in, by = hasMethod(t, "MarshalJSON", marshal), hasMethod(t, "UnmarshalJSON", unmarshal), methodsOfJSON
	if !out && !in {
		out, in = textMethods(t)
		by = methodsOfText
	}
	if out && !addressable && !ownMethod(t, "MarshalJSON", marshal) && !ownMethod(t, "MarshalText", marshal) {
		out = false
	}
	return out, in, by
}

func keepsKey(t types.Type) bool {
	out := ownMethod(t, "MarshalText", "() ([]byte, error)")
	in := hasMethod(t, "UnmarshalText", "([]byte) (error)")
	if kind(t, append(numbers(), types.String)...) {
		return out == in
	}
	return !types.IsInterface(t) && out && in && methodsOfText.speakForAll(t)
}

// textMethods reports whether a pointer to t is an encoding.TextMarshaler and an
// encoding.TextUnmarshaler.
func textMethods(t types.Type) (out, in bool) {
	return hasMethod(t, "MarshalText", "() ([]byte, error)"), hasMethod(t, "UnmarshalText", "([]byte) (error)")
}

func numbers() []types.BasicKind {
	return []types.BasicKind{
		types.Int, types.Int8, types.Int16, types.Int32, types.Int64,
		types.Uint, types.Uint8, types.Uint16, types.Uint32, types.Uint64,
	}
}
