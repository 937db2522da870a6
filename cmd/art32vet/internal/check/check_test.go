package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/art32/art32/cmd/art32vet/internal/check"
	"github.com/art32/art32/cmd/art32vet/internal/check/testdata/tables"
)

// root is that of the module: the packages below testdata belong to it, so that
// they mean the real types of tenancy.
const (
	root    = "../../../.."
	planted = "./cmd/art32vet/internal/check/testdata/"
)

// all runs the analyzers as one, so that a program can hold the faults of all.
func all() *analysis.Analyzer {
	return &analysis.Analyzer{Name: "all", Doc: "all analyzers", Run: func(pass *analysis.Pass) (any, error) {
		for _, a := range check.All() {
			of := *pass
			of.Analyzer = a
			if _, err := a.Run(&of); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}}
}

// TestPlanted finds every fault of the planted program, and none elsewhere.
func TestPlanted(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	results := analysistest.Run(t, root, all(), planted+"planted", planted+"clean", planted+"plain")
	if len(results) != 3 {
		t.Errorf("%d packages were read", len(results))
	}
	found := 0
	for _, r := range results {
		found += len(r.Action.Diagnostics)
	}
	if found < 120 {
		t.Errorf("%d findings", found)
	}
}

// TestDeclarations compares what art32vet says of each table with what tenancy
// says of it.
func TestDeclarations(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	got := map[string][]string{}
	for _, r := range analysistest.Run(ignore{t}, root, check.Unclassified, planted+"tables") {
		for _, d := range r.Action.Diagnostics {
			table, text, _ := strings.Cut(strings.TrimPrefix(d.Message, "table of tables."), ": ")
			got[table] = append(got[table], text)
		}
	}
	want := map[string][]string{}
	for table, err := range tables.Declared() {
		if err == nil {
			continue
		}
		for line := range strings.Lines(err.Error()) {
			text := strings.TrimPrefix(strings.TrimSpace(line), "tenancy: declare table things: ")
			want[table] = append(want[table], asWritten.Replace(text))
		}
	}
	for _, lines := range []map[string][]string{got, want} {
		for _, texts := range lines {
			slices.Sort(texts)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tenancy and art32vet differ (-tenancy +art32vet):\n%s", diff)
	}
	if len(want) < 8 {
		t.Errorf("only %d tables are refused", len(want))
	}
}

// asWritten are the names of types as people write them.
var asWritten = strings.NewReplacer("interface {}", "any", "]uint8", "]byte")

// ignore passes over findings that the package does not announce: they are
// compared with tenancy's words instead.
type ignore struct{ t *testing.T }

// Errorf implements analysistest.Testing.
func (i ignore) Errorf(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !strings.Contains(text, "unexpected diagnostic") {
		i.t.Error(text)
	}
}

// TestDocumented: `art32vet help NAME` says what an analyzer looks for.
func TestDocumented(t *testing.T) {
	t.Parallel()
	if err := analysis.Validate(check.All()); err != nil {
		t.Error(err)
	}
	for _, a := range check.All() {
		if title, rest, _ := strings.Cut(a.Doc, "\n\n"); !strings.HasPrefix(title, "report ") || len(rest) < 200 {
			t.Errorf("%s is not documented: %s", a.Name, a.Doc)
		}
	}
}
