package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// What a person does to tenants, keys and exports needs a reason, and nothing of
// it happens without one.
func TestReasonIsDemanded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		why := w.as(t.Context())
		mute := tenancy.WithReason(why, " ")
		inA := func(ctx context.Context) context.Context { return tenancy.WithTenant(ctx, w.a) }
		tenants, err := w.db.Tenants(t.Context())
		must(t, err)
		id := tenancy.NewID()
		if _, err := w.db.CreateTenant(mute, tenancy.Tenant{ID: id, Name: "Carla GmbH"}); !errors.Is(err, tenancy.ErrNoReason) {
			t.Errorf("create a tenant: %v", err)
		}
		if has, err := w.keys.HasTenant(t.Context(), id.UUID()); err != nil || has {
			t.Errorf("keys were made: %v, %v", has, err)
		}
		wantErr(t, w.db.EraseTenant(inA(mute)), tenancy.ErrNoReason)
		if now, err := w.db.Tenants(t.Context()); err != nil || len(now) != len(tenants) {
			t.Errorf("there are %d tenants, %v", len(now), err)
		}
		must(t, customers.Insert(inA(mute), w.db, &customer{Email: field.New("a@example.org")})) // of no class, with its key still there
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		for _, action := range []string{"keys.rotate", "export.customers", "access.grant", "audit.hold"} {
			wantErr(t, rec.Record(inA(mute), action), tenancy.ErrNoReason)
			wantErr(t, w.db.In(inA(mute), func(ctx context.Context, _ *tenancy.Tx) error { return w.log.Record(ctx, action) }), tenancy.ErrNoReason)
			must(t, rec.Record(inA(why), action))
		}
		wantErr(t, w.log.CheckAction(mute, "tenant.create"), tenancy.ErrNoReason)
		wantErr(t, w.log.CheckAction(t.Context(), "customers.insert"), tenancy.ErrNoActor)
		must(t, w.log.CheckAction(mute, "customers.insert"))
		job := tenancy.MustService("job")
		must(t, rec.Record(tenancy.WithActor(inA(mute), job), "export.customers"))
		wantErr(t, rec.Record(tenancy.WithActor(inA(mute), job.For(tenancy.Person(uuid.New()))), "export.customers"), tenancy.ErrNoReason)
	})
}

// A class of the application's covers changes of rows too, and what was refused is
// in the log although nobody said why.
func TestReasonForChangesOfRows(t *testing.T) {
	strict := audit.Class{Name: "strict", Actions: []string{"customers.delete"}, Reason: true}
	onBoth(t, func(t *testing.T, w *world) {
		c := w.customers(t, 1)[0]
		mute := tenancy.WithReason(w.in(t.Context(), w.a), "")
		wantErr(t, customers.Delete(mute, w.db, c.ID), tenancy.ErrNoReason)
		if _, err := customers.DeleteAll(mute, w.db); !errors.Is(err, tenancy.ErrNoReason) {
			t.Errorf("delete all: %v", err)
		}
		if _, err := customers.Get(mute, w.db, c.ID); err != nil {
			t.Fatalf("the row is gone: %v", err)
		}
		must(t, w.db.In(mute, func(_ context.Context, tx *tenancy.Tx) error {
			tx.Refuse(tenancy.Change{Action: "customers.delete", Object: c.ID, Subject: c.ID, Detail: "not allowed"})
			return nil
		}))
		got := w.entries(mute, t, audit.Filter{Action: "customers.delete"})
		if len(got) != 1 || got[0].Outcome != tenancy.Refused {
			t.Errorf("got %v", got)
		}
		must(t, customers.Delete(w.in(t.Context(), w.a), w.db, c.ID))
	}, strict)
}

func TestUnsafeClassesAreRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	keys := newWorld(t, "sqlite").keys
	one := func(action string) audit.Class {
		return audit.Class{Name: "own", Actions: []string{action}, Reason: true, Sealed: true}
	}
	open := func(actions ...string) audit.Class {
		return audit.Class{Name: "own", Actions: actions, Failure: audit.FailOpen}
	}
	for name, c := range map[string]struct {
		classes []audit.Class
		want    []string
	}{
		"name":               {[]audit.Class{{Name: "Own", Actions: []string{"a.b"}}}, []string{"name must match"}},
		"nothing":            {[]audit.Class{{Name: "own"}}, []string{"covers no action"}},
		"no word":            {[]audit.Class{one("Straße 1")}, []string{"neither a word"}},
		"failure":            {[]audit.Class{{Name: "own", Actions: []string{"a.b"}, Failure: 7}}, []string{"unknown failure"}},
		"retention":          {[]audit.Class{{Name: "own", Actions: []string{"a.b"}, Retention: -1}}, []string{"below zero"}},
		"open with reason":   {[]audit.Class{{Name: "own", Actions: []string{"a.b"}, Failure: audit.FailOpen, Reason: true}}, []string{"goes on without"}},
		"open and sealed":    {[]audit.Class{{Name: "own", Actions: []string{"a.b"}, Failure: audit.FailOpen, Sealed: true}}, []string{"goes on without"}},
		"open for all":       {[]audit.Class{open("*")}, []string{"cannot be left out"}},
		"open for sessions":  {[]audit.Class{open("session.open")}, []string{"cannot be left out"}},
		"open for incidents": {[]audit.Class{open("incident.")}, []string{"cannot be left out"}},
		"open for reads":     {[]audit.Class{open("audit.read")}, []string{"cannot be left out"}},
		"no reason":          {[]audit.Class{{Name: "own", Actions: []string{"tenant.create"}, Sealed: true}}, []string{"asks for less"}},
		"not sealed":         {[]audit.Class{{Name: "own", Actions: []string{"keys."}, Reason: true}}, []string{"asks for less"}},
		"open export":        {[]audit.Class{open("export.list")}, []string{"asks for less"}},
		"reason of a sealer": {[]audit.Class{one("audit.open")}, []string{"nobody gives a reason"}},
		"reason of erasures": {[]audit.Class{one("audit.erase")}, []string{"nobody gives a reason"}},
		"twice":              {[]audit.Class{one("a.b"), {Name: "other", Actions: []string{"a.b"}}}, []string{"covered twice"}},
		"twice in one":       {[]audit.Class{{Name: "own", Actions: []string{"a.b", "a.b"}}}, []string{"covered twice"}},
		"same name":          {[]audit.Class{one("a.b"), one("a.c")}, []string{"declared twice"}},
		"all at once": {
			[]audit.Class{{Name: "Own", Retention: -1}, open("session.")},
			[]string{"name must match", "covers no action", "below zero", "cannot be left out"},
		},
	} {
		_, err := audit.New(keys, &audit.Options{Classes: c.classes})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, which lacks %q", name, err, want)
			}
		}
	}
}

// The longest words decide, and Classes shows what is in force.
func TestClassesInForce(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	keys := newWorld(t, "sqlite").keys
	log, err := audit.New(keys, &audit.Options{Classes: []audit.Class{
		{Name: "admin", Actions: []string{"tenant.", "audit.read"}, Reason: true, Sealed: true, Retention: 365 * 24 * time.Hour},
		{Name: "rest", Actions: []string{"*"}, Retention: 24 * time.Hour},
		{Name: "orders", Actions: []string{"shop.orders."}, Reason: true},
		{Name: "view", Actions: []string{"shop.orders.view"}, Failure: audit.FailOpen},
	}})
	must(t, err)
	var lines []string
	for _, c := range log.Classes() {
		line := c.Name + ": " + strings.Join(c.Actions, " ")
		if c.Reason {
			line += ", reason"
		}
		if c.Sealed {
			line += ", sealed"
		}
		lines = append(lines, line)
	}
	want := []string{
		"across: across., reason, sealed", "admin: access. audit. keys., reason, sealed", "admin: audit.read tenant., reason, sealed",
		"export: export., reason, sealed", "log: audit.begin audit.drop audit.erase audit.open",
		"orders: shop.orders., reason", "rest: *", "view: shop.orders.view",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	mute := tenancy.WithActor(t.Context(), tenancy.Person(uuid.New()))
	for action, demanded := range map[string]bool{
		"shop.orders.cancel": true, "shop.orders.view": false, "shop.orders": false, "shop.other": false, "tenant.create": true,
		"audit.read": true, "audit.erase": false, "audit.hold": true, "auditor.come": false, "shop.orders.sub.one": true,
	} {
		if err := log.CheckAction(mute, action); errors.Is(err, tenancy.ErrNoReason) != demanded {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// Only where a class of the application's says so an action goes on without its
// event, and only if the log is to blame.
func TestFailOpen(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		ctx := w.in(t.Context(), w.a)
		must(t, rec.Record(ctx, "search.run"))
		if got := w.entries(ctx, t, audit.Filter{Action: "search.run"}); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		w.raw(t, "ALTER TABLE art32.events RENAME TO gone")
		must(t, rec.Record(ctx, "search.run"))
		if !strings.Contains(w.logged.String(), "event lost") || strings.Contains(w.logged.String(), "Grünwald") {
			t.Errorf("logged %q", w.logged)
		}
		for name, err := range map[string]error{
			"another action":    rec.Record(ctx, "export.run"),
			"a change of a row": customers.Insert(ctx, w.db, &customer{Email: field.New("a@example.org")}),
			"in a transaction":  w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return rec.Record(ctx, "search.run") }),
			"without form in a transaction": w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
				return rec.Record(ctx, "search.run", anyAttr(make(chan int)))
			}),
			"nobody":               rec.Record(tenancy.WithTenant(t.Context(), w.a), "search.run"),
			"a value without form": rec.Record(ctx, "search.run", anyAttr(make(chan int))),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}, audit.Class{Name: "search", Actions: []string{"search.", "customers.insert"}, Failure: audit.FailOpen})
}
