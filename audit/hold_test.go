package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

func anyAttr(v any) slog.Attr { return slog.Any("value", v) }

var sealedOrders = audit.Class{Name: "orders", Actions: []string{"customers.", "order."}, Sealed: true}

// waiting counts the events of a tenant that no checkpoint covers.
func (w *world) waiting(tb testing.TB, tenant tenancy.ID) (n int) {
	tb.Helper()
	ctx := tenancy.WithTenant(tb.Context(), tenant)
	for e, err := range w.log.Events(ctx, w.db, audit.Filter{Platform: tenant.IsZero()}) {
		must(tb, err)
		if !e.Sealed {
			n++
		}
	}
	return n
}

// withoutTiles keeps a log from being sealed until mend is called.
func (w *world) withoutTiles(tb testing.TB, tenant tenancy.ID) (mend func()) {
	tb.Helper()
	if w.engine == "postgres" {
		w.rawOn(tb, tenant, "REVOKE INSERT ON art32.tiles FROM art32_library")
		return func() { w.rawOn(tb, tenant, "GRANT INSERT ON art32.tiles TO art32_library") }
	}
	w.rawOn(tb, tenant, "ALTER TABLE art32_tiles RENAME TO art32_gone")
	return func() { w.rawOn(tb, tenant, "ALTER TABLE art32_gone RENAME TO art32_tiles") }
}

// Whatever way an event of such a class is committed, it is sealed when the answer
// comes, though nobody runs a sealer.
func TestSealedWhenTheAnswerComes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		if n := w.waiting(t, tenancy.ID{}); n != 0 {
			t.Errorf("after CreateTenant %d events of the platform wait", n)
		}
		ctx := w.in(t.Context(), w.a)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		c := &customer{Email: field.New("a@example.org"), Plan: "basic"}
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"one verb", func() error { return customers.Insert(ctx, w.db, c) }},
			{"one verb that reads first", func() error {
				return customers.Edit(ctx, w.db, c.ID, func(c *customer) error { c.Plan = "pro"; return nil })
			}},
			{"many rows", func() error { return customers.InsertAll(ctx, w.db, make([]customer, 20)) }},
			{"a transaction", func() error {
				return w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
					return errors.Join(customers.Insert(ctx, tx, &customer{Plan: "x"}), rec.Record(ctx, "order.place"))
				})
			}},
			{"callers' SQL", func() error {
				return w.db.InSQL(ctx, func(ctx context.Context, _ *tenancy.SQLTx) error { return w.log.Record(ctx, "order.place") })
			}},
			{"by itself", func() error { return rec.Record(ctx, "order.place") }},
			{"a refusal", func() error {
				return w.db.In(ctx, func(_ context.Context, tx *tenancy.Tx) error {
					tx.Refuse(tenancy.Change{Action: "customers.update", Object: c.ID})
					return nil
				})
			}},
			{"an access over tenants", func() error {
				return w.db.Across(w.as(t.Context()), tenancy.Access{Ticket: "T-1", Life: 1e9}, func(ctx context.Context, x *tenancy.Across) error {
					if n := w.waiting(t, tenancy.ID{}); n != 0 {
						t.Errorf("the access began before its event was sealed")
					}
					_, err := customers.Get(tenancy.WithTenant(ctx, w.a), x, c.ID)
					return err
				})
			}},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if n := w.waiting(t, w.a) + w.waiting(t, tenancy.ID{}); n != 0 {
				t.Errorf("%s: %d events wait", step.name, n)
			}
		}
		must(t, rec.Record(ctx, "other.thing"))
		if n := w.waiting(t, w.a); n != 1 {
			t.Errorf("of another class: %d events wait", n)
		}
		w.seal(t)
		w.wantOK(t, nil)
	}, sealedOrders)
}

