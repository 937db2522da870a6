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
}

// follow calls sink for each call in a declaration.
func follow(info *types.Info, decl ast.Decl, sink func(f *flow, call *ast.CallExpr)) {
	f := &flow{info: info, sink: sink, ever: state{}, late: state{}}
	for known := -1; known != len(f.ever)+len(f.late); { // literals can pass values to each other
		known = len(f.ever) + len(f.late)
		f.read(decl)
	}
	f.last = true
	f.read(decl)
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
		f.assign(n.Lhs, n.Rhs, n.Tok == token.ASSIGN || n.Tok == token.DEFINE)
	case *ast.ValueSpec:
		names := make([]ast.Expr, len(n.Names))
		for i, name := range n.Names {
			names[i] = name
		}
		f.assign(names, n.Values, true)
	}
}

// assign sets places; without anew they also keep what they hold, as += does.
func (f *flow) assign(left, right []ast.Expr, anew bool) {
	told := make([]bool, len(left))
	switch {
	case len(left) == len(right):
		for i, e := range right {
			told[i] = f.revealed(e)
		}
	case len(right) == 1:
		f.spread(told, right[0])
	}
	for i, e := range left {
		if told[i] || anew {
			f.set(e, told[i])
		}
		if len(left) == len(right) && f.isRevealMethod(right[i]) {
			if k, ok := f.place(e); ok {
				f.mark(k.method())
			}
		}
	}
}

// spread says which of several results of one expression tell: the first of
// Reveal or of `v, ok :=`, else those that can hold content.
func (f *flow) spread(told []bool, right ast.Expr) {
	if !f.revealed(right) {
		return
	}
	call, ok := ast.Unparen(right).(*ast.CallExpr)
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

// writes notes what a call leaves in a strings.Builder or bytes.Buffer.
func (f *flow) writes(call *ast.CallExpr) {
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
