package probe_test

import (
	"embed"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/probe"
	"github.com/art32/art32/tenancy/tenancytest"
)

const measure = "TOM-8.1"

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"unique=email_bidx:email"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
}

type note struct {
	ID       uuid.UUID  `db:"id"          art32:"key"`
	Tenant   tenancy.ID `db:"tenant_id"   art32:"tenant"`
	Customer uuid.UUID  `db:"customer_id" art32:"subject"`
	Word     string     `db:"word"        art32:"personal"`
}

// rate has a key of several columns, of which none is a UUID.
type rate struct {
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Plan   string     `db:"plan"      art32:"key"`
	Year   int64      `db:"year"      art32:"key"`
	Cents  int64      `db:"cents"     art32:"open"`
}

var (
	customers = tenancy.MustRepository[customer]("customers")
	notes     = tenancy.MustRepository[note]("notes")
	rates     = tenancy.MustRepository[rate]("rates")
	schema    = tenancy.Schema{customers, notes, rates}
)

//go:embed testdata/app
var testdata embed.FS

func options(tb testing.TB, engine string) *tenancytest.Options {
	tb.Helper()
	app, err := fs.Sub(testdata, "testdata/app")
	must(tb, err)
	return &tenancytest.Options{Engine: engine, Migrations: app}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// newWorld is a database in which both tenants have rows in each table.
func newWorld(tb testing.TB, engine string) *tenancytest.World {
	tb.Helper()
	w := tenancytest.New(tb, schema, options(tb, engine))
	for i, id := range []tenancy.ID{w.A, w.B} {
		c := customer{Email: field.New("canary@example.org"), City: "canary-city", Plan: []string{"free", "pro"}[i]}
		must(tb, customers.Insert(w.In(tb, id), w.DB, &c))
		must(tb, notes.Insert(w.In(tb, id), w.DB, &note{Customer: c.ID, Word: "canary-word"}))
		must(tb, rates.Insert(w.In(tb, id), w.DB, &rate{Plan: "pro", Year: 2026, Cents: 900}))
		must(tb, rates.Insert(w.In(tb, id), w.DB, &rate{Plan: "pro", Year: 2027, Cents: 950}))
	}
	return w
}

// on gives the world's tables and keys another engine.
func on(tb testing.TB, w *tenancytest.World, e engine.Engine) *tenancy.DB {
	tb.Helper()
	db, err := tenancy.New(e, schema, w.Keys, w.Log, nil)
	must(tb, err)
	return db
}

// tried runs probes between the two tenants of a world.
func tried(tb testing.TB, w *tenancytest.World, db *tenancy.DB, names ...string) probe.Report {
	tb.Helper()
	r, err := probe.Run(tb.Context(), db, &probe.Options{Tenants: [2]tenancy.ID{w.A, w.B}, Probes: names})
	must(tb, err)
	return r
}

// found are the names of the probes that found something.
func found(r probe.Report) (names []string) {
	for _, o := range r.Broken() {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return names
}
