package layout

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DependencyTable is the file that lists the direct dependencies.
const DependencyTable = "docs/dependencies.md"

// columns are those of the table: module, what it does, why not our own code,
// packages that compile it in.
const columns = 4

// unreasoned stands in a row that -update has added; a person replaces it.
const unreasoned = "?"

// Dependencies reports where the table of direct dependencies differs from
// what the code imports, and rows without a reason.
func Dependencies(m *Module) []Finding {
	want, findings := m.dependencies()
	rows, err := tableRows(filepath.Join(m.Root, DependencyTable))
	if err != nil {
		return append(findings, Finding{DependencyTable, err.Error()})
	}
	for _, module := range slices.Sorted(maps.Keys(want)) {
		packages := want[module]
		if rows[module] == nil {
			findings = append(findings, Finding{DependencyTable, module + " is imported and not listed"})
		} else if got := rows[module][columns-1]; got != packages {
			findings = append(findings, Finding{DependencyTable, fmt.Sprintf("%s is compiled in by: %s; listed: %s", module, packages, got)})
		}
	}
	for _, module := range slices.Sorted(maps.Keys(rows)) {
		row := rows[module]
		if want[module] == "" {
			findings = append(findings, Finding{DependencyTable, module + " is listed and not imported"})
		}
		if slices.Contains(row, unreasoned) || slices.Contains(row, "") {
			findings = append(findings, Finding{DependencyTable, module + " has no reason"})
		}
	}
	return findings
}

// dependencies returns, for each required module that our code imports, the
// packages of ours that compile it in; and the imports that no requirement
// serves.
func (m *Module) dependencies() (users map[string]string, findings []Finding) {
	compiled, tested := map[string]map[string]bool{}, map[string]bool{}
	for _, p := range m.Packages {
		for _, f := range p.Files {
			for _, spec := range f.Imports() {
				module, ok := m.moduleOf(spec)
				if !ok {
					findings = append(findings, m.at(f.AST.Name, "imports %s, which go.mod does not require", spec))
				}
				if module != "" {
					tested[module] = true
				}
			}
		}
		for module := range m.reach(p, map[string]bool{}) {
			if compiled[module] == nil {
				compiled[module] = map[string]bool{}
			}
			compiled[module][p.Dir] = true
		}
	}
	users = map[string]string{}
	for module := range tested {
		users[module] = describe(compiled[module])
	}
	return users, findings
}

// describe names the packages that users import and the command; those for
// ourselves, and the examples, only when there are no others.
func describe(dirs map[string]bool) string {
	all := slices.Sorted(maps.Keys(dirs))
	public := slices.DeleteFunc(slices.Clone(all), func(dir string) bool { return in("internal", dir) || in("examples", dir) })
	switch {
	case len(all) == 0:
		return "tests only"
	case len(public) == 0:
		return strings.Join(all, ", ")
	}
	return strings.Join(public, ", ")
}

// reach returns the modules that a package compiles in, itself or through ours.
func (m *Module) reach(p *Package, seen map[string]bool) map[string]bool {
	found := map[string]bool{}
	seen[p.Dir] = true
	for _, f := range p.Production() {
		for _, spec := range f.Imports() {
			if dir, ours := m.within(spec); ours {
				if next := m.pkg(dir); next != nil && !seen[dir] {
					maps.Copy(found, m.reach(next, seen))
				}
			} else if module, _ := m.moduleOf(spec); module != "" {
				found[module] = true
			}
		}
	}
	return found
}

func (m *Module) pkg(dir string) *Package {
	for _, p := range m.Packages {
		if p.Dir == dir {
			return p
		}
	}
	return nil
}

// moduleOf returns the required module that serves an import, nothing for ours
// and the standard library; ok is false when none does.
func (m *Module) moduleOf(spec string) (module string, ok bool) {
	first, _, _ := strings.Cut(spec, "/")
	if _, ours := m.within(spec); ours || !strings.Contains(first, ".") {
		return "", true
	}
	for _, r := range m.Requires {
		if in(r, spec) && len(r) > len(module) {
			module = r
		}
	}
	return module, module != ""
}

// tableRows reads the rows of the table by module.
func tableRows(file string) (map[string][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if cells := tableCells(line); cells != nil {
			rows[cells[0]] = cells
		}
	}
	return rows, nil
}

// tableCells takes a row apart; the head and other lines give nothing.
func tableCells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "| ") || !strings.HasSuffix(line, " |") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(cell)
	}
	if len(cells) != columns || !strings.Contains(cells[0], "/") {
		return nil
	}
	return cells
}

// UpdateDependencies rewrites the rows of the table and keeps their reasons.
func UpdateDependencies(m *Module) error {
	file := filepath.Join(m.Root, DependencyTable)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rows, err := tableRows(file)
	if err != nil {
		return err
	}
	want, _ := m.dependencies()
	var head, tail strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case tableCells(line) != nil:
		case strings.HasPrefix(line, "|") || tail.Len() == 0 && !strings.Contains(head.String(), "\n|"):
			head.WriteString(line)
		default:
			tail.WriteString(line)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(want)) {
		row := rows[module]
		if row == nil {
			row = []string{module, unreasoned, unreasoned, ""}
		}
		row[columns-1] = want[module]
		head.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return os.WriteFile(file, []byte(head.String()+tail.String()), 0o644)
}
