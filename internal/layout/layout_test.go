package layout_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/art32/art32/internal/layout"
)

var update = flag.Bool("update", false, "rewrite the golden files of the API and the table of dependencies")

var rules = map[string]func(*layout.Module) []layout.Finding{
	"floors":       layout.Floors,
	"testing":      layout.NoTesting,
	"init":         layout.NoInit,
	"panic":        layout.NoPanic,
	"log":          layout.NoGlobalLog,
	"documented":   layout.Documented,
	"dependencies": layout.Dependencies,
	"snippets":     layout.Snippets,
	"golden":       layout.Golden,
}

// TestModule applies each rule to this module.
func TestModule(t *testing.T) {
	t.Parallel()
	m := load(t, filepath.Join("..", ".."))
	if *update {
		updateAll(t, m)
	}
	if len(m.Packages) < 5 {
		t.Fatalf("found %d packages, so the rules see nothing", len(m.Packages))
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, finding := range rule(m) {
				t.Error(finding)
			}
		})
	}
}

// TestRules applies each rule to its broken modules in testdata. Their file
// "want" lists the findings.
func TestRules(t *testing.T) {
	t.Parallel()
	for name, rule := range rules {
		fixtures, err := filepath.Glob(filepath.Join("testdata", name+"*.txtar"))
		if err != nil || len(fixtures) == 0 {
			t.Errorf("nothing shows that rule %s can fail: %v", name, err)
		}
		for _, fixture := range fixtures {
			t.Run(strings.TrimSuffix(filepath.Base(fixture), ".txtar"), func(t *testing.T) {
				t.Parallel()
				root := unpack(t, fixture)
				want := read(t, filepath.Join(root, "want"))
				if strings.TrimSpace(want) == "" {
					t.Fatal("the fixture wants no finding")
				}
				if diff := cmp.Diff(want, render(rule(load(t, root)))); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestUpdate shows that -update repairs what it is meant to, and leaves a
// reason to be given by a person.
func TestUpdate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"golden", "dependencies"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := unpack(t, filepath.Join("testdata", name+".txtar"))
			updateAll(t, load(t, root))
			after := render(rules[name](load(t, root)))
			if diff := cmp.Diff(read(t, filepath.Join(root, "want-updated")), after); diff != "" {
				t.Errorf("findings after -update (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	root := unpack(t, filepath.Join("testdata", "api.txtar"))
	m := load(t, root)
	got, err := layout.API(m, m.Packages[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, filepath.Join(root, "want")), got); diff != "" {
		t.Errorf("API (-want +got):\n%s", diff)
	}
}

func updateAll(t *testing.T, m *layout.Module) {
	t.Helper()
	if err := layout.UpdateGolden(m); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.Root, layout.DependencyTable)); err != nil {
		return
	}
	if err := layout.UpdateDependencies(m); err != nil {
		t.Error(err)
	}
}

func load(t *testing.T, root string) *layout.Module {
	t.Helper()
	m, err := layout.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unpack writes the files of a fixture to a new folder.
func unpack(t *testing.T, fixture string) string {
	t.Helper()
	archive, err := txtar.ParseFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := txtar.Write(archive, root); err != nil {
		t.Fatal(err)
	}
	return root
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func render(findings []layout.Finding) string {
	var out strings.Builder
	for _, finding := range findings {
		out.WriteString(finding.String() + "\n")
	}
	return out.String()
}