// A tenant is made inside the transaction of another, which has written: on SQLite
// each file has one writer.
func TestSealedInsideATransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			c := customer{Email: field.New("a@example.org")}
			if err := customers.Insert(ctx, tx, &c); err != nil {
				return err
			}
			if _, err := customers.Get(ctx, tx, c.ID); err != nil { // the insert has run, not only waits
				return err
			}
			made, err := w.db.CreateTenant(ctx, tenancy.Tenant{Name: "Carla GmbH"})
			if err != nil {
				return err
			}
			rec, err := audit.NewRecorder(w.log, w.db)
			if err != nil {
				return err
			}
			return rec.Record(tenancy.WithTenant(w.as(t.Context()), made.ID), "order.place")
		}))
		if n := w.waiting(t, w.a) + w.waiting(t, tenancy.ID{}); n != 0 {
			t.Errorf("%d events wait", n)
		}
	}, sealedOrders)
}

// Many writers share sealings with each other and with sealers of other instances.
func TestSealedTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		other := openWorld(t, w.Place) // has no such class, and a sealer
		const writers, each = 8, 5
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					c := &customer{Email: field.New("a@example.org")}
					ctx := w.in(t.Context(), w.a)
					if err := customers.Insert(ctx, w.db, c); err != nil {
						t.Errorf("insert: %v", err)
						return
					}
					for e, err := range w.log.Events(ctx, w.db, audit.Filter{Object: c.ID}) {
						if err != nil || !e.Sealed {
							t.Errorf("not sealed: %v, %v", e, err)
						}
					}
				}
			})
		}
		wg.Go(func() {
			for range each {
				if _, err := other.sealer.SealDue(t.Context()); err != nil {
					t.Errorf("the other sealer: %v", err)
				}
			}
		})
		wg.Wait()
		if r := w.wantOK(t, nil); r.Size != writers*each {
			t.Errorf("got %d entries", r.Size)
		}
	}, sealedOrders)
}

// Where sealing fails the caller is told that all the same it is done.
func TestCommittedButUnsealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		w.customers(t, 1)
		mend := w.withoutTiles(t, w.a)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		c := &customer{ID: uuid.New(), Email: field.New("a@example.org"), Plan: "basic"}
		for name, err := range map[string]error{
			"verb":     customers.Insert(ctx, w.db, c),
			"recorder": rec.Record(ctx, "order.place"),
			"transaction": w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				return customers.Edit(ctx, tx, c.ID, func(c *customer) error { c.Plan = "pro"; return nil })
			}),
		} {
			if !errors.Is(err, audit.ErrUnsealed) || errors.Is(err, tenancy.ErrForbidden) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, err := customers.Get(ctx, w.db, c.ID); err != nil || got.Plan != "pro" {
			t.Errorf("got plan %q, %v", got.Plan, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if err := w.db.In(cancelled, func(context.Context, *tenancy.Tx) error { return nil }); err != nil {
			t.Errorf("nothing to wait for: %v", err)
		}
		mend()
		must(t, rec.Record(ctx, "order.place"))
		if n := w.waiting(t, w.a); n != 0 {
			t.Errorf("%d events wait", n)
		}
		w.wantOK(t, nil)
	}, sealedOrders)
}

// A tenant whose creation cannot be sealed is there, and its id is known.
func TestTenantCreatedButUnsealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		mend := w.withoutTiles(t, tenancy.ID{})
		made, err := w.db.CreateTenant(w.as(t.Context()), tenancy.Tenant{Name: "Carla GmbH"})
		if !errors.Is(err, audit.ErrUnsealed) || made.ID.IsZero() {
			t.Fatalf("got %v, %v", made, err)
		}
		mend()
		must(t, customers.Insert(w.in(t.Context(), made.ID), w.db, &customer{Email: field.New("a@example.org")}))
	})
}

// An event that was edited between commit and seal is not said to be sealed. SQLite
// refuses triggers on the log's tables.
func TestRejectedIsNotSealed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t, "postgres", sealedOrders)
	w.customers(t, 1)
	db := w.rawDB(t)
	defer db.Close()
	_, err := db.ExecContext(t.Context(), `CREATE FUNCTION public.edit() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN NEW.session := 'x'; RETURN NEW; END $$;
		CREATE TRIGGER edit BEFORE INSERT ON art32.events FOR EACH ROW EXECUTE FUNCTION public.edit()`)
	must(t, err)
	wantErr(t, customers.Insert(w.in(t.Context(), w.a), w.db, &customer{Email: field.New("a@example.org")}), audit.ErrUnsealed)
}
