package layout

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// regionMark is the line above a snippet that says where it comes from.
var regionMark = regexp.MustCompile(`^<!-- region: (\S+)#(\S+) -->$`)

// Snippets reports Go code in README.md and docs/ that differs from the region
// of the compiled file that the line above it names, or that names none. A
// region lies between `// region NAME` and `// endregion`. docs/design may
// show code that was rejected, without a region.
func Snippets(m *Module) []Finding {
	var findings []Finding
	for _, doc := range documents(m.Root) {
		text, err := os.ReadFile(filepath.Join(m.Root, doc))
		if err != nil {
			findings = append(findings, Finding{doc, err.Error()})
			continue
		}
		findings = append(findings, snippetsIn(m, doc, strings.Split(string(text), "\n"))...)
	}
	return findings
}

// documents returns README.md and the Markdown files under docs.
func documents(root string) []string {
	var docs []string
	for _, top := range []string{"README.md", "docs"} {
		_ = filepath.WalkDir(filepath.Join(root, top), func(name string, entry fs.DirEntry, err error) error {
			if err != nil { // a module without documents has no snippets
				return fs.SkipDir
			}
			if rel, err := filepath.Rel(root, name); err == nil && !entry.IsDir() && filepath.Ext(name) == ".md" {
				docs = append(docs, filepath.ToSlash(rel))
			}
			return nil
		})
	}
	return docs
}

func snippetsIn(m *Module, doc string, lines []string) []Finding {
	var findings []Finding
	for i := 0; i < len(lines); i++ {
		if strings.TrimSpace(lines[i]) != "```go" {
			continue
		}
		place, above := fmt.Sprintf("%s:%d", doc, i+1), ""
		if i > 0 {
			above = strings.TrimSpace(lines[i-1])
		}
		var body []string
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
			body = append(body, lines[i])
		}
		if text := compareSnippet(m, doc, above, strings.Join(body, "\n")); text != "" {
			findings = append(findings, Finding{place, text})
		}
	}
	return findings
}

// compareSnippet says what is wrong with one snippet, or nothing.
func compareSnippet(m *Module, doc, above, body string) string {
	mark := regionMark.FindStringSubmatch(above)
	if mark == nil {
		if strings.HasPrefix(doc, "docs/design/") {
			return ""
		}
		return "the line above the code names no region of a compiled file"
	}
	if !m.compiles(mark[1]) {
		return mark[1] + " is no file of the module that is compiled"
	}
	want, err := region(filepath.Join(m.Root, mark[1]), mark[2])
	if err != nil {
		return err.Error()
	}
	if got := strings.Trim(body, "\n"); got != want {
		return "the code differs from region " + mark[2] + " of " + mark[1] + ":\n" + difference(got, want)
	}
	return ""
}

// compiles reports whether the file belongs to a package of the module.
func (m *Module) compiles(name string) bool {
	for _, p := range m.Packages {
		for _, f := range p.Files {
			if f.Path == name {
				return true
			}
		}
	}
	return false
}

// region returns the lines of a region, with the indentation that all share
// taken away.
func region(file, name string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var lines []string
	inside := false
	for line := range strings.SplitSeq(string(text), "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "// region "+name:
			inside = true
		case inside && trimmed == "// endregion":
			return dedent(lines), nil
		case inside && !strings.HasPrefix(trimmed, "// region "):
			lines = append(lines, line)
		}
	}
	return "", fmt.Errorf("no region %s in %s", name, filepath.Base(file))
}

func dedent(lines []string) string {
	indent := -1
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if tabs := len(line) - len(strings.TrimLeft(line, "\t")); indent < 0 || tabs < indent {
			indent = tabs
		}
	}
	for i, line := range lines {
		lines[i] = line[min(max(indent, 0), len(line)):]
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
