package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// flow knows which variables of a declaration hold a revealed value at some
// point. It takes no note of the order of statements.
type flow struct {
	info    *types.Info
	held    map[held]bool
	changed bool
}

// held is a variable, or a field or element of it by its path.
type held struct {
	root types.Object
	path string
}

// newFlow reads the assignments of a declaration until nothing new comes.
func newFlow(info *types.Info, decl ast.Decl) *flow {
	f := &flow{info: info, held: map[held]bool{}, changed: true}
	for f.changed {
		f.changed = false
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				f.assign(n.Lhs, n.Rhs)
			case *ast.ValueSpec:
				names := make([]ast.Expr, len(n.Names))
				for i, name := range n.Names {
					names[i] = name
				}
				f.assign(names, n.Values)
			case *ast.RangeStmt:
				if n.Value != nil && f.revealed(n.X) {
					f.mark(n.Value)
				}
			}
			return true
		})
	}
	return f
}

func (f *flow) assign(left, right []ast.Expr) {
	if len(left) == len(right) {
		for i := range left {
			if f.revealed(right[i]) {
				f.mark(left[i])
			}
		}
		return
	}
	if len(right) == 1 && f.revealed(right[0]) {
		f.spread(left, right[0])
	}
}

// spread assigns several results of one expression: the first of Reveal or of
// `v, ok :=`, else those that can hold content.
func (f *flow) spread(left []ast.Expr, right ast.Expr) {
	call, ok := ast.Unparen(right).(*ast.CallExpr)
	if !ok || f.isReveal(call) {
		f.mark(left[0])
		return
	}
	results, ok := f.info.TypeOf(call).(*types.Tuple)
	for i := 0; ok && i < min(len(left), results.Len()); i++ {
		if carries(results.At(i).Type()) {
			f.mark(left[i])
		}
	}
}

// mark notes that a place holds a revealed value.
func (f *flow) mark(e ast.Expr) {
	if k, ok := f.place(e); ok && !f.held[k] {
		f.held[k] = true
		f.changed = true
	}
}

func (f *flow) place(e ast.Expr) (held, bool) {
	root := rootOf(e)
	if root == nil || root.Name == "_" {
		return held{}, false
	}
	obj := f.info.ObjectOf(root)
	if _, ok := obj.(*types.Var); !ok {
		return held{}, false
	}
	return held{obj, types.ExprString(ast.Unparen(e))}, true
}

// revealed reports whether an expression holds a revealed value, or part of one.
func (f *flow) revealed(e ast.Expr) bool {
	e = ast.Unparen(e)
	if k, ok := f.place(e); ok && f.held[k] {
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
	if f.isReveal(call) {
		return true
	}
	anyArg := slices.ContainsFunc(call.Args, f.revealed)
	if tv := f.info.Types[call.Fun]; tv.IsType() {
		return anyArg
	} else if tv.IsBuiltin() {
		return anyArg && carries(f.info.TypeOf(call))
	}
	fn := callee(f.info, call)
	switch {
	case fn == nil || fn.Pkg() == nil || !f.resultCarries(call):
		return false
	case fn.Signature().Recv() != nil:
		sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		return ok && f.revealed(sel.X)
	case len(call.Args) == 1 && f.isRevealExpr(call.Args[0]): // must(c.Name.Reveal())
		return true
	}
	switch fn.Pkg().Path() {
	case "fmt", "strings", "bytes", "strconv":
		return anyArg
	}
	return false
}

func (f *flow) isRevealExpr(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok && f.isReveal(call)
}

// computes reports an operator whose result tells its operands; a comparison
// tells a verdict.
func computes(op token.Token) bool { return op >= token.ADD && op <= token.AND_NOT }

// isReveal reports a call of Reveal or RevealAny.
func (f *flow) isReveal(call *ast.CallExpr) bool {
	fn := callee(f.info, call)
	return fn != nil && fn.Pkg() != nil && fn.Pkg().Path() == fieldPkg && (fn.Name() == "Reveal" || fn.Name() == "RevealAny")
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
