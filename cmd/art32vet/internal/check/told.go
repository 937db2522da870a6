package check

import (
	"go/ast"
	"go/constant"
	"go/types"
	"regexp"
	"strings"
)

// told are the arguments of a call, but for those of which a format shows the
// type alone.
func told(info *types.Info, call *ast.CallExpr) []ast.Expr {
	text, first := format(info, call)
	if strings.ContainsAny(text, "*[") { // arguments out of order
		return call.Args
	}
	var out []ast.Expr
	verbs := verb.FindAllStringSubmatch(strings.ReplaceAll(text, "%%", ""), -1)
	for i, arg := range call.Args {
		if n := i - first; n < 0 || n >= len(verbs) || verbs[n][1] != "T" {
			out = append(out, arg)
		}
	}
	return out
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*(.)`)

// format is the constant format of a call of fmt or log, and the place of the
// first argument that it shows; "" where there is none.
func format(info *types.Info, call *ast.CallExpr) (text string, first int) {
	fn := callee(info, call)
	if fn == nil || fn.Pkg() == nil || !strings.HasSuffix(fn.Name(), "f") || !fn.Signature().Variadic() || call.Ellipsis.IsValid() {
		return "", 0
	}
	if path := fn.Pkg().Path(); path != "fmt" && path != "log" {
		return "", 0
	}
	first = fn.Signature().Params().Len() - 1
	if first < 1 || len(call.Args) < first {
		return "", 0
	}
	value := info.Types[call.Args[first-1]].Value
	if value == nil || value.Kind() != constant.String {
		return "", 0
	}
	return constant.StringVal(value), first
}

// shown reports whether an argument prints a revealed value: its own, or one
// that was put into a part of it.
func (f *flow) shown(e ast.Expr) bool {
	if f.revealed(e) {
		return true
	}
	e = ast.Unparen(e)
	if u, ok := e.(*ast.UnaryExpr); ok {
		e = u.X
	}
	k, ok := f.place(e)
	return ok && f.holdsPart(k) && !printsItself(f.info.TypeOf(e))
}

// printsItself reports a type that decides what of it is printed.
func printsItself(t types.Type) bool {
	if _, ok := types.Unalias(t).(*types.Pointer); !ok {
		t = types.NewPointer(t)
	}
	methods := types.NewMethodSet(t)
	for _, name := range []string{"String", "Error", "Format", "GoString", "LogValue", "MarshalJSON", "MarshalText"} {
		if methods.Lookup(nil, name) != nil {
			return true
		}
	}
	return false
}
