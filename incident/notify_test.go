package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/deadline"
	"github.com/art32/art32/incident/incidenttest"
	"github.com/art32/art32/tenancy"
)

func kindsOf(s incident.CaseStatus) []string {
	out := []string{}
	for _, t := range s.Tasks {
		text := string(t.Kind)
		if t.Dead {
			text += " dead"
		}
		if t.Overdue {
			text += " overdue"
		}
		out = append(out, text)
	}
	return out
}

func wantTasks(tb testing.TB, w *world, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(append([]string{}, want...), kindsOf(w.status(tb))); diff != "" {
		tb.Errorf("tasks (-want +got):\n%s", diff)
	}
}

// What the same case yields again: one notice under one id with equal bytes.
func TestNotifyIsIdempotent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		wantTasks(t, w, "notify")
		first, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		wantTasks(t, w, "deliver")
		w.tamper(t, w.a, w.people(t, w.a, 1)...) // after the end of the scope
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				again, err := w.desk.Notify(w.as(t.Context()), c.ID)
				if err != nil || len(again) != 1 || again[0].ID != first[0].ID || again[0].Text != first[0].Text {
					t.Errorf("again %v, %v", again, err)
				}
				if _, err := w.desk.Deliver(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		if got := w.notifier.Notices(); len(got) != 1 || w.notifier.Tries() != 1 || got[0].Text != first[0].Text || string(got[0].JSON) != string(first[0].JSON) {
			t.Errorf("%d notices after %d tries", len(got), w.notifier.Tries())
		}
		wantTasks(t, w, "acknowledge")
	})
}

func TestTenantWithoutContact(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contact(t, w.a, "a@anton.example")
		for _, id := range []tenancy.ID{w.a, w.b} {
			w.tamper(t, id, w.people(t, id, 1)...)
		}
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		for range 2 {
			notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
			e, ok := errors.AsType[*incident.NoContactError](err)
			if !ok || len(e.Tenants) != 1 || e.Tenants[0] != w.b || strings.Contains(err.Error(), "KANARIENVOGEL") {
				t.Fatalf("Notify() = %v", err)
			}
			if len(notices) != 1 || notices[0].Tenant != w.a {
				t.Errorf("notices %v", notices)
			}
		}
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		got := kindsOf(w.status(t))
		if len(got) != 2 || !strings.Contains(strings.Join(got, " "), "contact") || !strings.Contains(strings.Join(got, " "), "acknowledge") {
			t.Errorf("tasks %v", got)
		}
		w.contact(t, w.b, "kanarienvogel@berta.example")
		notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		if len(notices) != 2 || len(w.notifier.Notices()) != 2 {
			t.Errorf("%d notices, %d delivered", len(notices), len(w.notifier.Notices()))
		}
		wantTasks(t, w, "acknowledge", "acknowledge")
	})
}

var ignoreOwn = cmpopts.IgnoreUnexported(incident.AffectedTable{})

// A table with personal data that names nobody: each row may be another person's.
func TestTableWithoutSubjects(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := tenancy.WithActor(w.in(t.Context(), w.a), intruder)
		people := w.people(t, w.a, 2)
		for range 3 {
			must(t, visits.Insert(ctx, w.db, &visit{Address: "192.0.2.1"}))
		}
		w.tamper(t, w.a, people[0])
		r := report()
		r.Scope.Tables = nil
		c, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		got, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		if len(got) != 1 || got[0].Subjects != (incident.Range{AtLeast: 1, AtMost: 5}) || got[0].Records != (incident.Range{AtLeast: 4, AtMost: 5}) ||
			got[0].Tables[1].Name != "visits" || got[0].Tables[1].Subjects != (incident.Range{AtMost: 3}) {
			t.Errorf("got %+v", got)
		}
	})
}

