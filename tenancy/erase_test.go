package tenancy_test

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type person struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   field.Encrypted[string] `db:"name"      art32:"index=name_bidx:casefold"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
}

var (
	persons    = tenancy.MustRepository[person]("persons")
	personName = tenancy.MustColumn[string](persons, "name")
)

const personsPostgres = `CREATE TABLE persons (tenant_id uuid NOT NULL, id uuid NOT NULL, name bytea, name_bidx bytea,
	city text NOT NULL, plan text NOT NULL, PRIMARY KEY (tenant_id, id));
	SELECT art32.protect('persons');`

const personsSQLite = `CREATE TABLE persons (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, name BLOB, name_bidx BLOB,
	city TEXT NOT NULL, plan TEXT NOT NULL);`

func personsMigrations() fs.FS {
	return fstest.MapFS{
		"sqlite/0001_persons.sql":   {Data: []byte(personsSQLite)},
		"postgres/0001_persons.sql": {Data: []byte(personsPostgres)},
	}
}

var engines = []string{tenancytest.SQLite, tenancytest.Postgres}

// instances opens one database as two instances of a program would: with key
// caches of their own.
func instances(t *testing.T, engine string) (one, two *tenancy.DB, ctx context.Context) {
	t.Helper()
	w := tenancytest.New(t, tenancy.Schema{persons}, &tenancytest.Options{Engine: engine, Migrations: personsMigrations()})
	return w.DB, w.Reopen(t).DB, w.In(t, w.A)
}

// TestErasedElsewhere: an instance that still holds the key in memory cannot
// write about a person whom another has erased.
func TestErasedElsewhere(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			one, two, ctx := instances(t, engine)
			p := person{Name: field.New("Änne"), City: "Köln", Plan: "free"}
			if err := persons.Insert(ctx, two, &p); err != nil {
				t.Fatal(err)
			}
			if err := one.Erase(ctx, p.ID); err != nil {
				t.Fatal(err)
			}
			warm := map[string]error{
				"encrypted": persons.Edit(ctx, two, p.ID, func(p *person) error { p.Name = field.New("again"); return nil }),
				"personal":  persons.Edit(ctx, two, p.ID, func(p *person) error { p.City = "again"; return nil }),
				"insert":    persons.Insert(ctx, two, &person{ID: p.ID, Name: field.New("again"), City: "again"}),
			}
			warm["in sql"] = two.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				return persons.Edit(ctx, tx, p.ID, func(p *person) error { p.City = "again"; return nil })
			})
			for name, err := range warm {
				if !errors.Is(err, tenancy.ErrErased) && (name != "insert" || !errors.Is(err, tenancy.ErrExists)) {
					t.Errorf("%s: %v, want ErrErased", name, err)
				}
			}
			if err := persons.Edit(ctx, two, p.ID, func(p *person) error { p.Plan = "gone"; return nil }); err != nil {
				t.Errorf("an open column: %v", err)
			}
			got, err := persons.Get(ctx, one, p.ID)
			if err != nil || got.City != "" || got.Plan != "gone" {
				t.Errorf("city %q, plan %q, %v", got.City, got.Plan, err)
			}
			if n, err := persons.Count(ctx, one, personName.Eq("again")); err != nil || n != 0 {
				t.Errorf("found by blind index: %d, %v", n, err)
			}
		})
	}
}

// TestEraseBesideWriters: whatever writers do meanwhile, nothing personal is
// left when Erase returns.
func TestEraseBesideWriters(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			one, two, ctx := instances(t, engine)
			for range 8 {
				p := person{Name: field.New("Änne"), City: "Köln", Plan: "free"}
				if err := persons.Insert(ctx, two, &p); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						for range 6 {
							err := persons.Edit(ctx, two, p.ID, func(p *person) error { p.City += "x"; return nil })
							if err != nil && !errors.Is(err, tenancy.ErrErased) {
								t.Error(err)
							}
						}
					})
				}
				if err := one.Erase(ctx, p.ID); err != nil {
					t.Error(err)
				}
				wg.Wait()
				if got, err := persons.Get(ctx, one, p.ID); err != nil || got.City != "" {
					t.Errorf("city %q after the erasure, %v", got.City, err)
				}
			}
		})
	}
}

// TestEraseInside: inside a transaction that could roll back nothing is erased.
func TestEraseInside(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			one, _, ctx := instances(t, engine)
			p := person{Name: field.New("Änne"), City: "Köln"}
			if err := persons.Insert(ctx, one, &p); err != nil {
				t.Fatal(err)
			}
			err := one.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return one.Erase(ctx, p.ID) })
			if !errors.Is(err, tenancy.ErrTxInUse) {
				t.Errorf("in In: %v, want ErrTxInUse", err)
			}
			err = one.InSQL(ctx, func(ctx context.Context, _ *tenancy.SQLTx) error { return one.Erase(ctx, p.ID) })
			if !errors.Is(err, tenancy.ErrTxInUse) {
				t.Errorf("in InSQL: %v, want ErrTxInUse", err)
			}
			got, err := persons.Get(ctx, one, p.ID)
			if err != nil {
				t.Fatal(err)
			}
			if name, err := got.Name.Reveal(); err != nil || name != "Änne" {
				t.Errorf("the key is gone: %q, %v", name, err)
			}
		})
	}
}

// TestEraseBehindALock: a transaction that holds rows delays an erasure, which
// does not wait for ever and does not give up at once.
func TestEraseBehindALock(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		one, two, ctx := instances(t, "postgres")
		p := person{Name: field.New("Änne"), City: "Köln"}
		if err := persons.Insert(ctx, one, &p); err != nil {
			t.Fatal(err)
		}
		erased := make(chan error, 1)
		err := two.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			if _, err := tx.SQLX().ExecContext(ctx, "SELECT id FROM persons FOR UPDATE"); err != nil {
				return err
			}
			go func() { erased <- one.Erase(context.WithoutCancel(tenancyOnly(ctx, t)), p.ID) }()
			_, err := tx.SQLX().ExecContext(ctx, "SELECT pg_sleep(2)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-erased; err != nil {
			t.Errorf("Erase = %v", err)
		}
	})
}

// tenancyOnly is a context of the same tenant outside of any transaction.
func tenancyOnly(ctx context.Context, t *testing.T) context.Context {
	t.Helper()
	id, err := tenancy.TenantFrom(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return tenancy.WithActor(tenancy.WithTenant(t.Context(), id), tenancy.MustService("test"))
}

// TestAttach: what callers' SQL read can be revealed in its own cell only.
func TestAttach(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			one, _, ctx := instances(t, engine)
			p := person{Name: field.New("Änne"), City: "Köln"}
			if err := persons.Insert(ctx, one, &p); err != nil {
				t.Fatal(err)
			}
			err := one.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				var name field.Encrypted[string]
				if err := tx.SQLX().GetContext(ctx, &name, "SELECT name FROM persons WHERE id = $1", p.ID); err != nil {
					return err
				}
				wrong := name
				if err := tx.Attach(ctx, tenancy.Cell{Table: persons, Column: "name", Row: uuid.New(), Subject: p.ID}, &wrong); err != nil {
					return err
				}
				if _, err := wrong.Reveal(); !errors.Is(err, field.ErrOpen) {
					t.Errorf("in another cell: %v, want ErrOpen", err)
				}
				if err := tx.Attach(ctx, tenancy.Cell{Table: persons, Column: "name", Row: p.ID, Subject: p.ID}, &name); err != nil {
					return err
				}
				got, err := name.Reveal()
				if got != "Änne" {
					t.Errorf("Reveal = %q", got)
				}
				return errors.Join(err, refusedAttach(ctx, t, tx, &name))
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func refusedAttach(ctx context.Context, t *testing.T, tx *tenancy.SQLTx, f field.Sealable) error {
	t.Helper()
	for _, c := range []tenancy.Cell{{}, {Table: Patients, Column: "name"}, {Table: persons, Column: "city"}} {
		if err := tx.Attach(ctx, c, f); err == nil {
			t.Errorf("cell %v was accepted", c)
		}
	}
	return nil
}

// TestDBInsideIn: a verb on the database inside a transaction of it would commit
// apart from it, or wait for it.
func TestDBInsideIn(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			one, _, ctx := instances(t, engine)
			err := one.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
				return persons.Insert(ctx, one, &person{City: "x"})
			})
			if !errors.Is(err, tenancy.ErrTxInUse) {
				t.Errorf("%v, want ErrTxInUse", err)
			}
		})
	}
}

func TestNothingGiven(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		one, _, ctx := instances(t, "sqlite")
		for name, err := range map[string]error{
			"insert": persons.Insert(ctx, one, nil), "update": persons.Update(ctx, one, nil),
			"edit": persons.Edit(ctx, one, uuid.New(), nil),
		} {
			if !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: %v, want ErrBadValue", name, err)
			}
		}
		names := make([]string, 40000)
		if _, err := persons.Count(ctx, one, personName.In(names...)); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("40,000 values: %v, want ErrBadValue", err)
		}
	})
}
