package check

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// OuterCtx reports contexts and databases from outside a transaction.
var OuterCtx = &analysis.Analyzer{
	Name: "outerctx",
	Doc: `report contexts and databases from outside inside a transaction

The function that DB.In or DB.InSQL runs, and any function literal that takes a
context.Context and a *tenancy.Tx or *tenancy.SQLTx as theirs do, receives a
context that carries the transaction. A context from outside does not: what is
recorded through it is written elsewhere and survives a rollback. Reported are
variables and fields of type context.Context from outside the literal, the
Context method of a value from outside, such as an *http.Request, and other
values from outside that are passed as a context. A *tenancy.DB that is passed
to a repository's verb, where the transaction belongs, is reported too: the call
answers tenancy.ErrTxInUse.`,
	URL: "https://" + module,
	Run: outerCtx,
}

func outerCtx(pass *analysis.Pass) (any, error) {
	r := newReporter(pass)
	for _, f := range pass.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.FuncLit); ok && takesTx(pass.TypesInfo, lit) {
				(&transaction{reporter: r, info: pass.TypesInfo, lit: lit}).check()
			}
			return true
		})
	}
	return nil, nil //nolint:nilnil // no result
}

// transaction is a function literal that runs in one.
type transaction struct {
	*reporter

	info *types.Info
	lit  *ast.FuncLit
}

func takesTx(info *types.Info, lit *ast.FuncLit) bool {
	sig, ok := info.TypeOf(lit).(*types.Signature)
	if !ok {
		return false
	}
	var ctx, tx bool
	for p := range sig.Params().Variables() {
		ctx = ctx || isNamed(p.Type(), "context", "Context")
		tx = tx || isPointerTo(p.Type(), tenancyPkg, "Tx") || isPointerTo(p.Type(), tenancyPkg, "SQLTx")
	}
	return ctx && tx
}

// check looks at the body, but not into transactions within: they are looked at
// themselves, and what is outside for this one is for them too.
func (t *transaction) check() {
	ast.Inspect(t.lit.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return !takesTx(t.info, n)
		case *ast.CallExpr:
			t.call(n)
		case *ast.SelectorExpr:
			if t.fieldOutside(n) {
				t.outside(n, types.ExprString(n))
			}
		case *ast.Ident:
			v, ok := t.info.Uses[n].(*types.Var)
			if ok && !v.IsField() && isContext(v.Type()) && t.declaredOutside(v) {
				t.outside(n, n.Name)
			}
		}
		return true
	})
}

// call judges the arguments, and calls of a method Context.
func (t *transaction) call(call *ast.CallExpr) {
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Context" &&
		len(call.Args) == 0 && isContext(t.info.TypeOf(call)) && t.rootOutside(sel.X) {
		t.outside(call, types.ExprString(call))
	}
	sig, ok := t.info.TypeOf(call.Fun).(*types.Signature)
	if !ok {
		return
	}
	for i, arg := range call.Args {
		if i >= sig.Params().Len() {
			return
		}
		t.argument(arg, sig.Params().At(i).Type())
	}
}

func (t *transaction) argument(arg ast.Expr, param types.Type) {
	typ := t.info.TypeOf(arg)
	switch {
	case isNamed(param, tenancyPkg, "Conn") && isPointerTo(typ, tenancyPkg, "DB"):
		t.reportf(arg, "%s is passed inside a transaction: pass the transaction that the function receives, else the call answers ErrTxInUse", types.ExprString(arg))
	case isContext(param) && !isContext(typ) && !isCall(arg) && t.rootOutside(arg):
		t.outside(arg, types.ExprString(arg))
	}
}

func (t *transaction) outside(at ast.Node, name string) {
	t.reportf(at, "%s comes from outside the function and carries no transaction: use the context that the function receives", name)
}

// fieldOutside reports a context in a field of a struct from outside.
func (t *transaction) fieldOutside(sel *ast.SelectorExpr) bool {
	s, ok := t.info.Selections[sel]
	return ok && s.Kind() == types.FieldVal && isContext(s.Type()) && t.rootOutside(sel.X)
}

// rootOutside reports whether the variable that an expression begins with is
// declared outside the literal.
func (t *transaction) rootOutside(e ast.Expr) bool {
	v, ok := t.info.Uses[rootOf(e)].(*types.Var)
	return ok && t.declaredOutside(v)
}

func (t *transaction) declaredOutside(v *types.Var) bool {
	return v.Pos() < t.lit.Pos() || v.Pos() >= t.lit.End()
}

// rootOf is the identifier that an expression begins with, or nil.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.UnaryExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.TypeAssertExpr:
			e = x.X
		case *ast.CallExpr:
			e = x.Fun
		default:
			return nil
		}
	}
}

func isCall(e ast.Expr) bool {
	_, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok
}

func isContext(t types.Type) bool { return t != nil && isNamed(t, "context", "Context") }

// isNamed reports whether t is the type path.name, of whatever type arguments.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}

func isPointerTo(t types.Type, path, name string) bool {
	p, ok := types.Unalias(t).(*types.Pointer)
	return ok && isNamed(p.Elem(), path, name)
}
