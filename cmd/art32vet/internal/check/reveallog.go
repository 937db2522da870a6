package check

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// RevealLog reports revealed values in logs and error texts.
var RevealLog = &analysis.Analyzer{
	Name: "reveallog",
	Doc: `report revealed values in logs and error texts

What field.Encrypted.Reveal returns must not reach a log: logs are kept for long,
read by many and survive the erasure of a person. Followed are the result itself,
variables of the function, conversions, concatenation, composite literals, what
the packages fmt, strings, bytes and strconv make of it, and methods of it, unless
the result is a number or a bool. Reported are arguments of log/slog and log, of
fmt.Print and its like, of fmt.Fprint to os.Stdout and os.Stderr, and of
fmt.Errorf and errors.New, whose texts end in logs. Log the field itself, which
prints as [encrypted], or an id. Tests are not looked at.`,
	URL: "https://" + module,
	Run: revealLog,
}

func revealLog(pass *analysis.Pass) (any, error) {
	r := newReporter(pass)
	for _, f := range pass.Files {
		if r.isTest(f) {
			continue
		}
		for _, decl := range f.Decls {
			flow := newFlow(pass.TypesInfo, decl)
			ast.Inspect(decl, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					reportSink(r, flow, call)
				}
				return true
			})
		}
	}
	return nil, nil //nolint:nilnil // no result
}

func reportSink(r *reporter, flow *flow, call *ast.CallExpr) {
	where := sink(flow.info, call)
	if where == "" {
		return
	}
	for _, arg := range call.Args {
		if flow.revealed(arg) {
			r.reportf(arg, "a revealed value reaches %s: pass the field itself, which shows as [encrypted], or an id", where)
		}
	}
}

// sink names the log or error text that a call writes, or is "".
func sink(info *types.Info, call *ast.CallExpr) string {
	fn := callee(info, call)
	if fn == nil {
		return builtinPrint(info, call)
	}
	if fn.Pkg() == nil {
		return ""
	}
	switch name := fn.Name(); fn.Pkg().Path() {
	case "log/slog", "log":
		return "the log"
	case "errors":
		if name == "New" {
			return "an error's text"
		}
	case "fmt":
		switch {
		case name == "Errorf":
			return "an error's text"
		case strings.HasPrefix(name, "Print"):
			return "standard output"
		case strings.HasPrefix(name, "Fprint") && standardStream(info, call.Args[0]):
			return "standard output"
		}
	}
	return ""
}

func builtinPrint(info *types.Info, call *ast.CallExpr) string {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return ""
	}
	if b, ok := info.Uses[id].(*types.Builtin); ok && strings.HasPrefix(b.Name(), "print") {
		return "standard output"
	}
	return ""
}

// standardStream reports os.Stdout and os.Stderr.
func standardStream(info *types.Info, e ast.Expr) bool {
	sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	v, ok := info.Uses[sel.Sel].(*types.Var)
	return ok && v.Pkg() != nil && v.Pkg().Path() == "os" && strings.HasPrefix(v.Name(), "Std") && v.Name() != "Stdin"
}

// callee is the function or method that a call names, or nil.
func callee(info *types.Info, call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	switch x := fun.(type) { // type arguments
	case *ast.IndexExpr:
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	var id *ast.Ident
	switch x := fun.(type) {
	case *ast.Ident:
		id = x
	case *ast.SelectorExpr:
		id = x.Sel
	default:
		return nil
	}
	fn, _ := info.Uses[id].(*types.Func)
	return fn
}
