package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"golang.org/x/tools/go/cfg"
)

// flow follows revealed values through the statements of a declaration, along
// the ways that control can take.
type flow struct {
	info *types.Info
	sink func(f *flow, call *ast.CallExpr) // sees each call once, with what is held then
	last bool                              // the pass that calls sink

	lit  *ast.FuncLit // that is looked at; nil in the declaration itself
	held state        // at the point that is looked at
	ever state        // at any point: what a function literal may find
	late state        // set by a function literal, which may run at any time

	cases   map[ast.Stmt][]*types.Var // variables of `switch x := v.(type)`, one for each case
	returns map[result]bool           // those of function literals that tell
}

// result is one of a function literal.
type result struct {
	lit *ast.FuncLit
	n   int
}

// follow calls sink for each call in a declaration.
func follow(info *types.Info, decl ast.Decl, sink func(f *flow, call *ast.CallExpr)) {
	f := &flow{info: info, sink: sink, ever: state{}, late: state{}, cases: typeSwitches(info, decl), returns: map[result]bool{}}
	for known := -1; known != len(f.ever)+len(f.late)+len(f.returns); { // literals can pass values to each other
		known = len(f.ever) + len(f.late) + len(f.returns)
		f.read(decl)
	}
	f.last = true
	f.read(decl)
}

// typeSwitches finds the variables that type switches declare, by the statement
// that sets them.
func typeSwitches(info *types.Info, decl ast.Decl) map[ast.Stmt][]*types.Var {
	cases := map[ast.Stmt][]*types.Var{}
	ast.Inspect(decl, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSwitchStmt); ok {
			for _, clause := range s.Body.List {
				if v, ok := info.Implicits[clause].(*types.Var); ok {
					cases[s.Assign] = append(cases[s.Assign], v)
				}
			}
		}
		return true
	})
	return cases
}

func (f *flow) read(decl ast.Decl) {
	f.lit, f.held = nil, state{}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Body != nil {
			f.body(decl.Body)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			f.node(spec)
		}
	}
	ast.Inspect(decl, func(n ast.Node) bool {
		if lit, ok := n.(*ast.FuncLit); ok {
			f.lit, f.held = lit, maps.Clone(f.ever)
			maps.DeleteFunc(f.held, func(h held, _ bool) bool { return f.own(h) })
			f.body(lit.Body)
		}
		return true
	})
}

// body follows the blocks of a function until nothing new comes.
func (f *flow) body(body *ast.BlockStmt) {
	blocks := cfg.New(body, func(call *ast.CallExpr) bool { return !ends(f.info, call) }).Blocks
	in := make([]state, len(blocks))
	for i := range in {
		in[i] = state{}
	}
	in[0] = f.held
	last := f.last
	f.last = false
	for grown := true; grown; {
		grown = false
		for _, b := range blocks {
			f.block(b, in[b.Index])
			for _, next := range b.Succs {
				n := len(in[next.Index])
				maps.Copy(in[next.Index], f.held)
				grown = grown || len(in[next.Index]) > n
			}
		}
	}
	if f.last = last; last {
		for _, b := range blocks {
			f.block(b, in[b.Index])
		}
	}
}

// block leaves in f.held what is held behind a block.
func (f *flow) block(b *cfg.Block, in state) {
	f.held = maps.Clone(in)
	if s, ok := b.Stmt.(*ast.RangeStmt); ok && b.Kind == cfg.KindRangeBody {
		f.element(s)
	}
	for _, n := range b.Nodes {
		f.node(n)
	}
}

// element assigns the variables of a range statement. The key is content where
// the values come from a function or a channel.
func (f *flow) element(s *ast.RangeStmt) {
	told := f.revealed(s.X)
	if s.Value != nil {
		f.set(s.Value, told)
	}
	if s.Key != nil {
		switch f.info.TypeOf(s.X).Underlying().(type) {
		case *types.Signature, *types.Chan:
			f.set(s.Key, told)
		default:
			f.set(s.Key, false)
		}
	}
}

