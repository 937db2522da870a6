package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// Module is the parsed source of a Go module, without the modules nested in it
// and without testdata.
type Module struct {
	Root     string // folder of go.mod
	Path     string // module path
	Requires []string
	Packages []*Package // sorted by Dir
	Fset     *token.FileSet
}

// Package is one folder of Go files.
type Package struct {
	Dir   string // slash-separated, relative to the root; "." for the root
	Name  string // package clause of the files that are no tests
	Files []*File
}

// File is one Go file, whatever its build constraints say.
type File struct {
	Path string // slash-separated, relative to the root
	Test bool   // ends in _test.go
	AST  *ast.File
}

// Finding is a place where a rule does not hold.
type Finding struct {
	Place string // path or path:line, relative to the root
	Text  string
}

// String returns the finding as one line.
func (f Finding) String() string { return f.Place + ": " + f.Text }

// Load parses the module whose go.mod lies in root.
func Load(root string) (*Module, error) {
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	m := &Module{Root: root, Path: mod.Module.Mod.Path, Fset: token.NewFileSet()}
	for _, r := range mod.Require {
		m.Requires = append(m.Requires, r.Mod.Path)
	}
	return m, m.walk()
}

// walk parses every folder that the go command would look at.
func (m *Module) walk() error {
	packages := map[string]*Package{}
	err := filepath.WalkDir(m.Root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != m.Root && m.leaveOut(name):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go" || strings.HasPrefix(entry.Name(), "_") || strings.HasPrefix(entry.Name(), "."):
			return nil
		}
		return m.parse(packages, name)
	})
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		m.Packages = append(m.Packages, packages[dir])
	}
	return err
}

// leaveOut reports whether a folder lies outside the packages of the module.
func (m *Module) leaveOut(folder string) bool {
	base := filepath.Base(folder)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func (m *Module) parse(packages map[string]*Package, name string) error {
	rel, err := filepath.Rel(m.Root, name)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(m.Fset, rel, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ignored(file) {
		return nil
	}
	dir := path.Dir(rel)
	if packages[dir] == nil {
		packages[dir] = &Package{Dir: dir}
	}
	f := &File{Path: rel, Test: strings.HasSuffix(rel, "_test.go"), AST: file}
	packages[dir].Files = append(packages[dir].Files, f)
	if !f.Test {
		packages[dir].Name = file.Name.Name
	}
	return nil
}

// ignored reports whether the go command never builds the file with others.
func ignored(file *ast.File) bool {
	return slices.ContainsFunc(file.Comments, func(c *ast.CommentGroup) bool {
		return c.Pos() < file.Package && c.List[0].Text == "//go:build ignore"
	})
}

// Production returns the files that are no tests.
func (p *Package) Production() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// MayTest reports whether the package is made for tests: a kit (its folder ends
// in "test") or one of our two helpers. Only these may import testing, and
// production code may not import them.
func (p *Package) MayTest() bool {
	return strings.HasSuffix(path.Base(p.Dir), "test") || p.Dir == "internal/promise"
}

// Imports returns the import paths of the file.
func (f *File) Imports() []string {
	var paths []string
	for _, spec := range f.AST.Imports {
		if value, err := strconv.Unquote(spec.Path.Value); err == nil { // the parser has checked it
			paths = append(paths, value)
		}
	}
	return paths
}

// within returns the folder of one of the module's own packages by its import
// path.
func (m *Module) within(importPath string) (dir string, ours bool) {
	if importPath == m.Path {
		return ".", true
	}
	return strings.CutPrefix(importPath, m.Path+"/")
}

// at returns a finding at a node.
func (m *Module) at(node ast.Node, format string, args ...any) Finding {
	p := m.Fset.Position(node.Pos())
	return Finding{Place: fmt.Sprintf("%s:%d", p.Filename, p.Line), Text: fmt.Sprintf(format, args...)}
}
