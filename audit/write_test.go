package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// entries reads the log of a context's tenant.
func (w *world) entries(ctx context.Context, tb testing.TB, f audit.Filter) []audit.Entry {
	tb.Helper()
	var all []audit.Entry
	for e, err := range w.log.Events(ctx, w.db, f) {
		must(tb, err)
		all = append(all, e)
	}
	return all
}

func TestChangeShowsWhoWhenWhyWhat(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		before := time.Now().Add(-time.Second)
		c := w.customers(t, 1)[0]
		ctx := w.in(t.Context(), w.a)
		must(t, customers.Edit(ctx, w.db, c.ID, func(c *customer) error {
			c.Email, c.Plan = field.New("neu@example.org"), "pro"
			return nil
		}))
		got := w.entries(ctx, t, audit.Filter{Action: "customers.update", Object: c.ID, Since: before})
		if len(got) != 1 {
			t.Fatalf("got %d entries", len(got))
		}
		e := got[0]
		actor, err := tenancy.ActorFrom(ctx)
		must(t, err)
		if e.Actor != actor.String() || e.Session != "session-1" || e.Reason != "Anruf von Frau Grünwald" ||
			e.Outcome != tenancy.Done || e.Sealed || e.Erased || e.At.Before(before) || e.At.After(time.Now()) {
			t.Errorf("got %#v", e)
		}
		text, err := json.Marshal(e.Fields)
		must(t, err)
		want := `[{"Column":"email","Old":"petra.gruenwald@example.org","New":"neu@example.org"},{"Column":"plan","Old":"basic","New":"pro"}]`
		if string(text) != want {
			t.Errorf("got %s, want %s", text, want)
		}
		w.seal(t)
		if e := w.entries(ctx, t, audit.Filter{Object: c.ID})[1]; !e.Sealed || e.Index != 1 {
			t.Errorf("not sealed: %#v", e)
		}
		if got := w.entries(w.in(t.Context(), w.b), t, audit.Filter{}); len(got) != 0 {
			t.Errorf("tenant b sees %d entries of a", len(got))
		}
		if got := w.entries(ctx, t, audit.Filter{Platform: true, Action: "tenant.create"}); len(got) != 2 {
			t.Errorf("platform has %d entries", len(got))
		}
		for _, shown := range []string{
			e.String(), e.GoString(), e.LogValue().String(), fmt.Sprintf("%v %+v %#v %s %q %d %x", e, e, e, e, e, e, e),
			fmt.Sprintf("%v %+v %#v %s %q %d", e.Fields, e.Fields, e.Fields, e.Fields, e.Fields, e.Fields),
			e.Fields[0].String() + e.Fields[0].GoString() + e.Fields[0].LogValue().String(),
		} {
			if strings.Contains(shown, "example.org") || strings.Contains(shown, "Grünwald") {
				t.Errorf("shows the payload: %s", shown)
			}
		}
	})
}

func TestEventsPages(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 300)
		ctx := w.in(t.Context(), w.a)
		n := 0
		for e, err := range w.log.Events(ctx, w.db, audit.Filter{}) {
			must(t, err)
			if e.Reason == "" {
				t.Fatal("without payload")
			}
			n++
		}
		if n != 300 {
			t.Errorf("got %d", n)
		}
		for _, err := range w.log.Events(t.Context(), w.db, audit.Filter{}) {
			wantErr(t, err, tenancy.ErrNoTenant)
		}
	})
}

func TestNoEntryNoAction(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := tenancy.WithTenant(t.Context(), w.a)
		wantErr(t, customers.Insert(ctx, w.db, &customer{Email: field.New("a@b.de")}), tenancy.ErrNoActor)
		ctx = w.in(t.Context(), w.a)
		small, err := audit.New(w.keys, &audit.Options{MaxPayload: 100})
		must(t, err)
		err = w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return small.Change(ctx, tx, tenancy.Change{Action: "x.y", Outcome: tenancy.Done, Fields: []tenancy.FieldChange{
				{Column: "note", Class: tenancy.Personal, New: strings.Repeat("Geheimnis ", 20)},
			}})
		})
		wantErr(t, err, audit.ErrTooLarge)
		if strings.Contains(err.Error(), "Geheimnis") {
			t.Errorf("the error quotes the payload: %v", err)
		}
		err = w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Change(ctx, tx, tenancy.Change{Action: "x.y", Outcome: tenancy.Done, Fields: []tenancy.FieldChange{
				{Column: "note", Class: tenancy.Open, New: math.NaN()},
			}})
		})
		wantErr(t, err, audit.ErrPayload)
		for _, action := range []string{"", "a b", "Müller", "x\n", strings.Repeat("x", 201)} {
			err := w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return w.log.Record(ctx, action) })
			wantErr(t, err, audit.ErrAction)
		}
		n, err := customers.Count(ctx, w.db)
		must(t, err)
		if got := w.entries(ctx, t, audit.Filter{}); n != 0 || len(got) != 0 {
			t.Errorf("%d rows and %d events were written", n, len(got))
		}
	})
}

func TestRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		wantErr(t, w.log.Record(ctx, "session.open"), audit.ErrNoTx)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		attrs := []slog.Attr{
			slog.String("address", "192.0.2.7"), slog.Group("browser", slog.Int("version", 9)), slog.Duration("after", time.Second),
			slog.Any("err", errors.New("boom")),
		}
		must(t, rec.Record(ctx, "session.open", attrs...))
		must(t, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return rec.Record(ctx, "session.close") }))
		must(t, rec.Record(w.as(t.Context()), "account.create", slog.String("mail", "x@example.org")))
		rolledBack := errors.New("rolled back")
		wantErr(t, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
			return errors.Join(rec.Record(ctx, "session.gone"), rolledBack)
		}), rolledBack)
		wantErr(t, rec.Record(tenancy.WithTenant(t.Context(), w.a), "session.open"), tenancy.ErrNoActor)
		got := w.entries(ctx, t, audit.Filter{})
		if len(got) != 2 || got[0].Action != "session.open" || got[1].Action != "session.close" {
			t.Fatalf("got %v", got)
		}
		text, err := json.Marshal(got[0].Attrs)
		must(t, err)
		if want := `{"address":"192.0.2.7","after":"1s","browser":{"version":9},"err":"boom"}`; string(text) != want {
			t.Errorf("got %s, want %s", text, want)
		}
		if got := w.entries(ctx, t, audit.Filter{Platform: true, Action: "account.create"}); len(got) != 1 {
			t.Errorf("platform: got %v", got)
		}
		if w.seal(t) != 4 { // with the log that is opened
			t.Error("not all sealed")
		}
		w.wantOK(t, nil)
	})
}

// Under the seal the database says who acts; the events are sealed all the
// same, and injected ones are not.
func TestCallersText(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return customers.Insert(ctx, tx, &customer{Email: field.New("a@b.de"), City: "X", Plan: "y"})
		}))
		err := w.db.InSQL(ctx, func(ctx context.Context, _ *tenancy.SQLTx) error {
			return w.log.Record(tenancy.WithActor(ctx, tenancy.MustService("somebody-else")), "x.y")
		})
		if w.engine == "postgres" {
			wantErr(t, err, audit.ErrOtherActor)
		}
		err = w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return w.log.EraseSubject(ctx, tx.Tx, uuid.New())
		})
		if w.engine == "postgres" {
			wantErr(t, err, audit.ErrRole)
		}
		w.seal(t)
		w.wantOK(t, &audit.VerifyOptions{Log: w.log})
		w.inject(ctx, t)
	})
}

// inject writes an event as callers' text could, and reads and changes others.
func (w *world) inject(ctx context.Context, t *testing.T) {
	t.Helper()
	before := w.verify(t, nil)
	row := "('" + uuid.NewString() + "', '" + w.a.String() + "', 1, '" + uuid.NewString() + "', 1, 'a.b', 1, '', '" + strings.Repeat("1", 32) + "')"
	for _, text := range []string{
		"INSERT INTO art32.events (id, tenant_id, at, writer, counter, action, outcome, digests, mac) VALUES " + row,
		"INSERT INTO art32.event_parts (tenant_id, event_id, part) VALUES ('" + w.a.String() + "', '" + uuid.NewString() + "', 0)",
		"SELECT count(*) FROM art32.events", "UPDATE art32.events SET leaf = 1", "DELETE FROM art32.events", "SELECT art32.unsealed()",
		"INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, action, outcome, digests, mac) SELECT NULL, NULL, 1, NULL, 1, 'x', 'x', 1, '', ''",
		"SELECT * FROM art32.event_parts", "SELECT * FROM art32.logs", "SELECT * FROM art32.tiles", "SELECT * FROM art32.checkpoints",
	} {
		if w.engine == "sqlite" {
			text = strings.ReplaceAll(text, "art32.", "art32_")
		}
		err := w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, text)
			return err
		})
		if err == nil {
			t.Errorf("callers' text may: %s", text)
		}
	}
	w.seal(t) // what was refused
	if after := w.wantOK(t, &audit.VerifyOptions{Log: w.log}); after.Size <= before.Size {
		t.Errorf("%d entries, before %d", after.Size, before.Size)
	}
}

func TestRefusalsAreSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		wantErr(t, customers.Insert(ctx, w.db, &customer{Tenant: w.b, Email: field.New("a@b.de")}), tenancy.ErrOtherTenant)
		got := w.entries(ctx, t, audit.Filter{})
		if len(got) != 1 || got[0].Outcome != tenancy.Refused || got[0].Detail == "" {
			t.Fatalf("got %#v", got)
		}
		w.seal(t)
		w.wantOK(t, nil)
	})
}

func TestLinesAgree(t *testing.T) {
	t.Parallel()
	if err := audit.Line().Check(); err != nil {
		t.Error(err)
	}
}

func TestConstructorsRefuseNil(t *testing.T) {
	t.Parallel()
	if _, err := audit.New(nil, nil); err == nil {
		t.Error("keys")
	}
	if _, err := audit.NewSealer(nil, nil, nil); err == nil {
		t.Error("sealer")
	}
	if _, err := audit.NewRecorder(nil, nil); err == nil {
		t.Error("recorder")
	}
}
