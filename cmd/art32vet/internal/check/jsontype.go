package check

import (
	"go/types"
	"reflect"
)

// This file judges structs and maps as crypto/field/jsontype.go does, by go/types
// in place of reflect.

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
	if out, in := jsonMethods(t, addressable); out || in {
		return out && in
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
		return w.keepsStruct(u, addressable)
	}
	return false
}

func (w jsonWalk) keepsStruct(s *types.Struct, addressable bool) bool {
	seen := false
	for i := range s.NumFields() {
		f := s.Field(i)
		_, isPointer := f.Type().Underlying().(*types.Pointer)
		_, isStruct := f.Type().Underlying().(*types.Struct)
		switch {
		case reflect.StructTag(s.Tag(i)).Get("json") == "-" || !f.Exported() && !f.Embedded():
			continue
		case !f.Exported() && isPointer:
			return false
		case !f.Exported() && !isStruct:
			continue
		}
		if !w.keeps(f.Type(), addressable) {
			return false
		}
		seen = true
	}
	return seen
}

func jsonMethods(t types.Type, addressable bool) (out, in bool) {
	const marshal, unmarshal = "() ([]byte, error)", "([]byte) (error)"
	out, in = hasMethod(t, "MarshalJSON", marshal), hasMethod(t, "UnmarshalJSON", unmarshal)
	if !out && !in {
		out, in = textMethods(t)
	}
	if out && !addressable && !ownMethod(t, "MarshalJSON", marshal) && !ownMethod(t, "MarshalText", marshal) {
		out = false
	}
	return out, in
}

func keepsKey(t types.Type) bool {
	out := ownMethod(t, "MarshalText", "() ([]byte, error)")
	in := hasMethod(t, "UnmarshalText", "([]byte) (error)")
	if kind(t, append(numbers(), types.String)...) {
		return out == in
	}
	return !types.IsInterface(t) && out && in
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
