package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// ShapedSQL reports SQL that a program puts together while it runs.
var ShapedSQL = &analysis.Analyzer{
	Name: "shapedsql",
	Doc: `report SQL that is put together while the program runs

In a package that imports github.com/art32/art32/tenancy, the text of tenancy.Where
and of statements on the transaction of DB.InSQL must be fixed: a constant, or made
of constants alone, also by sqlx.In, sqlx.Named and Rebind. The database confines it
to the tenant, whoever wrote it; within the tenant it reads and writes what it likes.
Values are parameters. What is meant is excused by a comment on the line or the line
above: //art32:allow shapedsql REASON. Tests are not looked at.`,
	URL: "https://" + module,
	Run: shapedSQL,
}

const (
	sqlxPkg = "github.com/jmoiron/sqlx"
	sqlPkg  = "database/sql"
)

// handles are the types whose statements are callers' text.
var handles = map[string][]string{sqlxPkg: {"Tx", "Stmt", "NamedStmt"}, sqlPkg: {"Tx"}}

func shapedSQL(pass *analysis.Pass) (any, error) {
	if !slices.ContainsFunc(pass.Files, importsTenancy) {
		return nil, nil //nolint:nilnil // no result
	}
	r := newReporter(pass)
	texts := fixedTexts{info: pass.TypesInfo, given: map[types.Object][]ast.Expr{}, asked: map[types.Object]bool{}}
	for _, f := range pass.Files {
		texts.read(f)
	}
	for _, f := range pass.Files {
		if r.isTest(f) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if text := sqlText(pass.TypesInfo, call); text != nil && !texts.fixed(text) {
				r.reportf(text, "SQL is put together while the program runs: make it a constant and pass values as parameters, or say //art32:allow shapedsql and why")
			}
			return true
		})
	}
	return nil, nil //nolint:nilnil // no result
}

// sqlText is the argument of a call that holds SQL, nil if there is none.
func sqlText(info *types.Info, call *ast.CallExpr) ast.Expr {
	fn := callee(info, call)
	if fn == nil || fn.Pkg() == nil {
		return nil
	}
	sig := fn.Signature()
	if sig.Recv() == nil {
		if fn.Pkg().Path() == tenancyPkg && fn.Name() == "Where" && len(call.Args) > 0 {
			return call.Args[0]
		}
		return nil
	}
	named, ok := deref(sig.Recv().Type()).(*types.Named)
	if !ok || !slices.Contains(handles[fn.Pkg().Path()], named.Obj().Name()) || fn.Name() == "Rebind" || fn.Name() == "BindNamed" {
		return nil
	}
	for i := range sig.Params().Len() {
		if sig.Params().At(i).Name() == "query" && i < len(call.Args) {
			return call.Args[i]
		}
	}
	return nil
}

// fixedTexts knows what variables are given in one package.
type fixedTexts struct {
	info  *types.Info
	given map[types.Object][]ast.Expr // nil stands for what is not known
	asked map[types.Object]bool       // is being judged
}

// read notes every assignment of a file.
func (x *fixedTexts) read(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				x.note(left, valueAt(n.Rhs, i)) // of += the text that is added
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if len(n.Values) > 0 {
					x.note(name, valueAt(n.Values, i))
				}
			}
		case *ast.RangeStmt:
			x.note(n.Key, nil)
			x.note(n.Value, nil)
		case *ast.UnaryExpr:
			if n.Op == token.AND { // whoever has the pointer sets it
				x.note(n.X, nil)
			}
		}
		return true
	})
}

// valueAt is what the variable number i is given; of a call with several results,
// the call for the first.
func valueAt(values []ast.Expr, i int) ast.Expr {
	if i < len(values) {
		return values[i]
	}
	return nil
}

func (x *fixedTexts) note(left, value ast.Expr) {
	if id, ok := left.(*ast.Ident); ok {
		if obj := x.info.ObjectOf(id); obj != nil {
			x.given[obj] = append(x.given[obj], value)
		}
	}
}

// fixed reports whether a text is the same each time the program runs, or one of
// several such.
func (x *fixedTexts) fixed(e ast.Expr) bool {
	if e == nil {
		return false
	}
	e = ast.Unparen(e)
	if x.info.Types[e].Value != nil {
		return true
	}
	switch e := e.(type) {
	case *ast.Ident:
		return x.fixedVar(x.info.ObjectOf(e))
	case *ast.SelectorExpr: // a variable of a package
		obj := x.info.ObjectOf(e.Sel)
		return obj != nil && len(x.given[obj]) > 0 && x.fixedVar(obj)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && x.fixed(e.X) && x.fixed(e.Y)
	case *ast.CallExpr:
		return x.fixedCall(e)
	}
	return false
}

func (x *fixedTexts) fixedVar(obj types.Object) bool {
	given := x.given[obj]
	if obj == nil || len(given) == 0 { // a parameter, a field, another package's
		return false
	}
	if x.asked[obj] { // text = text + more
		return true
	}
	x.asked[obj] = true
	defer delete(x.asked, obj)
	return !slices.ContainsFunc(given, func(e ast.Expr) bool { return !x.fixed(e) })
}

// fixedCall knows what expands a fixed text by the number of values.
func (x *fixedTexts) fixedCall(call *ast.CallExpr) bool {
	if x.info.Types[call.Fun].IsType() && len(call.Args) == 1 { // string(text)
		return x.fixed(call.Args[0])
	}
	fn := callee(x.info, call)
	if fn == nil || fn.Pkg() == nil || fn.Pkg().Path() != sqlxPkg {
		return false
	}
	switch fn.Name() {
	case "In", "Named", "BindNamed":
		return len(call.Args) > 0 && x.fixed(call.Args[0])
	case "Rebind": // as a function behind the type of placeholders
		return len(call.Args) > 0 && x.fixed(call.Args[len(call.Args)-1])
	}
	return false
}
