package check

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// directive opens a comment that excuses a finding.
const directive = "//art32:allow "

// place is a line of a file.
type place struct {
	file string
	line int
}

// reporter reports the findings of one analyzer in one package that no comment
// excuses.
type reporter struct {
	pass    *analysis.Pass
	allowed map[place]bool
}

// newReporter reads the comments of the package. One that names the analyzer
// without a reason is reported.
func newReporter(pass *analysis.Pass) *reporter {
	r := &reporter{pass: pass, allowed: map[place]bool{}}
	for _, f := range pass.Files {
		for _, group := range f.Comments {
			for _, c := range group.List {
				r.read(c)
			}
		}
	}
	return r
}

func (r *reporter) read(c *ast.Comment) {
	words, ok := strings.CutPrefix(c.Text, directive)
	if !ok {
		return
	}
	words, _, _ = strings.Cut(words, "//") // a comment on the comment
	name, reason, _ := strings.Cut(strings.TrimSpace(words), " ")
	if name != r.pass.Analyzer.Name {
		return
	}
	if strings.TrimSpace(reason) == "" {
		r.pass.Reportf(c.Pos(), "art32:allow %s excuses nothing without a reason: write it behind the name", name)
		return
	}
	at := r.place(c.Pos())
	r.allowed[at] = true
	r.allowed[place{at.file, at.line + 1}] = true
}

func (r *reporter) place(pos token.Pos) place {
	p := r.pass.Fset.Position(pos)
	return place{p.Filename, p.Line}
}

func (r *reporter) reportf(at ast.Node, format string, args ...any) {
	if !r.allowed[r.place(at.Pos())] {
		r.pass.Reportf(at.Pos(), format, args...)
	}
}

// isTest reports whether a file is a test, which looks at a program from outside
// and holds nobody's data.
func (r *reporter) isTest(f *ast.File) bool {
	return strings.HasSuffix(r.place(f.Package).file, "_test.go")
}
