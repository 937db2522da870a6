package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

var intruder = tenancy.MustService("intruder")

// change records the change of a row of any table, as a repository does.
func (w *world) change(ctx context.Context, t *testing.T, c tenancy.Change) {
	t.Helper()
	must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return w.log.Change(ctx, tx, c) }))
}

// traced is a log of tenant a with ten events, of which the intruder did six on
// rows after a moment that it returns, and one of tenant b.
func (w *world) traced(t *testing.T) (people []*customer, since time.Time) {
	t.Helper()
	people = w.customers(t, 2) // by a person, before the incident
	before := w.entries(w.in(t.Context(), w.a), t, audit.Filter{})
	since = before[len(before)-1].At.Add(time.Microsecond)
	ctx := tenancy.WithSession(tenancy.WithActor(w.in(t.Context(), w.a), intruder), "stolen")
	for range 2 { // the same row twice
		must(t, customers.Edit(ctx, w.db, people[0].ID, func(c *customer) error { c.Plan += "!"; return nil }))
	}
	third := customer{City: "Xanten-Zweitort"}
	must(t, customers.Insert(ctx, w.db, &third))
	note := uuid.New()
	for _, action := range []string{"crm.notes.insert", "crm.notes.update"} { // about a person who has a row in customers too
		w.change(ctx, t, tenancy.Change{Action: action, Object: note, Subject: people[1].ID, Outcome: tenancy.Done})
	}
	w.change(ctx, t, tenancy.Change{Action: "plans.delete", Object: uuid.New(), Outcome: tenancy.Done}) // about nobody
	w.change(ctx, t, tenancy.Change{Action: "customers.delete", Object: uuid.New(), Outcome: tenancy.Refused, Detail: "no"})
	must(t, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return w.log.Record(ctx, "session.open") }))
	in := tenancy.WithActor(w.in(t.Context(), w.b), intruder)
	must(t, customers.Insert(in, w.db, &customer{City: "Xanten-Zweitort"}))
	return append(people, &third), since
}

func TestTrace(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, since := w.traced(t)
		before := w.entries(w.in(t.Context(), w.a), t, audit.Filter{})
		all := tenancy.Trace{
			Events: 6, Records: 4, Subjects: 3, Pending: 6,
			Tables: []tenancy.TableTrace{{Table: "crm.notes", Records: 1, Subjects: 1}, {Table: "customers", Records: 2, Subjects: 2}, {Table: "plans", Records: 1}},
		}
		notes := tenancy.Trace{Events: 2, Records: 1, Subjects: 1, Pending: 2, Tables: all.Tables[:1]}
		tests := []struct {
			name string
			q    tenancy.TraceQuery
			want tenancy.Trace
		}{
			{"all", tenancy.TraceQuery{}, tenancy.Trace{Events: 8, Records: 5, Subjects: 3, Pending: 8, Tables: []tenancy.TableTrace{
				all.Tables[0], {Table: "customers", Records: 3, Subjects: 3}, all.Tables[2],
			}}},
			{"since", tenancy.TraceQuery{From: since}, all},
			{"until", tenancy.TraceQuery{Until: since}, tenancy.Trace{Events: 2, Records: 2, Subjects: 2, Pending: 2, Tables: []tenancy.TableTrace{{Table: "customers", Records: 2, Subjects: 2}}}},
			{"empty span", tenancy.TraceQuery{From: since, Until: since}, tenancy.Trace{}},
			{"until within the microsecond of the first event", tenancy.TraceQuery{Until: before[0].At.Add(time.Nanosecond)}, tenancy.Trace{
				Events: 1, Records: 1, Subjects: 1, Pending: 1, Tables: []tenancy.TableTrace{{Table: "customers", Records: 1, Subjects: 1}},
			}},
			{"until the first event", tenancy.TraceQuery{Until: before[0].At}, tenancy.Trace{}},
			{"actor", tenancy.TraceQuery{Actors: []string{"service:nobody", intruder.String()}}, all},
			{"session", tenancy.TraceQuery{Sessions: []string{"stolen"}}, all},
			{"actor and another's session", tenancy.TraceQuery{Actors: []string{intruder.String()}, Sessions: []string{"session-1"}}, tenancy.Trace{}},
			{"table", tenancy.TraceQuery{From: since, Tables: []string{"crm.notes"}}, notes},
			{"verb", tenancy.TraceQuery{Verbs: []string{"delete"}}, tenancy.Trace{Events: 1, Records: 1, Pending: 1, Tables: all.Tables[2:]}},
			{"part of a verb", tenancy.TraceQuery{Verbs: []string{"elete", ".delete", "plans.delete"}}, tenancy.Trace{}},
			{"part of a table's name", tenancy.TraceQuery{Tables: []string{"crm", "notes", "customer", "session", ""}}, tenancy.Trace{}},
			{"hostile words", tenancy.TraceQuery{Actors: []string{"') OR 1=1 --", `","`, "\x00", "\xff"}}, tenancy.Trace{}},
			{"nothing but what cannot be", tenancy.TraceQuery{Tables: []string{"a\x00"}}, tenancy.Trace{}},
		}
		for _, tt := range tests {
			got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tt.q)
			must(t, err)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
	})
}

