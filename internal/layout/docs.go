package layout

import (
	"go/ast"
	"go/token"
	"strings"
)

// Documented reports packages without a comment, and exported names without
// one that begins with the name. The names of a const or var group, and fields
// that follow each other without an empty line, may share one. The names of a
// program are exported to nobody and need none.
func Documented(m *Module) []Finding {
	var findings []Finding
	for _, p := range m.Packages {
		files := p.Production()
		if len(files) > 0 && !hasPackageDoc(p, files) {
			findings = append(findings, Finding{p.Dir, "has no package comment that begins with its kind and name"})
		}
		if p.Name == "main" {
			continue
		}
		for _, f := range files {
			d := &docRule{m: m, file: f}
			for _, decl := range f.AST.Decls {
				d.check(decl)
			}
			findings = append(findings, d.findings...)
		}
	}
	return findings
}

func hasPackageDoc(p *Package, files []*File) bool {
	prefix := "Package " + p.Name + " "
	if p.Name == "main" {
		prefix = "Command "
	}
	for _, f := range files {
		if strings.HasPrefix(f.AST.Doc.Text(), prefix) {
			return true
		}
	}
	return false
}

// docRule gathers the findings of one file.
type docRule struct {
	m        *Module
	file     *File
	findings []Finding
}

func (d *docRule) check(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Name.IsExported() && (decl.Recv == nil || ast.IsExported(receiver(decl.Recv))) {
			d.begins(decl.Name, decl.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			d.spec(decl, spec)
		}
	}
}

func (d *docRule) spec(decl *ast.GenDecl, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			d.begins(s.Name, ownDoc(decl, s.Doc))
			d.members(s)
		}
	case *ast.ValueSpec:
		d.values(decl, s)
	}
}

// values checks constants and variables, which may share the comment of their
// group.
func (d *docRule) values(decl *ast.GenDecl, s *ast.ValueSpec) {
	for _, name := range s.Names {
		switch {
		case !name.IsExported():
		case !decl.Lparen.IsValid():
			d.begins(name, decl.Doc)
		case decl.Doc == nil && s.Doc == nil && s.Comment == nil:
			d.missing(name)
		}
	}
}

// members checks the fields of a struct and the methods of an interface.
func (d *docRule) members(s *ast.TypeSpec) {
	var list *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	shared, lastLine := false, 0
	for _, field := range list.List {
		first := d.line(field.Pos())
		documented := field.Doc != nil || field.Comment != nil
		shared = documented || shared && first == lastLine+1
		lastLine = d.line(field.End())
		for _, name := range field.Names {
			if name.IsExported() && !shared {
				d.missing(name)
			}
		}
	}
}

func (d *docRule) line(pos token.Pos) int { return d.m.Fset.Position(pos).Line }

// begins notes a name whose comment does not begin with it.
func (d *docRule) begins(name *ast.Ident, doc *ast.CommentGroup) {
	if doc == nil {
		d.missing(name)
		return
	}
	first, _, _ := strings.Cut(strings.TrimSpace(doc.Text()), " ")
	if word, _, _ := strings.Cut(first, "\n"); strings.TrimRight(word, ",.:;'") != name.Name && !strings.HasPrefix(word, name.Name+"'") {
		d.findings = append(d.findings, d.m.at(name, "the comment of %s begins with another word", name.Name))
	}
}

func (d *docRule) missing(name *ast.Ident) {
	d.findings = append(d.findings, d.m.at(name, "%s has no comment", name.Name))
}

// ownDoc returns the comment of a spec, or that of its declaration where the
// declaration holds no other.
func ownDoc(decl *ast.GenDecl, spec *ast.CommentGroup) *ast.CommentGroup {
	if spec == nil && !decl.Lparen.IsValid() {
		return decl.Doc
	}
	return spec
}

// receiver returns the name of the type that a method belongs to.
func receiver(list *ast.FieldList) string {
	expr := list.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
