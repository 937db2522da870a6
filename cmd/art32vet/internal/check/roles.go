package check

import (
	"go/ast"
	"go/types"
	"slices"
	"strconv"
)

// The roles that a value can have for the analyzer beside telling something. A
// function that logs has as its role where it logs to, a function literal the
// results that tell.
const (
	revealMethod = "reveal#"
	stream       = "stream#"
)

func tellsRole(n int) string    { return "result" + strconv.Itoa(n) + "#" }
func sinkRole(to string) string { return to + "#" }

// places are where functions that are kept in a variable write to.
var places = []string{theLog, stdout, errorText}

// roles are those of a value that is assigned.
func (f *flow) roles(e ast.Expr) (roles []string) {
	if f.isRevealMethod(e) {
		roles = append(roles, revealMethod)
	}
	if f.isStream(e) {
		roles = append(roles, stream)
	}
	if fn := funcOf(f.info, e); fn != nil {
		if to := logsTo(fn); to != "" {
			roles = append(roles, sinkRole(to))
		}
	}
	for n := range resultsOf(f.info.TypeOf(e)) {
		if f.gives(e, n) {
			roles = append(roles, tellsRole(n))
		}
	}
	for _, to := range places {
		if f.hasRole(e, sinkRole(to)) {
			roles = append(roles, sinkRole(to))
		}
	}
	return roles
}

func resultsOf(t types.Type) int {
	if t == nil {
		return 0
	}
	if sig, ok := t.Underlying().(*types.Signature); ok {
		return sig.Results().Len()
	}
	return 0
}

// hasRole reports a variable or field that was given a value of a role.
func (f *flow) hasRole(e ast.Expr, role string) bool {
	k, ok := f.place(e)
	return ok && f.holds(k.as(role))
}

// tells reports whether a result of a call of a function literal tells.
func (f *flow) tells(call *ast.CallExpr, n int) bool { return f.gives(call.Fun, n) }

// gives reports whether a function literal, or a variable of one, tells by a result.
func (f *flow) gives(fun ast.Expr, n int) bool {
	if lit, ok := ast.Unparen(fun).(*ast.FuncLit); ok {
		return f.returns[result{lit, n}]
	}
	return f.hasRole(fun, tellsRole(n))
}

// isStream reports os.Stdout and os.Stderr, variables of them, and what writes
// through to them.
func (f *flow) isStream(e ast.Expr) bool {
	if standardStream(f.info, e) || f.hasRole(e, stream) {
		return true
	}
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	through := f.info.Types[call.Fun].IsType() // io.Writer(os.Stdout)
	if fn := callee(f.info, call); fn != nil && fn.Pkg() != nil {
		switch fn.FullName() {
		case "io.MultiWriter", "bufio.NewWriter", "bufio.NewWriterSize", "text/tabwriter.NewWriter":
			through = true
		}
	}
	return through && slices.ContainsFunc(call.Args, f.isStream)
}
