package incident_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/smtpnotifier"
	"github.com/art32/art32/tenancy"
)

// late takes the notice over while its context ends.
type late struct {
	n     atomic.Int64
	after func(ctx context.Context)
}

func (l *late) Notify(ctx context.Context, _ incident.Notice) error {
	l.n.Add(1)
	l.after(ctx)
	return nil
}

// What a channel has taken over is marked, also when the process is being stopped
// or the channel was slow to say goodbye: it does not arrive twice.
func TestStoppedAfterArrival(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for name, after := range map[string]func(context.Context, func()){
			"stopped": func(_ context.Context, stop func()) { stop() },
			"slow":    func(ctx context.Context, _ func()) { <-ctx.Done() },
		} {
			l := &late{}
			d, err := w.newDesk(&incident.Options{Notifiers: map[string]incident.Notifier{name: l}})
			must(t, err)
			d.Impatient()
			w.contacts(t)
			w.tamper(t, w.a, w.people(t, w.a, 1)...)
			c, err := d.Open(w.as(t.Context()), report())
			must(t, err)
			_, err = d.Notify(w.as(t.Context()), c.ID)
			must(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l.after = func(ctx context.Context) { after(ctx, cancel) }
			_, err = d.Deliver(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			all, err := d.Status(t.Context())
			must(t, err)
			for _, s := range all {
				if s.Case.ID == c.ID && (len(s.Tasks) != 1 || s.Tasks[0].Kind != incident.TaskAcknowledge) {
					t.Errorf("%s: tasks %+v", name, s.Tasks)
				}
			}
			if _, err := d.Deliver(t.Context()); err != nil || l.n.Load() != 1 {
				t.Errorf("%s: arrived %d times, %v", name, l.n.Load(), err)
			}
		}
	})
}

// The log of a closed tenant takes nothing any more: its notice arrives once all
// the same, and the platform's log says so.
func TestClosedTenantIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		_, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		w.shut(t, w.a, true)
		w.acknowledgeAll(t)
		wantTasks(t, w)
		if n, err := w.desk.Deliver(t.Context()); n != 0 || err != nil || w.notifier.Tries() != 1 {
			t.Errorf("delivered again %d, %v, %d tries", n, err, w.notifier.Tries())
		}
		if got := strings.Join(w.entries(t, tenancy.ID{}), " "); !strings.HasSuffix(got, "incident.deliver incident.acknowledge") {
			t.Errorf("platform's log: %s", got)
		}
		w.shut(t, w.b, false)
		if _, err := w.desk.Notify(w.as(t.Context()), c.ID); err != nil {
			t.Errorf("told already, and still: %v", err)
		}
	})
}

// A row that is damaged holds up nobody else.
func TestDamagedRow(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		for _, id := range []tenancy.ID{w.a, w.b} {
			w.tamper(t, id, w.people(t, id, 1)...)
		}
		var cases []incident.Case
		for range 2 {
			c, err := w.desk.Open(w.as(t.Context()), report())
			must(t, err)
			cases = append(cases, c)
		}
		_, err := w.desk.Notify(w.as(t.Context()), cases[0].ID)
		must(t, err)
		w.damage(t, "incident_notices", "tenant_id", w.a.String())
		notices, err := w.desk.Notify(w.as(t.Context()), cases[0].ID)
		e, ok := errors.AsType[*incident.TenantError](err)
		if !ok || len(e.Tenants) != 1 || e.Tenants[0] != w.a || len(notices) != 1 || notices[0].Tenant != w.b {
			t.Errorf("Notify() = %v, %v", notices, err)
		}
		w.damage(t, "incident_cases", "id", cases[0].ID.String())
		all, err := w.desk.Status(t.Context())
		d, ok := errors.AsType[*incident.CaseError](err)
		if !ok || len(d.Cases) != 1 || d.Cases[0] != cases[0].ID || len(all) != 2 {
			t.Fatalf("Status() = %d cases, %v", len(all), err)
		}
		if s := all[0]; s.Case.ID != cases[0].ID || !s.Case.Report.Aware.Equal(cases[0].Report.Aware) || len(s.Tasks) != 2 || s.Clock.Operational.IsZero() {
			t.Errorf("the damaged case has lost its tasks: %+v", s)
		}
		if all[1].Case.Report.Title != report().Title {
			t.Errorf("the other case: %+v", all[1].Case)
		}
	})
}

// damage overwrites the encrypted text of rows.
func (w *world) damage(tb testing.TB, table, column, id string) {
	tb.Helper()
	zero := "x'00'"
	if w.Engine == "postgres" {
		zero = `'\x00'`
	}
	_, err := w.raw(tb).ExecContext(tb.Context(), "UPDATE "+w.table(table)+" SET body = "+zero+" WHERE "+column+" = '"+id+"'")
	must(tb, err)
}

// Loggers that write JSON see no more than package fmt does.
func TestNothingInJSON(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	to := incident.Contact{Name: "canary", Mail: "canary@example.org"}
	n := incident.Notice{To: to, Subject: "canary", Text: "canary", JSON: []byte(`{"canary":1}`), Ack: "https://canary.example"}
	o := smtpnotifier.Options{Host: "mail.example", Username: "canary", Password: "canary", From: "canary@example.org"}
	values := []any{
		n, &n, []incident.Notice{n}, to, &to, []incident.Contact{to}, map[string]incident.Contact{"x": to}, o,
		struct{ SMTP *smtpnotifier.Options }{&o}, struct{ Told []*incident.Notice }{[]*incident.Notice{&n}}, incident.NoticeStatus{ID: n.ID},
	}
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, nil))
	for _, v := range values {
		log.InfoContext(t.Context(), "x", "v", v)
		text, err := json.Marshal(v)
		must(t, err)
		b.Write(text)
		fmt.Fprintf(&b, "%v %+v %#v", v, v, v)
	}
	if strings.Contains(b.String(), "canary") {
		t.Errorf("shows what it must not: %s", b.String())
	}
}
