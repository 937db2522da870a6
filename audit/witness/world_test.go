package witness_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type thing struct {
	ID     uuid.UUID  `art32:"key"    db:"id"`
	Tenant tenancy.ID `art32:"tenant" db:"tenant_id"`
	Plan   string     `art32:"open"   db:"plan"`
}

var things = tenancy.MustRepository[thing]("things")

func newWorld(t *testing.T) *tenancytest.World {
	t.Helper()
	return tenancytest.New(t, tenancy.Schema{things}, &tenancytest.Options{Engine: tenancytest.SQLite, Migrations: fstest.MapFS{
		"0001_things.sql": {Data: []byte("CREATE TABLE things (id TEXT NOT NULL, tenant_id TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))")},
	}})
}

// grow adds n entries to the log of tenant A, and seals them.
func grow(t *testing.T, w *tenancytest.World, n int) {
	t.Helper()
	for range n {
		must(t, things.Insert(w.In(t, w.A), w.DB, &thing{Plan: "basic"}))
	}
	w.Seal(t)
}
