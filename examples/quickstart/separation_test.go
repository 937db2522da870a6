package main

import (
	"io/fs"
	"testing"

	"github.com/art32/art32/tenancy/tenancytest"
)

// TestSeparation tries on the tables of this application what must not work between
// its tenants, on both engines.
func TestSeparation(t *testing.T) {
	t.Parallel()
	own, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	o := &tenancytest.Options{Migrations: own, Lines: lines()}
	tenancytest.Each(t, schema, o, func(t *testing.T, w *tenancytest.World) {
		tenancytest.Conform(t, w.DB, &tenancytest.ConformOptions{Schema: schema})
	})
}
