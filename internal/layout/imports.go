package layout

import (
	"slices"
	"strings"
)

// topFolders are the top-level folders that may hold packages.
var topFolders = []string{"tenancy", "audit", "session", "crypto", "backup", "incident", "examples", "cmd", "internal"}

// floor2 are the siblings that never import each other.
var floor2 = []string{"audit", "session", "backup", "incident"}

// roof are the packages that may import all and that nobody below imports.
var roof = []string{"audit/tom", "cmd", "examples"}

// Floors reports the imports that go up or sideways between the floors of the
// design. Tests may import what they like.
func Floors(m *Module) []Finding {
	var findings []Finding
	for _, p := range m.Packages {
		if top, _, _ := strings.Cut(p.Dir, "/"); p.Dir != "." && !slices.Contains(topFolders, top) {
			findings = append(findings, Finding{p.Dir, "is no folder of the design"})
		}
		if p.MayTest() {
			continue // a kit works with the real thing, from whichever floor
		}
		for _, f := range p.Production() {
			for _, spec := range f.Imports() {
				dir, ours := m.within(spec)
				if ours && !mayImport(p.Dir, dir) {
					findings = append(findings, m.at(f.AST.Name, "%s may not import %s", p.Dir, dir))
				}
			}
		}
	}
	return findings
}

// mayImport reports whether the package in folder from may import that in to.
func mayImport(from, to string) bool {
	switch {
	case from == ".":
		return false
	case isRoof(from):
		return true
	case isRoof(to):
		return false
	case in("internal", to):
		return true
	case in("internal", from):
		return false
	case in("crypto", to):
		return true
	case in("crypto", from):
		return false
	case in("tenancy", to):
		return true
	}
	return slices.ContainsFunc(floor2, func(top string) bool { return in(top, from) && in(top, to) })
}

func isRoof(dir string) bool {
	return slices.ContainsFunc(roof, func(top string) bool { return in(top, dir) })
}

// in reports whether dir is the folder top or lies below it.
func in(top, dir string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }

// NoTesting reports production code that imports testing, a package below it,
// or a package made for tests.
func NoTesting(m *Module) []Finding {
	made := map[string]bool{}
	for _, p := range m.Packages {
		made[p.Dir] = p.MayTest()
	}
	var findings []Finding
	for _, p := range m.Packages {
		if p.MayTest() || p.Dir == "internal/dbtest/withpg" {
			continue
		}
		for _, f := range p.Production() {
			for _, spec := range f.Imports() {
				dir, ours := m.within(spec)
				if in("testing", spec) || strings.HasSuffix(spec, "/httptest") || ours && made[dir] {
					findings = append(findings, m.at(f.AST.Name, "imports %s, which is for tests", spec))
				}
			}
		}
	}
	return findings
}
