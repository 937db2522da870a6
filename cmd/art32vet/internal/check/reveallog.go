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
copies, variables of a type switch, what function literals of the function return,
what fmt, strings, bytes, strconv, cmp, slices, json and other such packages make
of it, and methods of it, unless the result is a number or a bool; and all results of strconv.Atoi and of
the functions Parse of strconv, time, net/url and net/netip, whose errors quote
the value. Reported are arguments of log/slog and log, of fmt.Print and its like,
of what writes to os.Stdout and os.Stderr, also where a variable of the function
holds the function or stream, of panic, and of fmt.Errorf and
errors.New, whose texts end in logs; also a variable that has the value in a field,
unless its type prints itself. What the verb %T prints is let pass. Not seen are a Reveal that is called through an interface, values
behind a pointer or in a channel, keys of a map, writers that encode, attributes of
telemetry, and functions and streams in a variable of the package. Log the field
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
	where := flow.writesTo(call)
	if where == "" {
		return
	}
	for _, arg := range told(flow.info, call) {
		if flow.shown(arg) {
			r.reportf(arg, "a revealed value reaches %s: pass the field itself, which shows as [encrypted], or an id", where)
		}
	}
}

// Where revealed values must not go.
const (
	theLog    = "the log"
	stdout    = "standard output"
	errorText = "an error's text"
	panicText = "a panic's text"
)

// writesTo names the log or error text that a call writes, or is "".
func (f *flow) writesTo(call *ast.CallExpr) string {
	fn := callee(f.info, call)
	if fn == nil {
		return f.sinkValue(call)
	}
	if fn.Pkg() == nil {
		return ""
	}
	if to := logsTo(fn); to != "" {
		return to
	}
	var into ast.Expr
	switch name := fn.Name(); {
	case fn.Signature().Recv() != nil && strings.HasPrefix(name, "Write"):
		if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
			into = sel.X
		}
	case fn.Pkg().Path() == "io" && (name == "WriteString" || strings.HasPrefix(name, "Copy")),
		fn.Pkg().Path() == "fmt" && strings.HasPrefix(name, "Fprint"):
		into = call.Args[0]
	}
	if into != nil && f.isStream(into) {
		return stdout
	}
	return ""
}

// sinkValue is writesTo for builtin functions, and for those that a variable holds.
func (f *flow) sinkValue(call *ast.CallExpr) string {
	switch builtin(f.info, call) {
	case "print", "println":
		return stdout
	case "panic":
		return panicText
	}
	for _, to := range places {
		if f.hasRole(call.Fun, sinkRole(to)) {
			return to
		}
	}
	return ""
}

// logsTo names where a function writes all that it is given, or is "".
func logsTo(fn *types.Func) string {
	if fn.Pkg() == nil {
		return ""
	}
	switch fn.Pkg().Path() {
	case "log/slog", "log":
		return theLog
	case "errors":
		if fn.Name() == "New" {
			return errorText
		}
	case "fmt":
		if fn.Name() == "Errorf" {
			return errorText
		}
		if strings.HasPrefix(fn.Name(), "Print") {
			return stdout
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
func callee(info *types.Info, call *ast.CallExpr) *types.Func { return funcOf(info, call.Fun) }

// funcOf is the function or method that an expression names, or nil.
func funcOf(info *types.Info, fun ast.Expr) *types.Func {
	fun = ast.Unparen(fun)
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
