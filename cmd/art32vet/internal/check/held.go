package check

import (
	"go/ast"
	"go/types"
	"maps"
	"strings"
)

// state is what holds a revealed value.
type state map[held]bool

// held is a variable, or a field or element of it by its path.
type held struct {
	root types.Object
	path string
}

// as is the place of a role that the value of a place has: see [flow.roles].
func (h held) as(role string) held { return held{h.root, h.path + "(" + role + ")"} }

// isRole reports a place of as, which holds no value.
func (h held) isRole() bool { return strings.HasSuffix(h.path, "#)") }

// set notes whether a place holds a revealed value from here on.
func (f *flow) set(e ast.Expr, told bool) {
	if s, ok := ast.Unparen(e).(*ast.SliceExpr); ok {
		e = s.X
	}
	if k, ok := f.place(e); ok {
		f.put(k, told)
	}
}

func (f *flow) put(k held, told bool) {
	switch {
	case told:
		f.mark(k)
	case !strings.ContainsAny(k.path, "[("): // whose element or call it is may have changed
		maps.DeleteFunc(f.held, func(h held, _ bool) bool { return h.root == k.root && isPart(h.path, k.path) })
	}
}

func (f *flow) mark(k held) {
	f.held[k], f.ever[k] = true, true
	if f.lit != nil && !f.own(k) {
		f.late[k] = true
	}
}

func (f *flow) holds(k held) bool { return f.held[k] || f.late[k] }

// holdsPart reports whether a field or element of a place holds a revealed value.
func (f *flow) holdsPart(k held) bool {
	for _, s := range []state{f.held, f.late} {
		for h := range s {
			if h.root == k.root && h.path != k.path && !h.isRole() && isPart(h.path, k.path) {
				return true
			}
		}
	}
	return false
}

// isPart reports whether a path is another or lies below it.
func isPart(path, of string) bool {
	rest, ok := strings.CutPrefix(path, of)
	return ok && (rest == "" || strings.ContainsRune(".[(", rune(rest[0])))
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

// own reports a variable of the function literal that is looked at.
func (f *flow) own(h held) bool { return h.root.Pos() >= f.lit.Pos() && h.root.Pos() < f.lit.End() }