// A tenant that the report names is told although its log shows nothing, and what
// was deleted counts as what was there.
func TestBounds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		people := w.people(t, w.a, 4)
		w.people(t, w.b, 5)
		ctx := tenancy.WithActor(w.in(t.Context(), w.a), intruder)
		must(t, customers.Delete(ctx, w.db, people[0].ID))
		must(t, customers.Delete(ctx, w.db, people[1].ID))
		must(t, customers.Delete(w.in(t.Context(), w.a), w.db, people[2].ID)) // by the tenant itself, before the count
		must(t, tickets.Insert(ctx, w.db, &ticket{Customer: people[3].ID}))
		r := report()
		r.Scope.Tables, r.Tenants = nil, []tenancy.ID{w.b}
		c, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		got, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		again, err := w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		if diff := cmp.Diff(got, again, ignoreOwn); diff != "" {
			t.Errorf("counted again: %s", diff)
		}
		w.tamper(t, w.a, people[3])
		w.seal(t)
		again, err = w.desk.Affected(t.Context(), c.ID)
		must(t, err)
		if len(got) != 2 || again[0].Digest != got[0].Digest || got[0].Digest == got[1].Digest || again[0].Size == got[0].Size {
			t.Errorf("digests %v, %v", got, again)
		}
		want := []incident.Affected{
			{
				Tenant: w.a, Name: "Anton GmbH", Events: 3, Pending: 3, Records: incident.Range{AtLeast: 3, AtMost: 5}, Subjects: incident.Range{AtLeast: 3, AtMost: 4},
				Tables: []incident.AffectedTable{
					{Name: "customers", Columns: []string{"email", "city"}, Records: incident.Range{AtLeast: 2, AtMost: 4}, Subjects: incident.Range{AtLeast: 2, AtMost: 4}},
					{Name: "tickets", Columns: []string{"text"}, Records: incident.Range{AtLeast: 1, AtMost: 1}, Subjects: incident.Range{AtLeast: 1, AtMost: 1}},
				},
			},
			{
				Tenant: w.b, Name: "Berta KANARIENVOGEL AG", Records: incident.Range{AtMost: 5}, Subjects: incident.Range{AtMost: 5},
				Tables: []incident.AffectedTable{{Name: "customers", Columns: []string{"email", "city"}, Records: incident.Range{AtMost: 5}, Subjects: incident.Range{AtMost: 5}}},
			},
		}
		for i := range got {
			got[i].Digest = ""
		}
		if diff := cmp.Diff(want, got, ignoreOwn); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A tenant that cannot be counted keeps nobody else waiting, and is named.
func TestTenantThatCannotBeCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.contacts(t)
		w.tamper(t, w.a, w.people(t, w.a, 1)...)
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		w.shut(t, w.b, true)
		for range 2 {
			notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
			e, ok := errors.AsType[*incident.TenantError](err)
			if !ok || len(e.Tenants) != 1 || e.Tenants[0] != w.b || !errors.Is(err, tenancy.ErrUnknownTenant) || len(notices) != 1 {
				t.Errorf("Notify() = %v, %v", notices, err)
			}
		}
		w.acknowledgeAll(t)
		wantTasks(t, w, "count")
		w.shut(t, w.b, false)
		_, err = w.desk.Notify(w.as(t.Context()), c.ID) // which shows that b is not affected
		must(t, err)
		wantTasks(t, w)
	})
}

// shut closes a tenant, or takes that back.
func (w *world) shut(tb testing.TB, id tenancy.ID, closed bool) {
	tb.Helper()
	value := "NULL"
	if closed {
		value = "'2026-11-23T08:00:00.000000Z'"
	}
	_, err := w.raw(tb).ExecContext(tb.Context(), "UPDATE "+w.table("tenants")+" SET closed_at = "+value+" WHERE id = '"+id.String()+"'")
	must(tb, err)
	if w.Engine == "sqlite" { // which asks once, when it opens a tenant's file
		must(tb, w.close())
		must(tb, w.open(tb.Context(), &incident.Options{Notifiers: map[string]incident.Notifier{"test": w.notifier}}))
	}
}

