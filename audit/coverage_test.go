package audit_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestCoverage: an auditor sees what is recorded of a table, and what is not.
func TestCoverage(t *testing.T) {
	onNets(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		begin := time.Now().Add(-time.Second)
		for range 2 {
			must(t, customers.Insert(ctx, w.db, &customer{City: "Ulm", Plan: "a"}))
		}
		wantErr(t, customers.Insert(ctx, w.db, &customer{Tenant: w.b}), tenancy.ErrOtherTenant)
		must(t, w.sql(ctx, "UPDATE customers SET plan = 'b'"))
		must(t, w.sql(ctx, addCustomers, "UPDATE customers SET plan = 'c'"))
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			must(t, w.log.Record(ctx, "customers.plan_raised"))
			return w.texts(ctx, tx, "UPDATE customers SET plan = 'd'")
		}))
		w.seal(t)
		one := func(since, until time.Time) audit.TableCoverage {
			t.Helper()
			all, err := w.log.Coverage(ctx, w.db, since, until)
			must(t, err)
			if len(all) != 1 || all[0].Table != "customers" {
				t.Fatalf("got %+v", all)
			}
			return all[0]
		}
		got := one(begin, time.Time{})
		if !got.Net || got.Unread != 0 || got.Last.Before(begin) ||
			!maps.Equal(got.Events, map[string]int{"insert": 2, "sql": 2, "plan_raised": 1}) ||
			!maps.Equal(got.Outside, map[string]int64{"insert": 2, "update": 6}) {
			t.Errorf("got %+v", got)
		}
		if got := one(time.Time{}, begin); len(got.Events) != 0 || len(got.Outside) != 0 || !got.Last.IsZero() {
			t.Errorf("before the first event: %+v", got)
		}
		if all, err := w.log.Coverage(w.in(t.Context(), w.b), w.db, begin, time.Time{}); err != nil || len(all[0].Events) != 0 {
			t.Errorf("of another tenant: %+v, %v", all, err)
		}
		if _, err := w.log.Coverage(t.Context(), w.db, begin, time.Time{}); err == nil {
			t.Error("without a tenant")
		}
		w.raw(t, "UPDATE art32.event_parts SET ciphertext = NULL WHERE event_id = (SELECT id FROM art32.events WHERE action = 'customers.sql' ORDER BY seq LIMIT 1)")
		if got := one(begin, time.Time{}); got.Unread != 1 || got.Outside["update"] != 4 {
			t.Errorf("with a payload that is gone: %+v", got)
		}
		if w.engine == tenancytest.Postgres {
			w.raw(t, "ALTER TABLE customers DISABLE TRIGGER art32_report_update")
			if one(begin, time.Time{}).Net {
				t.Error("a table without a trigger has its net")
			}
		}
	})
}
