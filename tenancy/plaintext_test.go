package tenancy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// migrating is a person whose name was stored in clear until now.
type migrating struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   field.Encrypted[string] `db:"name"      art32:"plaintext=2026-01-31,index=name_bidx:casefold"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
}

// TestPlaintextColumn reads and seals what a table held before, and erases it.
func TestPlaintextColumn(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			people := tenancy.MustRepository[migrating]("persons")
			name := tenancy.MustColumn[string](people, "name")
			m, err := field.NewMigration(field.DateOf(time.Now().AddDate(0, 1, 0)))
			if err != nil {
				t.Fatal(err)
			}
			tenancy.SetMigration(name, m)
			w := tenancytest.New(t, tenancy.Schema{people}, &tenancytest.Options{Engine: engine, Migrations: personsMigrations()})
			ctx := w.In(t, w.A)
			p, erased := migrating{City: "Köln", Plan: "free"}, migrating{City: "Bonn", Plan: "free"}
			for _, row := range []*migrating{&p, &erased} {
				row.Name = field.New("later in clear")
				if err := people.Insert(ctx, w.DB, row); err != nil {
					t.Fatal(err)
				}
			}
			inClear := map[string]string{
				tenancytest.SQLite:   "UPDATE persons SET name = CAST('Änne' AS BLOB), name_bidx = NULL",
				tenancytest.Postgres: "UPDATE persons SET name = convert_to('Änne', 'UTF8'), name_bidx = NULL",
			}[engine]
			if _, err := w.Raw(t, w.A).ExecContext(ctx, inClear); err != nil {
				t.Fatal(err)
			}
			stored := func(id uuid.UUID) (b []byte) {
				err := w.Raw(t, w.A).QueryRowContext(ctx, "SELECT name FROM persons WHERE id = $1", id.String()).Scan(&b)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			reveals(t, w, people, p.ID, "Änne", nil)
			if name.Migration() != m || m.Reads() != 1 {
				t.Errorf("%d reads counted", m.Reads())
			}

			if err := w.DB.Erase(ctx, erased.ID); err != nil {
				t.Fatal(err)
			}
			if b := stored(erased.ID); len(b) != 0 {
				t.Errorf("left of an erased person: %q", b)
			}
			reveals(t, w, people, erased.ID, "", field.ErrErased)

			reads := m.Reads()
			if err := people.Edit(ctx, w.DB, p.ID, func(p *migrating) error { p.Plan = "pro"; return nil }); err != nil {
				t.Fatal(err)
			}
			if _, ok := field.KeyVersion(stored(p.ID)); !ok || m.Reads() == reads {
				t.Errorf("not sealed when written, or not counted: %d, then %d", reads, m.Reads())
			}
			reads = m.Reads()
			reveals(t, w, people, p.ID, "Änne", nil)
			if n, err := people.Count(ctx, w.DB, name.Eq("ÄNNE")); n != 1 || err != nil || m.Reads() != reads {
				t.Errorf("found by blind index: %d, %v; %d reads of plaintext", n, err, m.Reads()-reads)
			}

			over, err := field.NewMigration(field.Date{Year: 2026, Month: 1, Day: 31})
			if err != nil {
				t.Fatal(err)
			}
			tenancy.SetMigration(name, over)
			if _, err := w.Raw(t, w.A).ExecContext(ctx, inClear); err != nil {
				t.Fatal(err)
			}
			reveals(t, w, people, p.ID, "", field.ErrMigrationOver)
			tenancy.SetMigration(name, nil)
			reveals(t, w, people, p.ID, "", field.ErrOpen)
		})
	}
}

func reveals(t *testing.T, w *tenancytest.World, people *tenancy.Repository[migrating], id uuid.UUID, want string, wanted error) {
	t.Helper()
	ctx := w.In(t, w.A)
	p, err := people.Get(ctx, w.DB, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Name.Reveal(); got != want || !errors.Is(err, wanted) {
		t.Errorf("get: %q, %v", got, err)
	}
	var raw field.Encrypted[string]
	raw.Load([]byte("Änne"))
	err = w.DB.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.Attach(ctx, tenancy.Cell{Table: people, Column: "name", Row: id, Subject: id}, &raw)
	})
	if err != nil {
		t.Errorf("attach: %v", err)
	}
}

// TestPlaintextIsDescribed: an erasure without the structs clears it too.
func TestPlaintextIsDescribed(t *testing.T) {
	t.Parallel()
	people := tenancy.MustRepository[migrating]("persons")
	info := tenancy.Schema{people}.Info()
	if !info[0].Columns[2].Plaintext || info[0].Columns[3].Plaintext {
		t.Errorf("described as %+v", info[0].Columns)
	}
	described, err := tenancy.Described(info)
	if err != nil || !described.Info()[0].Columns[2].Plaintext {
		t.Errorf("described again as %+v, %v", described.Info()[0].Columns, err)
	}
	info[0].Columns[4].Plaintext = true
	if _, err := tenancy.Described(info); err == nil {
		t.Error("an open column passes for plaintext that will be encrypted")
	}
}