// acknowledgeAll delivers what is due, and has all receivers confirm.
func (w *world) acknowledgeAll(tb testing.TB) {
	tb.Helper()
	_, err := w.desk.Deliver(tb.Context())
	must(tb, err)
	for _, n := range w.notifier.Notices() {
		must(tb, w.desk.Acknowledge(tb.Context(), n.ID, w.desk.Token(tb.Context(), n.ID)))
	}
}

// Nothing personal lies in clear: not in the database, and not in what is logged.
func TestNothingInClear(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		_, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		w.notifier.Fail(errors.New("canary a@anton.example"))
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		var dump []byte
		if w.Engine == "sqlite" {
			must(t, w.db.Close())
			dump = readAll(t, filepath.Join(w.Dir, "data"))
		} else {
			for _, name := range []string{"incident_cases", "incident_notices", "incident_deliveries", "incident_contacts", "outbox"} {
				dump = append(dump, w.dump(t, name)...)
			}
		}
		for _, s := range []string{"anton.example", "berta.example", "Datenschutz a", "gestohlenem", "benutzt", "suspicious calls", "canary"} {
			if strings.Contains(string(dump), s) || strings.Contains(w.logged.String(), s) {
				t.Errorf("%q lies in clear", s)
			}
		}
		if !strings.Contains(string(dump), c.ID.String()) {
			t.Error("the dump shows nothing at all")
		}
	})
}

// dump is all that a table of the library holds, as text.
func (w *world) dump(tb testing.TB, name string) []byte {
	tb.Helper()
	rows, err := w.raw(tb).QueryContext(tb.Context(), "SELECT row_to_json(x)::text || encode(convert_to(x::text, 'UTF8'), 'escape') FROM "+w.table(name)+" x")
	must(tb, err)
	defer rows.Close()
	var out []byte
	for rows.Next() {
		var s string
		must(tb, rows.Scan(&s))
		out = append(out, s...)
	}
	must(tb, rows.Err())
	if name == "outbox" { // its payload is binary
		rows, err := w.raw(tb).QueryContext(tb.Context(), "SELECT convert_from(payload, 'UTF8') FROM "+w.table(name))
		must(tb, err)
		defer rows.Close()
		for rows.Next() {
			var s string
			must(tb, rows.Scan(&s))
			var p map[string]string
			must(tb, json.Unmarshal([]byte(s), &p))
			if len(p) != 2 || uuid.Validate(p["notice"]) != nil || p["channel"] != "test" {
				tb.Errorf("payload %s", s)
			}
			out = append(out, s...)
		}
		must(tb, rows.Err())
	}
	return out
}

// A mail server that is down for hours loses nothing; one that stays down ends in
// a task, which ends when somebody notifies again.
func TestChannelDown(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	tests := []struct {
		name  string
		until time.Duration // the channel is down
		run   time.Duration
		tasks []string
	}{
		{"hours", 5 * time.Hour, 25 * time.Hour, []string{"acknowledge overdue"}},
		{"for good", 1000 * time.Hour, 40 * time.Hour, []string{"deliver dead overdue"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "sqlite")
			must(t, w.close())
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))) // a bubble begins in 2000
				must(t, w.open(t.Context(), nil))
				defer func() { must(t, w.close()) }()
				w.desk.Patient()
				c := w.attacked(t)
				_, err := w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				w.notifier.Fail(errors.New("down"))
				time.AfterFunc(tt.until, func() { w.notifier.Fail(nil) })
				ctx, cancel := context.WithTimeout(t.Context(), tt.run)
				defer cancel()
				if err := w.desk.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Run() = %v", err)
				}
				wantTasks(t, w, tt.tasks...)
				if tt.name == "hours" {
					return
				}
				if strings.Count(w.logged.String(), "given up") != 1 {
					t.Errorf("logged %s", w.logged)
				}
				w.notifier.Fail(nil)
				_, err = w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				if n, err := w.desk.Deliver(t.Context()); err != nil || n != 1 || len(w.notifier.Notices()) != 1 {
					t.Errorf("delivered %d, %v", n, err)
				}
				wantTasks(t, w, "acknowledge overdue")
			})
		})
	}
}

func TestPermanentFailureIsATaskAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		_, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		w.notifier.Fail(&incident.DeliveryError{Code: "smtp_550", Permanent: true})
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		wantTasks(t, w, "deliver dead overdue")
		s := w.status(t).Notices[0].Channels[0]
		if s.Name != "test" || s.Code != "smtp_550" || s.Attempts != 1 || s.Dead.IsZero() || !s.Delivered.IsZero() {
			t.Errorf("channel %+v", s)
		}
		w.contact(t, w.a, "b@anton.example") // the address was wrong
		w.notifier.Fail(nil)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := w.desk.Notify(w.as(t.Context()), c.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		if got := w.notifier.Notices(); len(got) != 1 || w.notifier.Tries() != 2 || got[0].To.Mail != "b@anton.example" {
			t.Errorf("%d notices after %d tries", len(got), w.notifier.Tries())
		}
	})
}

// What a restore has held, or the queue has lost, is a task, and Notify puts it back:
// under the same id, with the same bytes, and once.
func TestNoticeThatNothingCarries(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"held": "UPDATE OUTBOX SET dead_at = '2026-11-23T08:00:00.000000Z', last_error = 'held by restore' WHERE delivered_at IS NULL AND dead_at IS NULL",
		"lost": "DELETE FROM OUTBOX",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				c := w.attacked(t)
				first, err := w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				for range 2 { // also when it is not the first round
					_, err = w.raw(t).ExecContext(t.Context(), strings.Replace(query, "OUTBOX", w.table("outbox"), 1))
					must(t, err)
					wantTasks(t, w, "deliver dead overdue")
					var wg sync.WaitGroup
					for range 3 {
						wg.Go(func() {
							if _, err := w.desk.Notify(w.as(t.Context()), c.ID); err != nil {
								t.Error(err)
							}
						})
					}
					wg.Wait()
					wantTasks(t, w, "deliver")
				}
				for range 2 {
					_, err = w.desk.Deliver(t.Context())
					must(t, err)
				}
				got := w.notifier.Notices()
				if len(got) != 1 || w.notifier.Tries() != 1 || got[0].ID != first[0].ID || got[0].Text != first[0].Text {
					t.Errorf("%d notices after %d tries", len(got), w.notifier.Tries())
				}
				wantTasks(t, w, "acknowledge")
			})
		})
	}
}

// A message that was given up although the channel has it is not sent again.
func TestArrivedAfterItWasGivenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		_, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		_, err = w.raw(t).ExecContext(t.Context(), "UPDATE "+w.table("incident_deliveries")+" SET dead_at = 1")
		must(t, err)
		_, err = w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		_, err = w.desk.Deliver(t.Context())
		must(t, err)
		if w.notifier.Tries() != 1 || !w.status(t).Notices[0].Channels[0].Dead.IsZero() {
			t.Errorf("sent %d times: %+v", w.notifier.Tries(), w.status(t).Notices[0])
		}
	})
}

func TestDeskWithoutChannel(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		bare, err := w.newDesk(&incident.Options{})
		must(t, err)
		_, err = bare.Notify(w.as(t.Context()), c.ID)
		wantErr(t, err, incident.ErrNoChannel)
		_, err = w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		if n, err := bare.Deliver(t.Context()); n != 0 || err != nil {
			t.Errorf("Deliver() = %d, %v", n, err)
		}
		wantErr(t, bare.Run(t.Context()), incident.ErrNoChannel)
		other, err := w.newDesk(&incident.Options{Notifiers: map[string]incident.Notifier{"other": &incidenttest.Notifier{}}})
		must(t, err)
		if n, err := other.Deliver(t.Context()); n != 0 || err != nil {
			t.Errorf("Deliver() = %d, %v", n, err)
		}
		if s := w.status(t).Notices[0].Channels[0]; s.Code != "" || s.Attempts != 0 {
			t.Errorf("an attempt was lost to a desk without the channel: %+v", s)
		}
		w.acknowledgeAll(t)
		wantTasks(t, w)
	})
}

