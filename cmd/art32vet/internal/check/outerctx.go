package check

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// OuterCtx reports contexts and databases from outside a transaction.
var OuterCtx = &analysis.Analyzer{
	Name: "outerctx",
	Doc: `report contexts and databases from outside inside a transaction

The function that DB.In or DB.InSQL runs, and any function literal, function or
method that takes a context.Context and a *tenancy.Tx or *tenancy.SQLTx as theirs
do, receives a context that carries the transaction. A context from outside does
not: what is recorded through it is written elsewhere and survives a rollback.
Reported are variables and fields of type context.Context from outside, those of
the receiver included, the Context method of a value from outside, such as an
*http.Request, other values from outside that are passed as a context, and
context.Background and context.TODO. A *tenancy.DB that is passed to a
repository's verb, where the transaction belongs, is reported too: the call
answers tenancy.ErrTxInUse; so is a tenancy.Conn from outside. A function literal
that takes a transaction without a context, and is not made inside one, is judged
in the same way. What is only read from a context (Value, Done, Err, Deadline) is
let pass, and a variable from outside that was set to a value of the inner context
(r = r.WithContext(ctx)). Function literals that are kept in a variable from
outside and do not use the transaction run after it, and are left alone. Not seen
are contexts that a function or method hands out, and that elements of slices and
maps, pointers and channels do, and functions of a context that use a database
they caught outside.`,
	URL: "https://" + module,
	Run: outerCtx,
}

func outerCtx(pass *analysis.Pass) (any, error) {
	r := newReporter(pass)
	for _, f := range pass.Files {
		ast.PreorderStack(f, nil, func(n ast.Node, above []ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				if t := pass.TypesInfo.TypeOf(n); takesTx(t) || takesTxAlone(t) && !slices.ContainsFunc(above, r.isTransaction) {
					newTransaction(r, n.Type.Params, n.Body, takesTx(t)).check()
				}
			case *ast.FuncDecl:
				if n.Body != nil && r.isTransaction(n) {
					newTransaction(r, n.Type.Params, n.Body, true).check()
				}
			}
			return true
		})
	}
	return nil, nil //nolint:nilnil // no result
}

// transaction is a function that runs in one.
type transaction struct {
	*reporter

	info   *types.Info
	params *ast.FieldList // what stands before them is outside, the receiver too
	body   *ast.BlockStmt
	kept   map[*ast.FuncLit]bool // for after the transaction
	set    map[*types.Var]bool   // from outside, but set to a value of the inner context
	remedy string                // for a context from outside
}

func newTransaction(r *reporter, params *ast.FieldList, body *ast.BlockStmt, context bool) *transaction {
	t := &transaction{
		reporter: r, info: r.pass.TypesInfo, params: params, body: body,
		kept: map[*ast.FuncLit]bool{}, set: map[*types.Var]bool{}, remedy: "use the context that the function receives",
	}
	if !context {
		t.remedy = "let the function receive that of the transaction"
	}
	return t
}

// isTransaction reports a function that takes a context and a transaction.
func (r *reporter) isTransaction(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncLit:
		return takesTx(r.pass.TypesInfo.TypeOf(n))
	case *ast.FuncDecl:
		return takesTx(r.pass.TypesInfo.TypeOf(n.Name))
	}
	return false
}

func takesTx(t types.Type) bool {
	ctx, tx := takes(t)
	return ctx && tx
}

func takesTxAlone(t types.Type) bool {
	ctx, tx := takes(t)
	return !ctx && tx
}

func takes(t types.Type) (ctx, tx bool) {
	sig, ok := t.(*types.Signature)
	if !ok {
		return false, false
	}
	for p := range sig.Params().Variables() {
		ctx = ctx || isContext(p.Type())
		tx = tx || isTx(p.Type())
	}
	return ctx, tx
}

func isTx(t types.Type) bool {
	return isPointerTo(t, tenancyPkg, "Tx") || isPointerTo(t, tenancyPkg, "SQLTx")
}

