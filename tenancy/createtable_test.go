package tenancy_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// wide has a field of each type that can be stored.
type wide struct {
	ID     uuid.UUID               `db:"id"     art32:"key"`
	Tenant tenancy.ID              `db:"org"    art32:"tenant"`
	Person uuid.UUID               `db:"person" art32:"subject"`
	Email  field.Encrypted[string] `db:"email"  art32:"index=email_bidx:email"`
	Tax    field.Encrypted[string] `db:"tax"    art32:"unique=tax_bidx:digits"`
	Order  string                  `db:"order"  art32:"open"`
	User   *string                 `db:"user"   art32:"personal"`
	On     bool                    `db:"on"     art32:"open"`
	I8     int8                    `db:"i8"     art32:"open"`
	I16    int16                   `db:"i16"    art32:"open"`
	I32    int32                   `db:"i32"    art32:"open"`
	I64    int64                   `db:"i64"    art32:"open"`
	U32    uint32                  `db:"u32"    art32:"open"`
	F64    float64                 `db:"f64"    art32:"open"`
	Bytes  []byte                  `db:"bytes"  art32:"open"`
	JSON   json.RawMessage         `db:"json"   art32:"open"`
	At     time.Time               `db:"at"     art32:"open"`
	Until  *time.Time              `db:"until"  art32:"open"`
	Other  *uuid.UUID              `db:"other"  art32:"open"`
}

var wides = tenancy.MustRepository[wide]("order")

// What is scaffolded from a struct is accepted by Open and holds rows, on both
// engines.
func TestCreateTable(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	migrations, tables := fstest.MapFS{}, tenancy.Schema{wides, memberships, options, readings}
	for engine, create := range map[string]func(tenancy.Table) (string, error){"postgres": postgres.CreateTable, "sqlite": sqlite.CreateTable} {
		var all strings.Builder
		for _, table := range tables {
			text, err := create(table)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(text)
		}
		migrations[engine+"/0001_order.sql"] = &fstest.MapFile{Data: []byte(all.String())}
	}
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := tenancytest.New(t, tables, &tenancytest.Options{Engine: engine, Migrations: migrations})
			ctx := w.In(t, w.A)
			at := time.Date(2026, 2, 28, 23, 59, 59, 123456000, time.UTC)
			row := &wide{
				Person: uuid.New(), Email: field.New("a@example.org"), Tax: field.New("12"), Order: "x", User: new("y"), On: true, I8: -8, I16: -1 << 15,
				I32: 1 << 30, I64: -1 << 62, U32: 1<<32 - 1, F64: 0.1, Bytes: []byte{0}, JSON: json.RawMessage(`{"a": 1}`), At: at, Until: &at, Other: new(uuid.New()),
			}
			if err := wides.Insert(ctx, w.DB, row); err != nil {
				t.Fatal(err)
			}
			got, err := wides.Get(ctx, w.DB, row.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*row, got, cmp.Comparer(field.Encrypted[string].Equal)); diff != "" {
				t.Errorf("(-inserted +got):\n%s", diff)
			}
			m := membership{User: uuid.New(), Group: uuid.New(), Role: "owner"}
			if err := errors.Join(memberships.Insert(ctx, w.DB, &m), options.Insert(ctx, w.DB, &option{Name: "a"}), readings.Insert(ctx, w.DB, &reading{ID: 3})); err != nil {
				t.Fatal(err)
			}
			if err := memberships.Insert(ctx, w.DB, &m); !errors.Is(err, tenancy.ErrExists) {
				t.Errorf("a second row of a key: %v", err)
			}
			again := *row
			again.ID = uuid.New()
			if err := wides.Insert(ctx, w.DB, &again); !errors.Is(err, tenancy.ErrExists) {
				t.Errorf("a second row of a unique value: %v", err)
			}
		})
	}
}

// A type that is not known stops the migration, and no table is begun of nothing.
func TestCreateTableUndecided(t *testing.T) {
	t.Parallel()
	type odd struct {
		ID     uuid.UUID      `db:"id"        art32:"key"`
		Tenant tenancy.ID     `db:"tenant_id" art32:"tenant"`
		Maybe  sql.NullString `db:"maybe"     art32:"open"`
	}
	described, err := tenancy.Described(tenancy.Schema{wides}.Info())
	if err != nil {
		t.Fatal(err)
	}
	for name, create := range map[string]func(tenancy.Table) (string, error){"postgres": postgres.CreateTable, "sqlite": sqlite.CreateTable} {
		text, err := create(tenancy.MustRepository[odd]("odd"))
		if err != nil || !strings.Contains(text, "\"maybe\" ??? /* the type of sql.NullString: decide */ NOT NULL") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		for _, none := range []tenancy.Table{nil, described[0]} {
			if _, err := create(none); err == nil {
				t.Errorf("%s: a table of nothing", name)
			}
		}
	}
}