func (f *flow) node(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f.last {
				f.sink(f, call)
			}
			f.writes(call)
		}
		_, lit := n.(*ast.FuncLit)
		return !lit // looked at by itself
	})
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, v := range f.cases[n] {
			f.put(held{v, v.Name()}, f.revealed(n.Rhs[0]))
		}
		f.assign(n.Lhs, n.Rhs, n.Tok == token.ASSIGN || n.Tok == token.DEFINE)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(n.Names))
		for i, name := range n.Names {
			names[i] = name
		}
		f.assign(names, n.Values, true)
	case *ast.ReturnStmt:
		f.result(n)
	}
}

// result notes what a function literal returns.
func (f *flow) result(n *ast.ReturnStmt) {
	if f.lit == nil || f.lit.Type.Results == nil {
		return
	}
	values := n.Results
	if len(values) == 0 {
		for _, field := range f.lit.Type.Results.List {
			for _, name := range field.Names {
				values = append(values, name)
			}
		}
	}
	told := make([]bool, f.lit.Type.Results.NumFields())
	switch {
	case len(values) == len(told):
		for i, e := range values {
			told[i] = f.revealed(e)
		}
	case len(values) == 1:
		f.spread(told, values[0])
	}
	for i := range told {
		if told[i] {
			f.returns[result{f.lit, i}] = true
		}
	}
}

// assign sets places; without anew they also keep what they hold, as += does.
func (f *flow) assign(left, right []ast.Expr, anew bool) {
	told, roles := make([]bool, len(left)), make([][]string, len(left))
	switch {
	case len(left) == len(right):
		for i, e := range right {
			told[i], roles[i] = f.revealed(e), f.roles(e)
		}
	case len(right) == 1:
		f.spread(told, right[0])
	}
	for i, e := range left {
		if told[i] || anew {
			f.set(e, told[i])
		}
		if k, ok := f.place(e); ok && len(left) == len(right) {
			for _, role := range roles[i] {
				f.mark(k.as(role))
			}
		}
	}
}

// spread says which of several results of one expression tell: the first of
// Reveal or of `v, ok :=`, those that a function literal says, else those that can
// hold content.
func (f *flow) spread(told []bool, right ast.Expr) {
	call, ok := ast.Unparen(right).(*ast.CallExpr)
	for i := range told {
		told[i] = ok && f.tells(call, i)
	}
	if slices.Contains(told, true) || !f.revealed(right) {
		return
	}
	if !ok || f.isReveal(call) {
		told[0] = true
		return
	}
	fn := callee(f.info, call)
	results, ok := f.info.TypeOf(call).(*types.Tuple)
	for i := 0; ok && i < min(len(told), results.Len()); i++ {
		told[i] = carries(results.At(i).Type()) || fn != nil && fn.Pkg() != nil && parses(fn)
	}
}

// writes notes what a call leaves in a strings.Builder or bytes.Buffer, and what
// copy leaves in its first argument.
func (f *flow) writes(call *ast.CallExpr) {
	if builtin(f.info, call) == "copy" && f.revealed(call.Args[1]) {
		f.set(call.Args[0], true)
	}
	fn := callee(f.info, call)
	if fn == nil || fn.Pkg() == nil {
		return
	}
	var into ast.Expr
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && fn.Signature().Recv() != nil {
		into = sel.X
	} else if len(call.Args) > 0 && (fn.FullName() == "io.WriteString" || fn.Pkg().Path() == "fmt" && strings.HasPrefix(fn.Name(), "Fprint")) {
		into = call.Args[0]
	}
	if into == nil || !isBuffer(f.info.TypeOf(into)) {
		return
	}
	if u, ok := ast.Unparen(into).(*ast.UnaryExpr); ok {
		into = u.X
	}
	if slices.ContainsFunc(told(f.info, call), f.revealed) {
		f.set(into, true)
	} else if fn.Name() == "Reset" {
		f.set(into, false)
	}
}

func isBuffer(t types.Type) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return isNamed(t, "strings", "Builder") || isNamed(t, "bytes", "Buffer")
}

// ends reports a call after which the function does not go on.
func ends(info *types.Info, call *ast.CallExpr) bool {
	fn := callee(info, call)
	if fn == nil {
		return builtin(info, call) == "panic"
	}
	name := fn.FullName()
	return name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic")
}
