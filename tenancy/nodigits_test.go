package tenancy_test

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// callee has a unique index of digits.
type callee struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Phone  field.Encrypted[string] `db:"phone"     art32:"unique=phone_bidx:digits"`
}

// TestNoDigits: under a unique index of digits two texts without any are not one.
func TestNoDigits(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	callees := tenancy.MustRepository[callee]("callees")
	phone := tenancy.MustColumn[string](callees, "phone")
	migrations := fstest.MapFS{
		"sqlite/0001_callees.sql": {Data: []byte(`CREATE TABLE callees
			(tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, phone BLOB, phone_bidx BLOB UNIQUE);`)},
		"postgres/0001_callees.sql": {Data: []byte(`CREATE TABLE callees
			(tenant_id uuid NOT NULL, id uuid NOT NULL, phone bytea, phone_bidx bytea, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, phone_bidx));
			SELECT art32.protect('callees');`)},
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := tenancytest.New(t, tenancy.Schema{callees}, &tenancytest.Options{Engine: engine, Migrations: migrations})
			ctx := w.In(t, w.A)
			for _, text := range []string{"n/a", "unknown", "٠١٢", "", "030 123"} {
				must(t, callees.Insert(ctx, w.DB, &callee{Phone: field.New(text)}))
			}
			if err := callees.Insert(ctx, w.DB, &callee{Phone: field.New("(030) 123")}); !errors.Is(err, tenancy.ErrExists) {
				t.Errorf("the same digits: %v", err)
			}
			for text, want := range map[string]int{"n/a": 0, "٠١٢": 0, "030123": 1} {
				n, err := callees.Count(ctx, w.DB, phone.Eq(text))
				must(t, err)
				if n != want {
					t.Errorf("%q found %d times, want %d", text, n, want)
				}
			}
			if _, err := w.DB.Reseal(ctx, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
