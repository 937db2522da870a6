package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// revealed reports whether an expression holds a revealed value, or part of one.
func (f *flow) revealed(e ast.Expr) bool {
	e = ast.Unparen(e)
	if k, ok := f.place(e); ok && f.holds(k) {
		return true
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return computes(e.Op) && (f.revealed(e.X) || f.revealed(e.Y))
	case *ast.UnaryExpr:
		return e.Op == token.AND && f.revealed(e.X)
	case *ast.StarExpr:
		return f.revealed(e.X)
	case *ast.IndexExpr:
		return f.revealed(e.X)
	case *ast.SliceExpr:
		return f.revealed(e.X)
	case *ast.TypeAssertExpr:
		return f.revealed(e.X)
	case *ast.CompositeLit:
		return slices.ContainsFunc(e.Elts, f.revealedElement)
	case *ast.CallExpr:
		return f.revealedCall(e)
	}
	return false
}

func (f *flow) revealedElement(e ast.Expr) bool {
	if kv, ok := e.(*ast.KeyValueExpr); ok {
		e = kv.Value
	}
	return f.revealed(e)
}

// revealedCall reports whether the result of a call holds what was revealed.
func (f *flow) revealedCall(call *ast.CallExpr) bool {
	if f.isReveal(call) || f.tells(call, 0) {
		return true
	}
	anyArg := slices.ContainsFunc(told(f.info, call), f.revealed)
	if tv := f.info.Types[call.Fun]; tv.IsType() {
		return anyArg
	} else if tv.IsBuiltin() {
		return anyArg && carries(f.info.TypeOf(call))
	}
	fn := callee(f.info, call)
	switch {
	case fn == nil:
		return false
	case fn.Pkg() != nil && parses(fn):
		return anyArg
	case !f.resultCarries(call):
		return false
	case fn.Signature().Recv() != nil:
		return f.revealedMethod(call, fn)
	case len(call.Args) == 1 && f.isRevealExpr(call.Args[0]): // must(c.Name.Reveal())
		return true
	}
	return anyArg && handsOn(fn)
}

// handsOn reports a function of the standard library whose result tells its
// arguments.
func handsOn(fn *types.Func) bool {
	switch fn.Pkg().Path() {
	case "fmt", "strings", "bytes", "strconv", "cmp", "slices", "io", "html", "net/url",
		"encoding/json", "encoding/hex", "path", "path/filepath", "unicode/utf8":
		return true
	case "maps":
		return fn.Name() != "Keys"
	}
	return false
}

// revealedMethod reports a method of a revealed value, such as the text of an
// error, and what a strings.Replacer, pattern or encoding makes of one.
func (f *flow) revealedMethod(call *ast.CallExpr, fn *types.Func) bool {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && f.revealed(sel.X) {
		return true
	}
	return fn.Pkg() != nil && slices.Contains([]string{"strings", "regexp", "encoding/base64"}, fn.Pkg().Path()) &&
		slices.ContainsFunc(call.Args, f.revealed)
}

func (f *flow) isRevealExpr(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok && f.isReveal(call)
}

// computes reports an operator whose result tells its operands; a comparison
// tells a verdict.
func computes(op token.Token) bool { return op >= token.ADD && op <= token.AND_NOT }

// isReveal reports a call of Reveal or RevealAny, also through a variable that
// holds the method.
func (f *flow) isReveal(call *ast.CallExpr) bool {
	if fn := callee(f.info, call); fn != nil {
		return reveals(fn)
	}
	return f.hasRole(call.Fun, revealMethod)
}

// isRevealMethod reports the method Reveal or RevealAny as a value.
func (f *flow) isRevealMethod(e ast.Expr) bool {
	sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	fn, ok := f.info.Uses[sel.Sel].(*types.Func)
	return ok && reveals(fn)
}

func reveals(fn *types.Func) bool {
	return fn.Pkg() != nil && fn.Pkg().Path() == fieldPkg && (fn.Name() == "Reveal" || fn.Name() == "RevealAny")
}

// parses reports a function of the standard library all of whose results tell
// its argument: the value, and the error, which quotes it.
func parses(fn *types.Func) bool {
	switch fn.Pkg().Path() {
	case "strconv", "time", "net/url", "net/netip":
		return strings.HasPrefix(fn.Name(), "Parse") || fn.Name() == "Atoi"
	}
	return false
}

// resultCarries reports whether any result of a call can hold content.
func (f *flow) resultCarries(call *ast.CallExpr) bool {
	t := f.info.TypeOf(call)
	if results, ok := t.(*types.Tuple); ok {
		for v := range results.Variables() {
			if carries(v.Type()) {
				return true
			}
		}
		return false
	}
	return carries(t)
}

// carries reports whether a value of the type tells content: numbers that are
// computed from it (a length, a position), verdicts and errors do not.
func carries(t types.Type) bool {
	if t == nil || types.Identical(t, types.Universe.Lookup("error").Type()) {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return !ok || b.Info()&types.IsString != 0
}
