package check

import (
	"go/types"
	"strings"
)

// plainType is T of a field.Encrypted[T], or of a type that embeds one; nil for
// any other type.
func plainType(t types.Type) types.Type {
	if _, ok := t.Underlying().(*types.Pointer); ok {
		return nil // a column of its own type
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, "PlainType")
	fn, ok := obj.(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != fieldPkg {
		return nil
	}
	encrypted, ok := types.Unalias(fn.Signature().Recv().Type()).(*types.Named)
	if !ok || encrypted.TypeArgs().Len() != 1 {
		return nil
	}
	return types.Unalias(encrypted.TypeArgs().At(0))
}

// encryptable is what field.CheckType accepts.
func encryptable(t types.Type) bool {
	if isNamed(t, "time", "Time") {
		return true
	}
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Interface:
		return false
	}
	if out, in := textMethods(t); out || in {
		return out && in && methodsOfText.speakForAll(t)
	}
	switch t.Underlying().(type) {
	case *types.Struct, *types.Map:
		return jsonWalk{}.keeps(t, true)
	}
	return kind(t, append(numbers(), types.String, types.Bool, types.Float32, types.Float64)...) || isBytes(t)
}

// deref is what a pointer points to, or the type itself.
func deref(t types.Type) types.Type {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		return types.Unalias(p.Elem())
	}
	return t
}

// storable is what an engine can store in clear.
func storable(t types.Type) bool {
	if isNamed(t, "time", "Time") || uuidLike(t) {
		return true
	}
	if valueMethod(t) && hasMethod(t, "Scan", "(any) (error)") {
		return true
	}
	return kind(t, types.String, types.Bool, types.Float32, types.Float64,
		types.Int, types.Int8, types.Int16, types.Int32, types.Int64,
		types.Uint8, types.Uint16, types.Uint32) || isBytes(t)
}

// keyLike is what a column of a key can be.
func keyLike(t types.Type) bool {
	if uuidLike(t) {
		return true
	}
	if valueMethod(t) || hasMethod(t, "Scan", "(any) (error)") {
		return false
	}
	return kind(t, types.String, types.Int, types.Int32, types.Int64)
}

// valueMethod reports whether t itself is a driver.Valuer.
func valueMethod(t types.Type) bool {
	return ownMethod(t, "Value", "() (database/sql/driver.Value, error)")
}

// ownMethod reports whether t itself, not only a pointer to it, has the method.
func ownMethod(t types.Type, name, want string) bool {
	sel := types.NewMethodSet(t).Lookup(nil, name)
	return sel != nil && signature(sel.Obj()) == want
}

// hasMethod reports whether a pointer to t has the method.
func hasMethod(t types.Type, name, want string) bool {
	sel := types.NewMethodSet(types.NewPointer(t)).Lookup(nil, name)
	return sel != nil && signature(sel.Obj()) == want
}

// signature prints the types of a method's parameters and results.
func signature(method types.Object) string {
	fn, ok := method.(*types.Func)
	if !ok {
		return ""
	}
	return tuple(fn.Signature().Params()) + " " + tuple(fn.Signature().Results())
}

func tuple(t *types.Tuple) string {
	var names []string
	for v := range t.Variables() {
		name := types.TypeString(types.Unalias(v.Type()), nil)
		if name == "interface{}" {
			name = "any"
		}
		names = append(names, strings.ReplaceAll(name, "uint8", "byte"))
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// uuidLike reports what converts to a uuid.UUID and is an array.
func uuidLike(t types.Type) bool {
	a, ok := t.Underlying().(*types.Array)
	return ok && a.Len() == 16 && types.Identical(a.Elem(), types.Typ[types.Byte])
}

func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	return ok && kind(s.Elem(), types.Uint8)
}

func kind(t types.Type, kinds ...types.BasicKind) bool {
	b, ok := t.Underlying().(*types.Basic)
	if !ok {
		return false
	}
	for _, k := range kinds {
		if b.Kind() == k {
			return true
		}
	}
	return false
}

// typeName prints a type as reflect does, but for byte and any.
func typeName(t types.Type) string {
	return types.TypeString(types.Unalias(t), func(p *types.Package) string { return p.Name() })
}
