package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/art32/art32/tenancy"
)

func TestVerbs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newCustomer("Änne@example.org", "Änne Müller")
	if err := customers.Insert(w.a, w.db, c); err != nil {
		t.Fatal(err)
	}
	got, err := customers.Get(w.a, w.db, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := got.Name.Reveal(); err != nil || name != "Änne Müller" {
		t.Errorf("Reveal() = %q, %v", name, err)
	}
	if _, err := customers.Get(w.b, w.db, c.ID); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("B reads A's row: %v, want ErrNotFound", err)
	}
	if err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.Plan = "pro"; return nil }); err != nil {
		t.Fatal(err)
	}
	n, err := customers.Count(w.a, w.db, customerEmail.Eq("änne@EXAMPLE.org"), customerPlan.Eq("pro"))
	if err != nil || n != 1 {
		t.Errorf("Count = %d, %v; want 1", n, err)
	}
	err = w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var n int
		if err := tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers"); err != nil {
			return err
		}
		if n != 0 {
			t.Errorf("B counts %d rows by raw SQL, want 0", n)
		}
		return customers.Insert(ctx, tx, newCustomer("b@example.org", "Berta"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := customers.Delete(w.a, w.db, c.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := customers.Count(w.b, w.db); err != nil || n != 1 {
		t.Errorf("B counts %d, %v; want 1", n, err)
	}
}
