package tenancy_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// label is a text that stores nothing as NULL.
type label string

func (l label) Value() (driver.Value, error) {
	if l == "" {
		return nil, nil //nolint:nilnil // NULL
	}
	return string(l), nil
}

func (l *label) Scan(v any) error {
	text, _ := v.(string)
	*l = label(text)
	return nil
}

type parcel struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Label  label      `db:"label"     art32:"open"`
	Seal   []byte     `db:"seal"      art32:"open"`
}

var (
	parcels     = tenancy.MustRepository[parcel]("parcels")
	parcelLabel = tenancy.MustColumn[label](parcels, "label")
	parcelSeal  = tenancy.MustColumn[[]byte](parcels, "seal")

	parcelMigrations = fstest.MapFS{
		"sqlite/0001_parcels.sql": {Data: []byte(`CREATE TABLE parcels
	(tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, label TEXT, seal BLOB);`)},
		"postgres/0001_parcels.sql": {Data: []byte(`CREATE TABLE parcels
	(tenant_id uuid NOT NULL, id uuid NOT NULL, label text, seal bytea, PRIMARY KEY (tenant_id, id));
SELECT art32.protect('parcels');`)},
	}
)

// TestNulls: NULL has its place in an order and equals nothing, whatever type writes it.
func TestNulls(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	o := &tenancytest.Options{Migrations: parcelMigrations}
	tenancytest.Each(t, tenancy.Schema{parcels}, o, func(t *testing.T, w *tenancytest.World) {
		ctx := w.In(t, w.A)
		all := make([]parcel, 1100)
		for i := range all {
			if i%2 == 0 {
				all[i].Label, all[i].Seal = label(fmt.Sprint("label ", i%7)), []byte{byte(i % 3)}
			}
		}
		must(t, parcels.InsertAll(ctx, w.DB, all))
		for name, order := range map[string]tenancy.Order{
			"up": parcelLabel.Asc(), "down": parcelLabel.Desc(), "bytes up": parcelSeal.Asc(), "bytes down": parcelSeal.Desc(),
		} {
			seen := map[uuid.UUID]bool{}
			for _, p := range listed(t, parcels.List(ctx, w.DB, order)) {
				seen[p.ID] = true
			}
			if len(seen) != len(all) {
				t.Errorf("%s: %d of %d rows", name, len(seen), len(all))
			}
		}
		if first := listed(t, parcels.List(ctx, w.DB, parcelLabel.Asc(), tenancy.Limit(1))); first[0].Label == "" {
			t.Error("NULL is not the greatest")
		}
		for name, f := range map[string]tenancy.Filter{
			"labels": parcelLabel.In("", "label 0", "label 2"), "bytes": parcelSeal.In(nil, []byte{0}, []byte{1}),
		} {
			n := countOf(ctx, t, w, f)
			if m := countOf(ctx, t, w, tenancy.Not(f)); n == 0 || n > len(all)/2 || n+m != len(all) {
				t.Errorf("%s: %d rows, and %d others", name, n, m)
			}
		}
		if n := countOf(ctx, t, w, parcelSeal.In(nil, nil)); n != 0 {
			t.Errorf("%d rows equal NULL", n)
		}
	})
}

func countOf(ctx context.Context, t *testing.T, w *tenancytest.World, f tenancy.Filter) int {
	t.Helper()
	n, err := parcels.Count(ctx, w.DB, f)
	must(t, err)
	return n
}