// The clocks of a case across the change to summer time, and what is overdue.
func TestClocks(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	w := newWorld(t, "sqlite")
	must(t, w.close())
	synctest.Test(t, func(t *testing.T) {
		aware := time.Date(2026, 3, 27, 9, 30, 0, 0, time.UTC) // 10:30 CET
		time.Sleep(time.Until(aware.Add(time.Hour)))
		must(t, w.open(t.Context(), nil))
		defer func() { must(t, w.close()) }()
		r := report()
		r.Aware = aware
		_, err := w.desk.Open(w.as(t.Context()), r)
		must(t, err)
		s := w.status(t)
		for _, x := range []struct {
			name      string
			got, want time.Time
		}{
			{"operational", s.Clock.Operational, time.Date(2026, 3, 30, 8, 30, 0, 0, time.UTC)},
			{"statutory", s.Clock.Statutory, time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)},
			{"first notice", s.FirstNotice, aware.Add(4 * time.Hour)},
			{"escalation", s.Escalation, aware.Add(24 * time.Hour)},
		} {
			if !x.got.Equal(x.want) {
				t.Errorf("%s %v, want %v", x.name, x.got, x.want)
			}
		}
		time.Sleep(3*time.Hour - time.Microsecond)
		wantTasks(t, w, "notify")
		time.Sleep(time.Microsecond)
		wantTasks(t, w, "notify overdue")
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite")
	for name, o := range map[string]*incident.Options{
		"name of a channel":         {Notifiers: map[string]incident.Notifier{"SMTP\n": w.notifier}},
		"no notifier":               {Notifiers: map[string]incident.Notifier{"smtp": nil}},
		"link in clear":             {AckURL: "http://vendor.example/ack"},
		"link with a query":         {AckURL: "https://vendor.example/ack?x=1"},
		"no address":                {AckURL: "https://"},
		"empty query":               {AckURL: "https://vendor.example/ack?"},
		"empty fragment":            {AckURL: "https://vendor.example/ack#"},
		"negative hours":            {Rules: []deadline.Rule{{Norm: "x", Hours: -5}}},
		"norm of no line":           {Rules: []deadline.Rule{{Norm: "x\x1b]0;y\x07", Hours: 72}}},
		"rule before its beginning": {Rules: []deadline.Rule{{Norm: "x", Hours: 72, From: time.Unix(2, 0), Until: time.Unix(1, 0)}}},
	} {
		if _, err := w.newDesk(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := incident.New(nil, nil, nil, nil, vendor, nil); err == nil {
		t.Error("nothing given, no error")
	}
	if err := incident.Line().Check(); err != nil {
		t.Error(err)
	}
}

func TestContactRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		for _, c := range []incident.Contact{
			{},
			{Name: "canary"},
			{Name: "canary\nBcc: x", Mail: "a@b.example"},
			{Name: "A", Mail: "canary@b.example\r\nBcc: x@b.example"},
			{Name: "A", Mail: "Canary <canary@b.example>"},
			{Name: strings.Repeat("canary", 1<<17), Mail: "a@b.example"},
		} {
			if err := w.desk.SetContact(ctx, c); !errors.Is(err, incident.ErrReport) || strings.Contains(err.Error(), "canary") {
				t.Errorf("SetContact() = %v", err)
			}
		}
		good := incident.Contact{Name: "canary", Mail: "canary@b.example"}
		wantErr(t, w.desk.SetContact(w.as(t.Context()), good), tenancy.ErrNoTenant)
		wantErr(t, w.desk.SetContact(tenancy.WithTenant(t.Context(), w.a), good), tenancy.ErrNoActor)
		n := incident.Notice{ID: uuid.New(), To: good, Text: "canary", Subject: "canary"}
		for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", good, good, good, good), fmt.Sprintf("%v %+v %#v %s", n, n, n, n), good.LogValue().String() + n.LogValue().String()} {
			if strings.Contains(s, "canary") {
				t.Errorf("shows the contact: %s", s)
			}
		}
	})
}
