package check

import (
	"go/ast"
	"go/types"
)

// rootOf is the identifier that an expression begins with, or nil.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		if id, ok := e.(*ast.Ident); ok || e == nil {
			return id
		}
		e = within(e)
	}
}

// within is the expression that another begins with, or nil.
func within(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.ParenExpr:
		return x.X
	case *ast.SelectorExpr:
		return x.X
	case *ast.StarExpr:
		return x.X
	case *ast.UnaryExpr:
		return x.X
	case *ast.IndexExpr:
		return x.X
	case *ast.TypeAssertExpr:
		return x.X
	case *ast.CallExpr:
		return x.Fun
	}
	return nil
}

// isNamed reports whether t is the type path.name, of whatever type arguments.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}

func isPointerTo(t types.Type, path, name string) bool {
	p, ok := types.Unalias(t).(*types.Pointer)
	return ok && isNamed(p.Elem(), path, name)
}
