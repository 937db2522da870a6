package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// A table that changes while connections hold statements prepared for it costs
// one call, whatever connection the next one meets.
func TestTableChangesWhileWarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db, err := postgres.Open(t.Context(), w.logins, schema, w.keys, trace{}, &postgres.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := w.insert(w.a, t, "Anton")
	calls := map[string]func() error{
		"get":   func() error { _, err := customers.Get(w.a, db, c.ID); return err },
		"count": func() error { _, err := customers.Count(w.a, db, customerPlan.Eq("free")); return err },
		"edit": func() error {
			return customers.Edit(w.a, db, c.ID, func(c *customer) error { c.Visits++; return nil })
		},
		"insert": func() error { return customers.Insert(w.a, db, newCustomer("a@example.org", "A")) },
		"in": func() error {
			return db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				_, err := customers.Get(ctx, tx, c.ID)
				return errors.Join(err, customers.Insert(ctx, tx, newCustomer("b@example.org", "B")))
			})
		},
	}
	warm := func() {
		var held func(n int) error
		held = func(n int) error { // one more connection each
			for name, call := range calls {
				if err := call(); err != nil {
					t.Fatalf("%s, warm: %v", name, err)
				}
			}
			if n == 0 {
				return nil
			}
			return db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				_, err := customers.Get(ctx, tx, c.ID)
				return errors.Join(err, held(n-1))
			})
		}
		if err := held(2); err != nil {
			t.Fatal(err)
		}
	}
	w.admin(t).MustExec("CREATE TYPE plans AS ENUM ('free', 'pro')")
	for _, a := range []struct {
		there, back string
		calls       []string // all that can read the type
	}{
		{"ALTER TABLE customers ADD COLUMN more text", "ALTER TABLE customers DROP COLUMN more", []string{"get", "count", "edit", "insert", "in"}},
		{"ALTER TABLE customers ALTER visits TYPE bigint", "ALTER TABLE customers ALTER visits TYPE int", []string{"get", "count", "edit", "insert", "in"}},
		{"ALTER TABLE customers ALTER city TYPE varchar(100)", "ALTER TABLE customers ALTER city TYPE text", []string{"get", "count", "edit", "insert", "in"}},
		{"ALTER TABLE customers ALTER plan TYPE plans USING plan::plans", "ALTER TABLE customers ALTER plan TYPE text", []string{"count", "insert"}},
	} {
		for _, name := range a.calls {
			warm()
			for _, alter := range []string{a.there, a.back} {
				w.admin(t).MustExec(alter)
				if err := calls[name](); err != nil && !errors.Is(err, tenancy.ErrUnavailable) {
					t.Errorf("%s, %s: %v, want ErrUnavailable at most", alter, name, err)
				}
				for range 5 {
					if err := calls[name](); err != nil {
						t.Errorf("%s, %s again: %v", alter, name, err)
					}
				}
			}
			for range 2 { // the other statements are as old
				for _, call := range calls {
					_ = call()
				}
			}
		}
	}
}

// Names that another has removed on the server, as a pooler in between does.
func TestPreparedNamesAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	c := w.insert(w.a, t, "Anton")
	get := func() error { _, err := customers.Get(w.a, w.db, c.ID); return err }
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if err := w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
		_, err := tx.Engine(engine.Library).Run(ctx, engine.Stmt{SQL: "DEALLOCATE ALL", Once: true}, engine.Continue, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, tenancy.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if err := get(); err != nil {
		t.Errorf("again: %v", err)
	}
}

// The protocol numbers 65,535 parameters; one more is the caller's mistake and
// costs neither the connection nor the transaction.
func TestTooManyParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		for _, n := range []int{65536, 70000, 200000} {
			if _, err := tx.SQLX().ExecContext(ctx, "SELECT 1", make([]any, n)...); !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%d parameters: %v, want ErrBadValue", n, err)
			}
		}
		_, err := tx.SQLX().ExecContext(ctx, "SELECT 1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
