package layout

import (
	"go/ast"
	"slices"
	"strings"
)

// NoInit reports functions and blank variables that run when a package is
// imported. What an importer did not call must not happen.
func NoInit(m *Module) []Finding {
	return m.inProduction(func(f *File) []Finding {
		var findings []Finding
		for _, decl := range f.AST.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					findings = append(findings, m.at(d, "func init runs on import"))
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && callsForEffect(v) {
						findings = append(findings, m.at(v, "var _ runs a function on import"))
					}
				}
			}
		}
		return findings
	})
}

// callsForEffect reports `var _ = f()`. With a type it asserts an interface,
// where a call is a conversion.
func callsForEffect(v *ast.ValueSpec) bool {
	blank := !slices.ContainsFunc(v.Names, func(n *ast.Ident) bool { return n.Name != "_" })
	return blank && v.Type == nil && slices.ContainsFunc(v.Values, func(e ast.Expr) bool {
		call, ok := e.(*ast.CallExpr)
		if !ok {
			return false
		}
		_, conversion := call.Fun.(*ast.ParenExpr)
		return !conversion
	})
}

// NoPanic reports panics outside functions whose name begins with Must.
func NoPanic(m *Module) []Finding {
	return m.inProduction(func(f *File) []Finding {
		var findings []Finding
		for _, decl := range f.AST.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && (strings.HasPrefix(d.Name.Name, "Must") || strings.HasPrefix(d.Name.Name, "must")) {
				continue
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
						findings = append(findings, m.at(call, "panic outside a function named Must…"))
					}
				}
				return true
			})
		}
		return findings
	})
}

// harmless are the names of log that do not touch the logger of the process.
var harmless = []string{
	"Logger", "New", "LstdFlags", "Ldate", "Ltime", "Lmicroseconds", "Llongfile", "Lshortfile", "LUTC", "Lmsgprefix",
}

// process are the names of log/slog that touch the logger of the process.
var process = []string{
	"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext",
	"Log", "LogAttrs", "With", "SetDefault", "SetLogLoggerLevel",
}

// NoGlobalLog reports uses of the logger of the process, and loggers that
// belong to a package. A logger is an option of whoever needs one; slog.Default
// may be taken where the option is nil, but not called on the spot.
func NoGlobalLog(m *Module) []Finding {
	return m.inProduction(func(f *File) []Finding {
		var findings []Finding
		names := importNames(f)
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if from, name, ok := qualified(n, names); ok && isGlobalLog(from, name) {
				findings = append(findings, m.at(n, "%s.%s uses the logger of the process", from, name))
			}
			if callsDefault(n, names) {
				findings = append(findings, m.at(n, "log/slog.Default() uses the logger of the process"))
			}
			return true
		})
		for _, v := range variables(f) {
			if holdsLogger(v, names) {
				findings = append(findings, m.at(v, "a logger belongs to the package"))
			}
		}
		return findings
	})
}

func isGlobalLog(from, name string) bool {
	switch from {
	case "log":
		return !slices.Contains(harmless, name)
	case "log/slog":
		return slices.Contains(process, name)
	}
	return false
}

// callsDefault reports slog.Default().Anything.
func callsDefault(n ast.Node, names map[string]string) bool {
	selector, ok := n.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	call, ok := selector.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	from, name, ok := qualified(call.Fun, names)
	return ok && from == "log/slog" && name == "Default"
}

// holdsLogger reports a package variable that is a logger by its type or by
// the call that makes it.
func holdsLogger(v *ast.ValueSpec, names map[string]string) bool {
	expressions := slices.Clone(v.Values)
	for i, e := range expressions {
		if call, ok := e.(*ast.CallExpr); ok {
			expressions[i] = call.Fun
		}
	}
	if star, ok := v.Type.(*ast.StarExpr); ok {
		expressions = append(expressions, star.X)
	}
	return slices.ContainsFunc(expressions, func(e ast.Expr) bool {
		from, name, ok := qualified(e, names)
		return ok && (from == "log" || from == "log/slog") && (name == "New" || name == "Logger" || name == "Default")
	})
}

// variables returns the package-level variables of a file.
func variables(f *File) []*ast.ValueSpec {
	var specs []*ast.ValueSpec
	for _, decl := range f.AST.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok {
				specs = append(specs, v)
			}
		}
	}
	return specs
}

// qualified takes a node apart that reads package.Name.
func qualified(n ast.Node, names map[string]string) (from, name string, ok bool) {
	selector, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", "", false
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok || names[pkg.Name] == "" {
		return "", "", false
	}
	return names[pkg.Name], selector.Sel.Name, true
}

// importNames returns import paths by the name that the file uses.
func importNames(f *File) map[string]string {
	names := map[string]string{}
	for i, spec := range f.Imports() {
		name := spec[strings.LastIndexByte(spec, '/')+1:]
		if local := f.AST.Imports[i].Name; local != nil {
			name = local.Name
		}
		names[name] = spec
	}
	return names
}

// inProduction applies a rule to every file that is no test.
func (m *Module) inProduction(rule func(*File) []Finding) []Finding {
	var findings []Finding
	for _, p := range m.Packages {
		for _, f := range p.Production() {
			findings = append(findings, rule(f)...)
		}
	}
	return findings
}