func TestTraceRestsOnTheCheckpoint(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.traced(t)
		w.seal(t)
		r := w.wantOK(t, nil)
		got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{Tables: []string{"plans"}})
		must(t, err)
		c, err := audit.ParseCheckpoint(w.checkpoint(t), r.Key)
		must(t, err)
		want := tenancy.Trace{
			Events: 1, Records: 1, Tables: []tenancy.TableTrace{{Table: "plans", Records: 1}},
			Log: c.Origin, Size: 10, Root: c.Root[:],
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What is erased is still counted as an event on a row, and said to lack a name.
func TestTraceOfErased(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		people, since := w.traced(t)
		w.erase(t, people[0].ID)
		got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{From: since})
		must(t, err)
		if got.Events != 6 || got.Records != 4 || got.Subjects != 2 || got.Unnamed != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

// What was written past the application counts until the sealer has judged it, and
// never again: from then on the log is damaged.
func TestTraceOfForged(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.traced(t)
		w.raw(t, "UPDATE art32.events SET actor = 'service:somebody' WHERE tenant_id = TENANT AND action = 'plans.delete'")
		q := tenancy.TraceQuery{Tables: []string{"plans"}}
		for _, want := range []int{1, 0} {
			got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, q)
			if got.Events != want || got.Pending != want || errors.Is(err, tenancy.ErrDamagedLog) != (want == 0) {
				t.Errorf("got %+v, %v, want %d events", got, err, want)
			}
			w.seal(t)
		}
	})
}

// Events that were edited or deleted before they were sealed are in no tree: rows
// that the sealer has rejected, and parts without an event, tell of them.
func TestTraceOfLostBeforeTheSeal(t *testing.T) {
	const waiting = " WHERE tenant_id = TENANT AND leaf IS NULL"
	tests := []struct{ name, hit string }{
		{"edited", "UPDATE art32.events SET session = 'x'" + waiting},
		{"deleted", "DELETE FROM art32.events" + waiting},
	}
	onBoth(t, func(t *testing.T, w *world) {
		for _, before := range []int{0, 2} { // entries that the log has
			for _, tt := range tests {
				made, err := w.db.CreateTenant(w.as(t.Context()), tenancy.Tenant{Name: tt.name})
				must(t, err)
				w.a = made.ID
				w.customers(t, before)
				w.seal(t)
				w.customers(t, 3)
				w.raw(t, tt.hit)
				w.seal(t)
				got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{})
				if !errors.Is(err, tenancy.ErrDamagedLog) || got.Events != before {
					t.Errorf("%s after %d: got %+v, %v", tt.name, before, got, err)
				}
				if w.verify(t, nil).OK() {
					t.Errorf("%s after %d: Verify finds nothing", tt.name, before)
				}
			}
		}
	})
}

