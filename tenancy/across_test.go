package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// support is a context of somebody of the vendor's, of no tenant.
func support(t *testing.T, w *tenancytest.World) context.Context {
	t.Helper()
	return tenancy.WithReason(tenancy.WithActor(t.Context(), w.Actor), "Kunde meldet falsche Summe")
}

// events are those of a tenant's log whose action begins with "across.", oldest first.
func acrossEvents(t *testing.T, w *tenancytest.World, of tenancy.ID) (all []audit.Entry) {
	t.Helper()
	ctx := tenancy.WithActor(t.Context(), w.Actor)
	if !of.IsZero() {
		ctx = tenancy.WithTenant(ctx, of)
	}
	for e, err := range w.Log.Events(ctx, w.DB, audit.Filter{Platform: of.IsZero()}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Action, "across.") {
			all = append(all, e)
		}
	}
	return all
}

func actions(all []audit.Entry) (out []string) {
	for _, e := range all {
		out = append(out, fmt.Sprintf("%s %d", e.Action, e.Outcome))
	}
	return out
}

// An access reads each tenant's rows under its context, and the logs know of it
// before the first row.
func TestAcross(t *testing.T) {
	t.Parallel()
	onBills(t, func(t *testing.T, _ context.Context, w *tenancytest.World) {
		for _, id := range []tenancy.ID{w.A, w.B} {
			if err := payers.Insert(w.In(t, id), w.DB, &payer{Name: field.New(id.String())}); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[tenancy.ID]string{}
		err := w.DB.Across(support(t, w), tenancy.Access{Ticket: "SUP-4711", Life: time.Minute}, func(ctx context.Context, x *tenancy.Across) error {
			if got := actions(acrossEvents(t, w, tenancy.ID{})); !slices.Equal(got, []string{"across.begin 1"}) {
				t.Errorf("the platform's log holds %v when the access begins", got)
			}
			for tenant, err := range x.Tenants(ctx) {
				if err != nil {
					return err
				}
				ctx := tenancy.WithActor(tenancy.WithTenant(t.Context(), tenant.ID), tenancy.MustService("somebody/else")) // without the reason
				if n, err := payers.Count(ctx, x); err != nil || n != 1 {
					t.Errorf("%d rows, %v; want 1", n, err)
				}
				for p, err := range payers.List(ctx, x, payerName.Eq(tenant.ID.String())) {
					if err != nil {
						return err
					}
					if seen[tenant.ID], err = p.Name.Reveal(); err != nil {
						return err
					}
					if _, err := payers.Get(ctx, x, p.ID); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil || seen[w.A] != w.A.String() || seen[w.B] != w.B.String() {
			t.Errorf("saw %d tenants' rows, %v", len(seen), err)
		}
		if got := actions(acrossEvents(t, w, tenancy.ID{})); !slices.Equal(got, []string{"across.begin 1", "across.end 1"}) {
			t.Errorf("the platform's log holds %v", got)
		}
		for _, id := range []tenancy.ID{w.A, w.B} {
			all := acrossEvents(t, w, id)
			if got := actions(all); !slices.Equal(got, []string{"across.read 1"}) {
				t.Fatalf("a tenant's log holds %v", got)
			}
			if e := all[0]; e.Reason != "Kunde meldet falsche Summe" || e.Actor != w.Actor.String() || fieldOf(e, "ticket") != "SUP-4711" || fieldOf(e, "table") != "payers" {
				t.Errorf("the event says actor %q, reason %q, %v", e.Actor, e.Reason, e.Fields)
			}
		}
	})
}

func fieldOf(e audit.Entry, column string) string {
	for _, f := range e.Fields {
		if f.Column == column {
			return strings.Trim(string(f.New), `"`)
		}
	}
	return ""
}

// An access that is incomplete does not begin, and leaves no event.
func TestAcrossIncomplete(t *testing.T) {
	t.Parallel()
	onBills(t, func(t *testing.T, _ context.Context, w *tenancytest.World) {
		ok := tenancy.Access{Ticket: "SUP-1", Life: time.Minute}
		full := support(t, w)
		for name, c := range map[string]struct {
			ctx  context.Context
			a    tenancy.Access
			want error
		}{
			"no actor":      {tenancy.WithReason(t.Context(), "why"), ok, tenancy.ErrNoActor},
			"no reason":     {tenancy.WithActor(t.Context(), w.Actor), ok, tenancy.ErrNoReason},
			"no ticket":     {full, tenancy.Access{Life: time.Minute}, tenancy.ErrBadValue},
			"ticket":        {full, tenancy.Access{Ticket: "Müller hat angerufen", Life: time.Minute}, tenancy.ErrBadValue},
			"no life":       {full, tenancy.Access{Ticket: "SUP-1"}, tenancy.ErrBadValue},
			"too long":      {full, tenancy.Access{Ticket: "SUP-1", Life: tenancy.MaxAccess + 1}, tenancy.ErrBadValue},
			"no tenants":    {full, tenancy.Access{Ticket: "SUP-1", Life: time.Minute, Tenants: []tenancy.ID{}}, tenancy.ErrBadValue},
			"the zero ID":   {full, tenancy.Access{Ticket: "SUP-1", Life: time.Minute, Tenants: []tenancy.ID{w.A, {}}}, tenancy.ErrBadValue},
			"negative life": {full, tenancy.Access{Ticket: "SUP-1", Life: -1}, tenancy.ErrBadValue},
		} {
			err := w.DB.Across(c.ctx, c.a, func(context.Context, *tenancy.Across) error {
				t.Errorf("%s: the function ran", name)
				return nil
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if err := w.DB.Across(full, ok, nil); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("no function: %v", err)
		}
		err := w.DB.In(tenancy.WithTenant(full, w.A), func(ctx context.Context, _ *tenancy.Tx) error {
			return w.DB.Across(ctx, ok, func(context.Context, *tenancy.Across) error { return nil })
		})
		if !errors.Is(err, tenancy.ErrTxInUse) {
			t.Errorf("inside a transaction: %v", err)
		}
		if got := actions(acrossEvents(t, w, tenancy.ID{})); len(got) != 0 {
			t.Errorf("the platform's log holds %v", got)
		}
	})
}

// An access reads what it names, while it lasts, and writes nothing.
func TestAcrossConfined(t *testing.T) {
	t.Parallel()
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		theirs := &payer{Name: field.New("B")}
		if err := payers.Insert(w.In(t, w.B), w.DB, theirs); err != nil {
			t.Fatal(err)
		}
		var kept *tenancy.Across
		err := w.DB.Across(support(t, w), tenancy.Access{Ticket: "SUP-2", Life: time.Hour, Tenants: []tenancy.ID{w.A}}, func(ctx context.Context, x *tenancy.Across) error {
			kept = x
			a, b := tenancy.WithTenant(ctx, w.A), tenancy.WithTenant(ctx, w.B)
			p := &payer{Name: field.New("x")}
			want := func(what string, err, want error) {
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			_, err := payers.Get(ctx, x, theirs.ID)
			want("no tenant", err, tenancy.ErrNoTenant)
			_, err = payers.Get(a, x, theirs.ID)
			want("another's row", err, tenancy.ErrNotFound)
			_, err = payers.Get(b, x, theirs.ID)
			want("a tenant that is not named", err, tenancy.ErrForbidden)
			_, err = payers.Count(b, x)
			want("a tenant that is not named", err, tenancy.ErrForbidden)
			want("Insert", payers.Insert(a, x, p), tenancy.ErrForbidden)
			want("Upsert", payers.Upsert(a, x, p), tenancy.ErrForbidden)
			want("Delete", payers.Delete(a, x, theirs.ID), tenancy.ErrForbidden)
			want("Edit", payers.Edit(a, x, theirs.ID, func(*payer) error { return nil }), tenancy.ErrForbidden)
			_, err = payers.DeleteAll(a, x)
			want("DeleteAll", err, tenancy.ErrForbidden)
			if _, err = payers.Count(a, x, tenancy.Where("1 = 1")); err == nil {
				t.Error("SQL of the caller's ran")
			}
			for tenant, err := range x.Tenants(ctx) {
				if err != nil || tenant.ID != w.A {
					t.Errorf("Tenants yields %v, %v", tenant.ID, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := payers.Count(ctx, kept); !errors.Is(err, tenancy.ErrAccessOver) {
			t.Errorf("after the end: %v", err)
		}
		for _, err := range kept.Tenants(ctx) {
			if !errors.Is(err, tenancy.ErrAccessOver) {
				t.Errorf("after the end: %v", err)
			}
		}
		refused := 0
		for _, e := range acrossEvents(t, w, tenancy.ID{}) {
			if e.Action == "across.refused" && e.Outcome == tenancy.Refused {
				refused++
			}
		}
		if refused != 7 {
			t.Errorf("%d refusals are recorded, want 7", refused)
		}
		if got := acrossEvents(t, w, w.B); len(got) != 0 {
			t.Errorf("the log of a tenant that was not read holds %v", actions(got))
		}
		err = w.DB.Across(support(t, w), tenancy.Access{Ticket: "SUP-3", Life: time.Millisecond}, func(_ context.Context, x *tenancy.Across) error {
			time.Sleep(2 * time.Millisecond)
			_, err := payers.Count(ctx, x)
			return err
		})
		if !errors.Is(err, tenancy.ErrAccessOver) {
			t.Errorf("after its time: %v", err)
		}
		w.Seal(t)
		w.Verify(t)
	})
}

// noRoomFor is a log without room for one kind of event.
type noRoomFor struct {
	*audit.Log

	action string
}

func (l noRoomFor) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if c.Action == l.action {
		return errFull
	}
	return l.Log.Change(ctx, tx, c)
}

// Where the log fails, nothing is read.
func TestAcrossWithoutLog(t *testing.T) {
	t.Parallel()
	onBills(t, func(t *testing.T, _ context.Context, w *tenancytest.World) {
		for _, failing := range []string{"across.begin", "across.read", "across.end"} {
			db, err := tenancy.New(w.DB.Engine(library), tenancy.Schema{payers, bills}, w.Keys, noRoomFor{w.Log, failing}, nil)
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			err = db.Across(support(t, w), tenancy.Access{Ticket: "SUP-5", Life: time.Minute}, func(ctx context.Context, x *tenancy.Across) error {
				_, err := payers.Get(tenancy.WithTenant(ctx, w.A), x, uuid.New())
				if errors.Is(err, tenancy.ErrNotFound) {
					read, err = read+1, nil
				}
				return err
			})
			if !errors.Is(err, errFull) || read > 0 && failing != "across.end" {
				t.Errorf("without the entry %s: %d reads, %v", failing, read, err)
			}
		}
	})
}
