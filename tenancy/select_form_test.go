package tenancy_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestForeignForms: a list over values that the library would have written otherwise
// ends, with an error where it cannot go on.
func TestForeignForms(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	w := tenancytest.New(t, tenancy.Schema{payers, bills}, &tenancytest.Options{Migrations: billMigrations})
	for name, c := range map[string]struct {
		tenant tenancy.ID
		id     func() any
		order  tenancy.Order
	}{
		"short times": {w.A, func() any { return uuid.New() }, billDue.Asc()},
		"bytes":       {w.B, func() any { id := uuid.New(); return id[:] }, billID.Asc()},
	} {
		ctx := w.In(t, c.tenant)
		must(t, w.DB.InSQL(ctx, func(_ context.Context, tx *tenancy.SQLTx) error {
			for range 600 {
				tx.SQLX().MustExec(`INSERT INTO bills (tenant_id, id, number, due, cents, rate, paid, version)
					VALUES ($1, $2, 'x', '2026-01-01T00:00:00Z', 1, 1, 1, 1)`, c.tenant, c.id())
			}
			return nil
		}))
		n := 0
		for _, err := range bills.List(ctx, w.DB, c.order) {
			if n++; err != nil {
				if !errors.Is(err, tenancy.ErrBadValue) {
					t.Errorf("%s: %v", name, err)
				}
			} else if n > 600 {
				t.Fatalf("%s: the list does not end", name)
			}
		}
	}
	ctx, n := w.In(t, w.B), 0
	_, err := bills.EditAll(ctx, w.DB, func(*bill) error { n++; return nil })
	if n > 600 || !errors.Is(err, tenancy.ErrBadValue) {
		t.Errorf("edited %d rows: %v", n, err)
	}
}

// TestFarTimes: a cursor holds every time that the database does.
func TestFarTimes(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	w := tenancytest.New(t, tenancy.Schema{payers, bills}, &tenancytest.Options{Engine: tenancytest.Postgres, Migrations: billMigrations})
	ctx := w.In(t, w.A)
	must(t, bills.InsertAll(ctx, w.DB, someBills(9)))
	must(t, w.DB.InSQL(ctx, func(_ context.Context, tx *tenancy.SQLTx) error {
		tx.SQLX().MustExec("UPDATE bills SET due = '20000-01-01 00:00:00Z' WHERE paid")
		return nil
	}))
	n, cursor := 0, ""
	for {
		p, err := bills.Page(ctx, w.DB, cursor, billDue.Asc(), tenancy.Limit(2))
		must(t, err)
		if n, cursor = n+len(p.Rows), p.Next; cursor == "" {
			break
		}
	}
	if n != 9 {
		t.Errorf("%d rows", n)
	}
}

// TestWhereOnlyReads: a function of the application's that a Where calls writes
// nothing, since no event would tell of it.
func TestWhereOnlyReads(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	migrations := fstest.MapFS{"postgres/0002_pay.sql": {Data: []byte(`CREATE FUNCTION public.pay() RETURNS boolean LANGUAGE plpgsql
AS $$ BEGIN UPDATE public.bills SET number = 'written'; RETURN true; END $$;`)}}
	maps.Copy(migrations, billMigrations)
	w := tenancytest.New(t, tenancy.Schema{payers, bills}, &tenancytest.Options{Engine: tenancytest.Postgres, Migrations: migrations})
	ctx := w.In(t, w.A)
	must(t, bills.InsertAll(ctx, w.DB, someBills(3)))
	for _, text := range []string{
		"public.pay()", "set_config('transaction_read_only', 'off', true) IS NOT NULL AND public.pay()",
		"id IN (SELECT id FROM bills FOR UPDATE)",
	} {
		_, err := bills.Count(ctx, w.DB, tenancy.Where(text))
		if n, cerr := bills.Count(ctx, w.DB, billNumber.Eq("written")); !errors.Is(err, tenancy.ErrForbidden) || n != 0 || cerr != nil {
			t.Errorf("%s: wrote %d rows (%v, %v)", text, n, err, cerr)
		}
	}
}

// TestWhereBesideWriter: a Where waits for nobody who writes.
func TestWhereBesideWriter(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, bills.InsertAll(ctx, w.DB, someBills(5)))
		must(t, w.DB.In(ctx, func(within context.Context, tx *tenancy.Tx) error {
			if err := bills.InsertAll(within, tx, someBills(1)); err != nil {
				return err
			}
			brief, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			if n, err := bills.Count(brief, w.DB, tenancy.Where("1 = 1")); n != 5 || err != nil {
				t.Errorf("%d rows (%v)", n, err)
			}
			return nil
		}))
	})
}