// A log from which entries were taken, or that contradicts itself, says so beside
// what is left: nobody is cleared by it.
func TestTraceOfDamaged(t *testing.T) {
	const seal = "UPDATE art32.events SET leaf = "
	tests := []struct {
		name   string
		hit    []string
		events int
		size   int64
	}{
		{"an entry is gone", []string{"DELETE FROM art32.events WHERE leaf = 4 AND tenant_id = TENANT"}, 9, 10},
		{"the first one", []string{"DELETE FROM art32.events WHERE leaf = 0 AND tenant_id = TENANT"}, 9, 10},
		{"the last ones", []string{"DELETE FROM art32.events WHERE leaf > 5 AND tenant_id = TENANT"}, 6, 10},
		{"all entries", []string{"DELETE FROM art32.events WHERE tenant_id = TENANT"}, 0, 10},
		{"rejected afterwards", []string{seal + "-1 WHERE leaf = 4 AND tenant_id = TENANT"}, 9, 10},
		{"waits again", []string{seal + "NULL WHERE leaf = 4 AND tenant_id = TENANT"}, 10, 10},
		{"moved behind the end", []string{seal + "10 WHERE leaf = 4 AND tenant_id = TENANT"}, 10, 10},
		{"gone, and another twice", []string{
			"DROP INDEX art32.events_leaf", "DELETE FROM art32.events WHERE leaf = 4 AND tenant_id = TENANT", seal + "6 WHERE leaf = 5 AND tenant_id = TENANT",
		}, 9, 10},
		{"the log is gone", []string{"DELETE FROM art32.checkpoints WHERE tenant_id = TENANT", "DELETE FROM art32.tiles WHERE tenant_id = TENANT", "DELETE FROM art32.logs WHERE tenant_id = TENANT"}, 10, 0},
		{"the checkpoints are gone", []string{"DELETE FROM art32.checkpoints WHERE tenant_id = TENANT"}, 10, 0},
		{"the checkpoint is forged", []string{"UPDATE art32.checkpoints SET note = 'x' WHERE tenant_id = TENANT"}, 10, 0},
		{"set back, rows and all", []string{"DELETE FROM art32.events WHERE leaf > 5 AND tenant_id = TENANT", "UPDATE art32.logs SET size = 6 WHERE tenant_id = TENANT"}, 6, 10},
		{"everything is gone", []string{
			"DELETE FROM art32.checkpoints WHERE tenant_id = TENANT", "DELETE FROM art32.tiles WHERE tenant_id = TENANT", "DELETE FROM art32.logs WHERE tenant_id = TENANT",
			"DELETE FROM art32.event_parts WHERE tenant_id = TENANT", "DELETE FROM art32.events WHERE tenant_id = TENANT",
		}, 0, 0},
	}
	onBoth(t, func(t *testing.T, w *world) {
		for _, tt := range tests {
			made, err := w.db.CreateTenant(w.as(t.Context()), tenancy.Tenant{Name: tt.name})
			must(t, err)
			w.a = made.ID
			w.sealed(t, 10)
			w.raw(t, tt.hit...)
			got, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{})
			if !errors.Is(err, tenancy.ErrDamagedLog) || got.Events != tt.events || got.Size != tt.size {
				t.Errorf("%s: got %+v, %v", tt.name, got, err)
			}
			if w.verify(t, nil).OK() {
				t.Errorf("%s: Verify finds nothing", tt.name)
			}
		}
	})
}

// A log that grows while it is traced is no damaged one.
func TestTraceWhileSealing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 10 {
				w.customers(t, 1)
				w.seal(t)
			}
		})
		for range 50 {
			if _, err := w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{}); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
	})
}

func TestTraceRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, err := w.log.Trace(w.as(t.Context()), w.db, tenancy.TraceQuery{})
		wantErr(t, err, tenancy.ErrNoTenant)
		_, err = w.log.Trace(tenancy.WithTenant(t.Context(), tenancy.NewID()), w.db, tenancy.TraceQuery{})
		wantErr(t, err, tenancy.ErrUnknownTenant)
		if _, err := w.log.Trace(w.in(t.Context(), w.a), nil, tenancy.TraceQuery{}); err == nil {
			t.Error("no database, no error")
		}
	})
}
