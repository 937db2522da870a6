package probe_test

import (
	"fmt"

	"github.com/art32/art32/internal/stagetest"
	"github.com/art32/art32/tenancy/probe"
	"github.com/art32/art32/tenancy/tenancytest"
)

// A database is tried between two tenants that have rows.
func ExampleRun() {
	t := stagetest.New() // the t of a test
	defer t.End()

	w := newWorld(t, tenancytest.SQLite)
	report, err := probe.Run(t.Context(), w.DB, &probe.Options{Probes: []string{"own-file", "attach"}})
	fmt.Println(report.Environment, report.OK(), err)
	for _, o := range report.Probes {
		fmt.Println(o.Measure, o.Name, o.State())
		for _, r := range o.Results {
			fmt.Printf("  %q %s\n", r.Object, r.State)
		}
	}
	// Output:
	// test true <nil>
	// TOM-8.1 own-file held
	//   "customers" held
	//   "notes" held
	//   "rates" held
	// TOM-8.1 attach held
	//   "" held
}
