package tenancytest

import (
	"context"
	"strings"
	"testing"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/probe"
)

// ConformOptions are the choices of [Conform]; nil and zero fields mean the
// defaults.
type ConformOptions struct {
	// Schema are the tables to fill. It is needed unless Fill is given.
	Schema tenancy.Schema
	// Fill inserts at least one row into each table for the tenant of ctx, through
	// c. Default: rows made from the types of the columns; see [Options].Fill.
	Fill func(ctx context.Context, c tenancy.Conn) error
	// Accept names the probes whose findings are told and do not fail the test; see
	// [probe.Options]. Default: none.
	Accept []string
	// Dir is where the report is written; see [probe.Report.WriteFiles]. Default: the
	// artifact directory of the test, which `go test -artifacts` keeps.
	Dir string
}

// Conform makes two tenants in db, fills their tables, and tries between them what
// must never work, with the probes of package probe, which it rolls back. It fails t
// with each that worked and each declared table where one could not be tried, writes
// the report for auditors, and returns it. The two tenants stay. The database must be
// stamped as something else than production, as those of [New] are; see
// [tenancy.DB.Environment].
func Conform(t testing.TB, db *tenancy.DB, o *ConformOptions) probe.Report {
	t.Helper()
	if o == nil {
		o = &ConformOptions{}
	}
	t.Attr("art32.measure", "TOM-8.1")
	w := &World{DB: db, Actor: tenancy.MustService("test"), schema: o.Schema, options: Options{Fill: o.Fill}}
	if o.Fill == nil && len(o.Schema) == 0 {
		t.Fatal("tenancytest: ConformOptions: neither Schema nor Fill says how to fill the tables")
	}
	if is, err := db.Environment(t.Context()); err != nil || is == tenancy.Production {
		t.Fatalf("tenancytest: %v (%v)", probe.ErrProduction, err) // before a tenant is made
	}
	tenants := [2]tenancy.ID{}
	for i := range tenants {
		var err error
		tenants[i], err = w.tenant(t.Context())
		check(t, err)
		check(t, w.fill(w.in(t.Context(), tenants[i])))
	}
	r, err := probe.Run(t.Context(), db, &probe.Options{Tenants: tenants, Accept: o.Accept})
	check(t, err)
	dir := o.Dir
	if dir == "" {
		dir = t.ArtifactDir()
	}
	check(t, r.WriteFiles(dir))
	for _, b := range r.Broken() {
		for _, res := range b.Results {
			if res.State == probe.Broken {
				t.Errorf("%s\n%s: %s: %s", b.Explanation.English, b.Name, res.Object, res.What.English)
			}
		}
	}
	for object, names := range r.Missing() {
		t.Errorf("not probed at %q: %s", object, strings.Join(names, ", "))
	}
	return r
}
