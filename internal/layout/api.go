package layout

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// GoldenFolder holds the exported API of each package that users may import,
// in a file named after its path.
const GoldenFolder = "api"

// Golden reports packages whose exported API differs from their golden file,
// that have none, and files that have no package.
func Golden(m *Module) []Finding {
	var findings []Finding
	known := map[string]bool{}
	for _, p := range m.public() {
		name := m.goldenName(p)
		known[name] = true
		text, err := API(m, p)
		if err != nil {
			findings = append(findings, Finding{p.Dir, err.Error()})
			continue
		}
		golden, err := os.ReadFile(filepath.Join(m.Root, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			findings = append(findings, Finding{name, "does not exist"})
		case err != nil:
			findings = append(findings, Finding{name, err.Error()})
		case string(golden) != text:
			findings = append(findings, Finding{name, "differs from the code:\n" + difference(string(golden), text)})
		}
	}
	for _, name := range m.goldens() {
		if !known[name] {
			findings = append(findings, Finding{name, "belongs to no package"})
		}
	}
	return findings
}

// UpdateGolden rewrites the golden files and removes those without a package.
func UpdateGolden(m *Module) error {
	for _, name := range m.goldens() {
		if err := os.Remove(filepath.Join(m.Root, name)); err != nil {
			return err
		}
	}
	for _, p := range m.public() {
		text, err := API(m, p)
		if err != nil {
			return err
		}
		file := filepath.Join(m.Root, m.goldenName(p))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// public returns the packages that users may import.
func (m *Module) public() []*Package {
	return slices.DeleteFunc(slices.Clone(m.Packages), func(p *Package) bool {
		return p.Name == "" || p.Name == "main" || in("internal", p.Dir) || in("examples", p.Dir) || strings.Contains(p.Dir, "/internal/")
	})
}

// goldenName returns the path of the golden file, the last element of the
// module path standing for the root package.
func (m *Module) goldenName(p *Package) string {
	if p.Dir == "." {
		return path.Join(GoldenFolder, path.Base(m.Path)+".txt")
	}
	return path.Join(GoldenFolder, p.Dir+".txt")
}

// goldens returns the golden files that exist.
func (m *Module) goldens() []string {
	var names []string
	_ = filepath.WalkDir(filepath.Join(m.Root, GoldenFolder), func(name string, entry fs.DirEntry, err error) error {
		if err != nil { // no folder, no files
			return fs.SkipDir
		}
		if rel, err := filepath.Rel(m.Root, name); err == nil && !entry.IsDir() {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	return names
}

// API returns the exported declarations of a package without comments, sorted,
// as they are for Linux on amd64.
func API(m *Module, p *Package) (string, error) {
	fset := token.NewFileSet() // go/doc takes the syntax trees apart, so these are fresh
	var files []*ast.File
	target := build.Context{GOOS: "linux", GOARCH: "amd64", Compiler: "gc", CgoEnabled: true, ReleaseTags: build.Default.ReleaseTags}
	for _, f := range p.Production() {
		matches, err := target.MatchFile(filepath.Join(m.Root, p.Dir), path.Base(f.Path))
		if err != nil {
			return "", err
		}
		if !matches {
			continue
		}
		file, err := parser.ParseFile(fset, filepath.Join(m.Root, f.Path), nil, parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		files = append(files, file)
	}
	parsed, err := doc.NewFromFiles(fset, files, path.Join(m.Path, p.Dir))
	if err != nil {
		return "", err
	}
	return renderAPI(fset, parsed)
}

// renderAPI prints what go/doc left, one declaration per paragraph.
func renderAPI(fset *token.FileSet, p *doc.Package) (string, error) {
	var decls []ast.Decl
	for _, v := range slices.Concat(p.Consts, p.Vars) {
		decls = append(decls, v.Decl)
	}
	for _, f := range p.Funcs {
		decls = append(decls, f.Decl)
	}
	for _, t := range p.Types {
		decls = append(decls, t.Decl)
		for _, v := range slices.Concat(t.Consts, t.Vars) {
			decls = append(decls, v.Decl)
		}
		for _, f := range slices.Concat(t.Funcs, t.Methods) {
			decls = append(decls, f.Decl)
		}
	}
	var texts []string
	for _, decl := range decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			f.Body = nil
		}
		var text bytes.Buffer
		if err := (&printer.Config{Mode: printer.UseSpaces, Tabwidth: 4}).Fprint(&text, fset, decl); err != nil {
			return "", err
		}
		texts = append(texts, text.String())
	}
	slices.Sort(texts)
	head := "package " + p.Name + " // " + p.ImportPath + "\n\n"
	return strings.TrimRight(head+strings.Join(texts, "\n"), "\n") + "\n", nil
}

// difference lists the lines that only one of the texts has.
func difference(golden, code string) string {
	old, now := strings.Split(golden, "\n"), strings.Split(code, "\n")
	var out strings.Builder
	for _, line := range old {
		if !slices.Contains(now, line) {
			fmt.Fprintln(&out, "-", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			fmt.Fprintln(&out, "+", line)
		}
	}
	return out.String()
}
