package check

import (
	"go/types"
	"reflect"
)

// methods are the names of a pair that writes and reads a value.
type methods [2]string

var (
	methodsOfJSON = methods{"MarshalJSON", "UnmarshalJSON"}
	methodsOfText = methods{"MarshalText", "UnmarshalText"}
)

// speakForAll reports whether the methods, which t has, write and read all that
// shows of it, which those of an embedded field do where it stands alone.
func (m methods) speakForAll(t types.Type) bool {
	t = types.Unalias(t)
	if _, ok := t.Underlying().(*types.Pointer); ok || types.IsInterface(t) {
		return false
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || !promoted(t, m[0]) && !promoted(t, m[1]) {
		return true
	}
	var embedded types.Type
	for i := range s.NumFields() {
		f, tag := s.Field(i), reflect.StructTag(s.Tag(i)).Get("json")
		switch {
		case f.Embedded() && embedded == nil:
			embedded = f.Type()
		case f.Embedded() || f.Exported() && tag != "-":
			return false
		}
	}
	return embedded != nil && m.speakForAll(embedded)
}

// promoted reports whether t has a method from an embedded field.
func promoted(t types.Type, name string) bool {
	method := types.NewMethodSet(types.NewPointer(t)).Lookup(nil, name)
	return method != nil && len(method.Index()) > 1
}
