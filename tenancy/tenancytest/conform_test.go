package tenancytest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/internal/stagetest"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestConform: a database as the library makes it passes all probes, on both
// engines, and leaves a report.
func TestConform(t *testing.T) {
	t.Parallel()
	tenancytest.Each(t, schema, options(t), func(t *testing.T, w *tenancytest.World) {
		dir := t.TempDir()
		r := tenancytest.Conform(t, w.DB, &tenancytest.ConformOptions{Schema: schema, Dir: dir})
		if !r.OK() || len(r.Tables) != len(schema) || r.Environment != "test" {
			t.Errorf("environment %s, tables %v, missing %v", r.Environment, r.Tables, r.Missing())
		}
		for _, name := range []string{".json", ".en.md", ".de.md"} {
			if text, err := os.ReadFile(filepath.Join(dir, w.Engine+name)); err != nil || !strings.Contains(string(text), "customers") {
				t.Errorf("report %s: %v", name, err)
			}
		}
	})
}

// TestConformFails: what does not hold, or was not probed, fails the test.
func TestConformFails(t *testing.T) {
	t.Parallel()
	w := tenancytest.New(t, schema, options(t))
	heard := func(o tenancytest.ConformOptions) string {
		l := &listener{TB: t}
		o.Dir = t.TempDir()
		tenancytest.Conform(l, w.DB, &o)
		return strings.Join(l.said, "\n")
	}
	all := tenancytest.ConformOptions{Schema: schema}
	if said := heard(all); said != "" {
		t.Errorf("before: %s", said)
	}
	if said := heard(tenancytest.ConformOptions{Schema: schema[:1]}); !strings.Contains(said, `not probed at "settings": own-file`) {
		t.Errorf("tables without rows: %q", said)
	}
	o := options(t)
	o.Engine = tenancytest.Postgres
	w = tenancytest.New(t, schema, o)
	if _, err := w.Raw(t, w.A).ExecContext(t.Context(), "GRANT TRUNCATE ON settings TO art32_app"); err != nil {
		t.Fatal(err)
	}
	if said := heard(all); !strings.Contains(said, "privileges: settings: TRUNCATE is granted") {
		t.Errorf("a right too many: %q", said)
	}
	all.Accept = []string{"privileges"}
	if said := heard(all); said != "" {
		t.Errorf("accepted: %s", said)
	}
}

// The probes run on the application's own tables.
func ExampleConform() {
	t := stagetest.New() // the t of a test
	defer t.End()

	w := tenancytest.New(t, schema, options(t))
	report := tenancytest.Conform(t, w.DB, &tenancytest.ConformOptions{Schema: schema, Dir: t.TempDir()})
	fmt.Println(report.OK(), report.Engine, report.Tables[0])
	fmt.Println(report.Probes[0].Name, report.Probes[0].Explanation.German)
	// Output:
	// true sqlite customers
	// own-file Die Datei eines Mandanten enthält allein seine Zeilen, und keine Anweisung eines anderen findet eine davon.
}