// check looks at the body, but not into transactions within: they are looked at
// themselves, and what is outside for this one is for them too.
func (t *transaction) check() {
	ast.Inspect(t.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return !takesTx(t.info.TypeOf(n)) && !t.kept[n]
		case *ast.AssignStmt:
			t.keep(n)
			t.reset(n)
		case *ast.CallExpr:
			t.call(n)
		case *ast.SelectorExpr:
			switch {
			case t.readsOnly(n):
				return false
			case t.fieldOutside(n):
				t.outside(n, types.ExprString(n))
			case t.methodOutside(n):
				t.outside(n, types.ExprString(n)+"()")
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

// keep notes function literals that are assigned or appended to a variable from
// outside, unless they use the transaction.
func (t *transaction) keep(n *ast.AssignStmt) {
	for i, right := range n.Rhs {
		if len(n.Lhs) != len(n.Rhs) || !t.rootOutside(n.Lhs[i]) {
			continue
		}
		values := []ast.Expr{right}
		if call, ok := ast.Unparen(right).(*ast.CallExpr); ok && t.info.Types[call.Fun].IsBuiltin() {
			values = call.Args
		}
		for _, v := range values {
			if lit, ok := ast.Unparen(v).(*ast.FuncLit); ok && !t.usesTx(lit) {
				t.kept[lit] = true
			}
		}
	}
}

// reset notes variables from outside that are set to what comes from inside, as
// by r = r.WithContext(ctx): behind it they are of the inside. Contexts are not
// meant: one that is kept outside outlives the transaction.
func (t *transaction) reset(n *ast.AssignStmt) {
	for i, left := range n.Lhs {
		id, ok := ast.Unparen(left).(*ast.Ident)
		if !ok || len(n.Lhs) != len(n.Rhs) {
			continue
		}
		v, ok := t.info.Uses[id].(*types.Var)
		if ok && !isContext(v.Type()) && t.declaredOutside(v) && isCall(n.Rhs[i]) && !t.rootOutside(n.Rhs[i]) {
			t.set[v] = true
		}
	}
}

// readsOnly reports a method of a context through which nothing is recorded.
func (t *transaction) readsOnly(sel *ast.SelectorExpr) bool {
	return isContext(t.info.TypeOf(sel.X)) && slices.Contains([]string{"Value", "Done", "Err", "Deadline"}, sel.Sel.Name)
}

func (t *transaction) usesTx(lit *ast.FuncLit) (uses bool) {
	ast.Inspect(lit, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		uses = uses || ok && t.info.Uses[id] != nil && isTx(t.info.Uses[id].Type())
		return !uses
	})
	return uses
}

// call judges the arguments, and calls that make a context.
func (t *transaction) call(call *ast.CallExpr) {
	fn := callee(t.info, call)
	switch {
	case fn == nil:
	case fn.FullName() == "context.Background", fn.FullName() == "context.TODO":
		t.reportf(call, "%s carries no transaction: %s", types.ExprString(call), t.remedy)
	case t.methodExpr(call) && givesContext(fn) && t.rootOutside(call.Args[0]):
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

// methodExpr reports a call such as (*http.Request).Context(r).
func (t *transaction) methodExpr(call *ast.CallExpr) bool {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	s, ok := t.info.Selections[sel]
	return ok && s.Kind() == types.MethodExpr && len(call.Args) == 1
}

// givesContext reports a method such as that of *http.Request.
func givesContext(fn *types.Func) bool {
	sig := fn.Signature()
	return fn.Name() == "Context" && sig.Params().Len() == 0 && sig.Results().Len() == 1 && isContext(sig.Results().At(0).Type())
}

func (t *transaction) argument(arg ast.Expr, param types.Type) {
	typ := t.info.TypeOf(arg)
	switch {
	case isNamed(param, tenancyPkg, "Conn") && isPointerTo(typ, tenancyPkg, "DB"):
		t.reportf(arg, "%s is passed inside a transaction: pass the transaction that the function receives, else the call answers ErrTxInUse", types.ExprString(arg))
	case isNamed(param, tenancyPkg, "Conn") && isNamed(typ, tenancyPkg, "Conn") && t.rootOutside(arg):
		t.reportf(arg, "%s comes from outside the function: pass the transaction that the function receives", types.ExprString(arg))
	case isContext(param) && !isContext(typ) && !isCall(arg) && t.rootOutside(arg):
		t.outside(arg, types.ExprString(arg))
	}
}

func (t *transaction) outside(at ast.Node, name string) {
	t.reportf(at, "%s comes from outside the function and carries no transaction: %s", name, t.remedy)
}

// fieldOutside reports a context in a field of a struct from outside.
func (t *transaction) fieldOutside(sel *ast.SelectorExpr) bool {
	s, ok := t.info.Selections[sel]
	return ok && s.Kind() == types.FieldVal && isContext(s.Type()) && t.rootOutside(sel.X)
}

// methodOutside reports the method Context of a value from outside, called or
// kept as a value.
func (t *transaction) methodOutside(sel *ast.SelectorExpr) bool {
	s, ok := t.info.Selections[sel]
	if !ok || s.Kind() != types.MethodVal {
		return false
	}
	fn, ok := s.Obj().(*types.Func)
	return ok && givesContext(fn) && t.rootOutside(sel.X)
}

// rootOutside reports whether the variable that an expression begins with is
// declared outside the function. The result of a call that is given a context,
// such as r.WithContext(ctx), comes from where the context does.
func (t *transaction) rootOutside(e ast.Expr) bool {
	for x := e; x != nil; x = within(x) {
		call, ok := x.(*ast.CallExpr)
		if !ok {
			continue
		}
		for _, arg := range call.Args {
			if isContext(t.info.TypeOf(arg)) {
				return t.rootOutside(arg)
			}
		}
	}
	v, ok := t.info.Uses[rootOf(e)].(*types.Var)
	return ok && t.declaredOutside(v)
}

func (t *transaction) declaredOutside(v *types.Var) bool {
	if t.set[v] {
		return false
	}
	return v.Pos() < t.params.Pos() || v.Pos() >= t.body.End()
}

func isCall(e ast.Expr) bool {
	_, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok
}

func isContext(t types.Type) bool { return t != nil && isNamed(t, "context", "Context") }
