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
variables of the function from where they are set to where they are set anew,
conversions, concatenation, composite literals, a strings.Builder or bytes.Buffer,
what the packages fmt, strings, bytes and strconv make of it, and methods of it,
unless the result is a number or a bool; and all results of strconv.Atoi and of
the functions Parse of strconv, time, net/url and net/netip, whose errors quote
the value. Reported are arguments of log/slog and log, of fmt.Print and its like,
of what writes to os.Stdout and os.Stderr, of panic, and of fmt.Errorf and
errors.New, whose texts end in logs; also a variable that has the value in a field,
unless its type prints itself. What the verb %T prints is let pass. Log the field
itself, which prints as [encrypted], or an id. Tests are not looked at.`,
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
			follow(pass.TypesInfo, decl, func(f *flow, call *ast.CallExpr) { reportSink(r, f, call) })
		}
	}
	return nil, nil //nolint:nilnil // no result
}

// reportSink reports the arguments of a call that a log would show.
func reportSink(r *reporter, flow *flow, call *ast.CallExpr) {
	where := sink(flow.info, call)
	if where == "" {
		return
	}
	for _, arg := range told(flow.info, call) {
		if flow.shown(arg) {
			r.reportf(arg, "a revealed value reaches %s: pass the field itself, which shows as [encrypted], or an id", where)
		}
	}
}

// sink names the log or error text that a call writes, or is "".
func sink(info *types.Info, call *ast.CallExpr) string {
	fn := callee(info, call)
	if fn == nil {
		switch builtin(info, call) {
		case "print", "println":
			return "standard output"
		case "panic":
			return "a panic's text"
		}
		return ""
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
	case "io":
		if name == "WriteString" && standardStream(info, call.Args[0]) {
			return "standard output"
		}
	case "os":
		if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && strings.HasPrefix(name, "Write") && standardStream(info, sel.X) {
			return "standard output"
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

// builtin is the name of the builtin function that a call names, or "".
func builtin(info *types.Info, call *ast.CallExpr) string {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return ""
	}
	if b, ok := info.Uses[id].(*types.Builtin); ok {
		return b.Name()
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
