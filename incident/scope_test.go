package incident_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

// A tenant that is named without a scope is told alone, and what was deleted
// before anybody was aware counts as what was there.
func TestNamedAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		w.people(t, w.b, 2)
		for _, p := range w.people(t, w.a, 5) {
			must(t, customers.Delete(tenancy.WithActor(w.in(t.Context(), w.a), intruder), w.db, p.ID))
		}
		r := report()
		r.Scope, r.Tenants = tenancy.TraceQuery{}, []tenancy.ID{w.a}
		c, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		got, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		if len(got) != 1 || got[0].Tenant != w.a || got[0].Events != 0 || got[0].Records != (incident.Range{AtMost: 5}) || got[0].Subjects != (incident.Range{AtMost: 5}) {
			t.Errorf("affected %+v", got)
		}
		again, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		if len(notices) != 1 || !strings.Contains(notices[0].Text, "keiner, Ihr Mandant wurde benannt") || again[0].Digest != got[0].Digest {
			t.Errorf("notices %v", notices)
		}
	})
}

// Callers' SQL deletes without an event: no number claims to be exact.
func TestNothingIsExact(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		all := w.people(t, w.a, 10)
		w.tamper(t, w.a, all[0])
		must(t, w.db.InSQL(tenancy.WithActor(w.in(t.Context(), w.a), intruder), func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "DELETE FROM customers WHERE id <> '"+all[0].ID.String()+"'")
			return err
		}))
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		if text := notices[0].Text + string(notices[0].JSON); strings.Contains(text, "genau /") || strings.Contains(text, `"exact"`) ||
			!strings.Contains(text, "at least 1 – höchstens / at most 1 (soweit im Protokoll / as far as logged)") {
			t.Errorf("the notice says:\n%s", text)
		}
	})
}

// A case that touches nobody is no case that is done.
func TestNobodyFound(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		w.people(t, w.a, 1)
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		for range 2 {
			notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
			wantErr(t, err, incident.ErrNobody)
			if len(notices) != 0 {
				t.Errorf("notices %v", notices)
			}
			wantTasks(t, w, "scope")
		}
		wantErr(t, w.desk.Close(t.Context(), c.ID), tenancy.ErrNoActor)
		wantErr(t, w.desk.Close(tenancy.WithActor(t.Context(), operator), c.ID), incident.ErrNoReason)
		wantErr(t, w.desk.Close(w.as(t.Context()), w.a.UUID()), incident.ErrNoCase)
		wantErr(t, w.desk.CloseTenant(w.as(t.Context()), c.ID, w.a), incident.ErrNoCase)
		must(t, w.desk.Close(w.as(t.Context()), c.ID))
		wantTasks(t, w)
		if got := strings.Join(w.entries(t, tenancy.ID{}), " "); !strings.HasSuffix(got, "incident.close") {
			t.Errorf("recorded %s", got)
		}
		_, err = w.desk.Notify(w.as(t.Context()), c.ID) // somebody is not sure any more
		wantErr(t, err, incident.ErrNobody)
		wantTasks(t, w, "scope")
	})
}

// A tenant that nobody can count any more is told another way.
func TestCloseTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		r := report()
		r.Scope, r.Tenants = tenancy.TraceQuery{}, []tenancy.ID{w.a, w.b}
		c, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		w.shut(t, w.a, true)
		if _, err := w.desk.Notify(w.as(t.Context()), c.ID); err == nil {
			t.Error("no error")
		}
		w.acknowledgeAll(t)
		wantTasks(t, w, "count")
		must(t, w.desk.CloseTenant(w.as(t.Context()), c.ID, w.a))
		wantTasks(t, w)
		_, err = w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		wantTasks(t, w)
		w.shut(t, w.a, false) // restored: now it can be told after all
		_, err = w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		w.acknowledgeAll(t)
		if got := w.notifier.Notices(); len(got) != 2 {
			t.Errorf("%d notices", len(got))
		}
	})
}

// The intruder takes the entries that tell of him out of a log: his victim is not
// cleared by that, but a task until a person has seen to it.
func TestDamagedLogClearsNobody(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		w.tamper(t, w.a, w.people(t, w.a, 3)...)
		w.people(t, w.b, 1)
		w.seal(t)
		w.cut(t, w.a, true)
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		all, err := w.desk.Affected(t.Context(), c.ID)
		wantDamaged(t, err, w.a)
		if len(all) != 0 {
			t.Errorf("affected %+v", all)
		}
		for range 2 {
			notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
			wantDamaged(t, err, w.a)
			if len(notices) != 0 {
				t.Errorf("notices %v", notices)
			}
			wantTasks(t, w, "count")
		}
		must(t, w.desk.CloseTenant(w.as(t.Context()), c.ID, w.a))
		wantTasks(t, w)
	})
}

// The intruder edits or deletes the entries that tell of him before they are sealed.
func TestLostBeforeTheSealClearsNobody(t *testing.T) {
	t.Parallel()
	for name, hit := range map[string]string{"edited": "UPDATE EVENTS SET session = 'x'", "deleted": "DELETE FROM EVENTS"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				people := w.people(t, w.a, 3)
				w.people(t, w.b, 1)
				w.seal(t)
				w.tamper(t, w.a, people...)
				_, err := w.rawFile(t, "tenants", w.a.String()+".db").ExecContext(t.Context(),
					strings.Replace(hit, "EVENTS", w.table("events"), 1)+" WHERE leaf IS NULL AND tenant_id = '"+w.a.String()+"'")
				must(t, err)
				w.seal(t)
				c, err := w.desk.Open(w.as(t.Context()), report())
				must(t, err)
				all, err := w.desk.Affected(t.Context(), c.ID)
				wantDamaged(t, err, w.a)
				if len(all) != 0 {
					t.Errorf("affected %+v", all)
				}
			})
		})
	}
}

// The intruder deletes the row of his victim: what is left of it in other places
// tells that somebody is missing.
func TestLostTenantIsNotCleared(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rest   string // what else he deletes
		damage bool   // of the platform's log
	}{
		"its row":              {"", false},
		"and what tells of it": {"DELETE FROM EVENTS WHERE action = 'tenant.create' AND object = 'VICTIM'", true},
		"and the platform's log": {"DELETE FROM CHECKPOINTS WHERE tenant_id = 'NOBODY'; DELETE FROM TILES WHERE tenant_id = 'NOBODY';" +
			" DELETE FROM LOGS WHERE tenant_id = 'NOBODY'; DELETE FROM EVENTS WHERE tenant_id = 'NOBODY'; DELETE FROM PARTS WHERE tenant_id = 'NOBODY'", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				w.tamper(t, w.a, w.people(t, w.a, 3)...)
				w.people(t, w.b, 1)
				w.seal(t)
				text := strings.NewReplacer("CHECKPOINTS", w.table("checkpoints"), "TILES", w.table("tiles"), "LOGS", w.table("logs"), "PARTS", w.table("event_parts"),
					"EVENTS", w.table("events"), "VICTIM", w.a.String(), "NOBODY", tenancy.ID{}.String(),
				).Replace("DELETE FROM " + w.table("tenants") + " WHERE id = 'VICTIM';" + tt.rest)
				_, err := w.raw(t).ExecContext(t.Context(), text)
				must(t, err)
				c, err := w.desk.Open(w.as(t.Context()), report())
				must(t, err)
				want := []tenancy.ID{}
				if !tt.damage || w.Engine == "sqlite" { // which has a file of it
					want = append(want, w.a)
				}
				if tt.damage {
					want = append(want, tenancy.ID{})
				}
				all, err := w.desk.Affected(t.Context(), c.ID)
				wantLost(t, err, want, tt.damage)
				if len(all) != 0 {
					t.Errorf("affected %+v", all)
				}
				_, err = w.desk.Notify(w.as(t.Context()), c.ID)
				wantLost(t, err, want, tt.damage)
				for i, id := range want {
					wantTasks(t, w, slices.Repeat([]string{"count"}, len(want)-i)...)
					must(t, w.desk.CloseTenant(w.as(t.Context()), c.ID, id))
				}
				wantTasks(t, w)
				r := report()
				r.Scope, r.Tenants = tenancy.TraceQuery{}, []tenancy.ID{w.b} // asks for nobody else
				c, err = w.desk.Open(w.as(t.Context()), r)
				must(t, err)
				_, err = w.desk.Affected(t.Context(), c.ID)
				must(t, err)
			})
		})
	}
}

func wantLost(tb testing.TB, err error, want []tenancy.ID, damage bool) {
	tb.Helper()
	e, ok := errors.AsType[*incident.TenantError](err)
	if !ok || errors.Is(err, tenancy.ErrDamagedLog) != damage || !slices.Equal(e.Tenants, want) {
		tb.Errorf("got %v, want that %v are lost", err, want)
	}
}

// Whoever is affected for sure is told at once, and told that it may be more.
func TestDamagedLogIsSaid(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]bool{"some of it left": false, "named": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				w.contacts(t)
				w.tamper(t, w.a, w.people(t, w.a, 3)...)
				w.seal(t)
				w.cut(t, w.a, all)
				r := report()
				if all {
					r.Tenants = []tenancy.ID{w.a}
				}
				c, err := w.desk.Open(w.as(t.Context()), r)
				must(t, err)
				got, err := w.desk.Affected(t.Context(), c.ID)
				wantDamaged(t, err, w.a)
				want := incident.Range{AtLeast: 1, AtMost: 3}
				if all {
					want.AtLeast = 0
				}
				if len(got) != 1 || !got[0].Damaged || got[0].Records != want || got[0].Size != 7 { // with the contact
					t.Fatalf("affected %+v", got)
				}
				notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
				wantDamaged(t, err, w.a)
				if len(notices) != 1 || !strings.Contains(notices[0].Text, "Das Protokoll Ihres Mandanten ist beschädigt") ||
					!strings.Contains(notices[0].Text, "The log of your tenant is damaged") || !strings.Contains(string(notices[0].JSON), `"damaged": true`) {
					t.Errorf("notices %v", notices)
				}
				wantTasks(t, w, "deliver")
				_, err = w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				w.acknowledgeAll(t)
				wantTasks(t, w)
			})
		})
	}
}

func wantDamaged(tb testing.TB, err error, tenant tenancy.ID) {
	tb.Helper()
	e, ok := errors.AsType[*incident.TenantError](err)
	if !ok || !errors.Is(err, tenancy.ErrDamagedLog) || len(e.Tenants) != 1 || e.Tenants[0] != tenant {
		tb.Errorf("got %v, want that the log of %v is damaged", err, tenant)
	}
}
