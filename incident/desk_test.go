package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

// Given window, actors and tables there is one notice for A with the right
// counts, and none for B.
func TestOneNoticeForAAndNoneForB(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.attacked(t)
		w.seal(t)
		notices, err := w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		if len(notices) != 1 || notices[0].Tenant != w.a {
			t.Fatalf("notices %v", notices)
		}
		n, err := w.desk.Deliver(t.Context())
		must(t, err)
		got := w.notifier.Notices()
		if n != 1 || len(got) != 1 || got[0].To.Mail != "a@anton.example" || got[0].Tenant != w.a || got[0].Text != notices[0].Text {
			t.Fatalf("delivered %d, got %v", n, got)
		}
		var doc struct {
			Subjects, Records struct {
				AtLeast int `json:"at_least"`
				AtMost  int `json:"at_most"`
			}
			DataSubjects json.RawMessage `json:"data_subjects"`
			Evidence     struct {
				Events int
				Log    string
				Size   int64
			}
		}
		must(t, json.Unmarshal(got[0].JSON, &doc))
		must(t, json.Unmarshal(doc.DataSubjects, &doc.Subjects))
		if doc.Subjects.AtLeast != 2 || doc.Subjects.AtMost != 3 || doc.Records.AtLeast != 2 || doc.Records.AtMost != 3 ||
			doc.Evidence.Events != 3 || doc.Evidence.Log == "" || doc.Evidence.Size == 0 {
			t.Errorf("counted %+v", doc)
		}
		for _, s := range []string{got[0].Text, string(got[0].JSON), got[0].Subject} {
			if strings.Contains(strings.ToLower(s), "kanarienvogel") || strings.Contains(s, w.b.String()) {
				t.Errorf("the notice to a holds something of b, or of the rows: %s", s)
			}
		}
		if diff := cmp.Diff([]string{"incident.open", "incident.notify"}, w.entries(t, tenancy.ID{})); diff != "" {
			t.Errorf("platform's log: %s", diff)
		}
		if diff := cmp.Diff([]string{"incident.contact", "incident.deliver"}, w.entries(t, w.a)); diff != "" {
			t.Errorf("log of a: %s", diff)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		good := report()
		tests := []struct {
			name string
			edit func(*incident.Report)
			want error
		}{
			{"awareness in the future", func(r *incident.Report) { r.Aware = time.Now().Add(time.Second) }, incident.ErrFuture},
			{"no awareness", func(r *incident.Report) { r.Aware = time.Time{} }, incident.ErrReport},
			{"awareness before the law", func(r *incident.Report) { r.Aware = time.Date(2018, 5, 24, 0, 0, 0, 0, time.UTC) }, incident.ErrReport},
			{"no kind", func(r *incident.Report) { r.Kind = 0 }, incident.ErrReport},
			{"unknown kind", func(r *incident.Report) { r.Kind = 8 }, incident.ErrReport},
			{"no title", func(r *incident.Report) { r.Title = " " }, incident.ErrReport},
			{"title of two lines", func(r *incident.Report) { r.Title = "canary\nBcc: a@b.de" }, incident.ErrReport},
			{"title that moves the cursor", func(r *incident.Report) { r.Title = "canary\x1b[2J" }, incident.ErrReport},
			{"title that turns around", func(r *incident.Report) { r.Title = "canary\u202egpj" }, incident.ErrReport},
			{"title of 1 MB", func(r *incident.Report) { r.Title = strings.Repeat("canary", 1<<18) }, incident.ErrReport},
			{"title that is no text", func(r *incident.Report) { r.Title = "canary\xff" }, incident.ErrReport},
			{"table that is none", func(r *incident.Report) { r.Scope.Tables = []string{"customers", "canary"} }, incident.ErrReport},
			{"verb that is none", func(r *incident.Report) { r.Scope.Verbs = []string{"canary"} }, incident.ErrReport},
			{"actor without kind", func(r *incident.Report) { r.Scope.Actors = []string{"canary"} }, incident.ErrReport},
			{"actor in capitals", func(r *incident.Report) { r.Scope.Actors = []string{"service:Canary"} }, incident.ErrReport},
			{"person without id", func(r *incident.Report) { r.Scope.Actors = []string{"person:canary"} }, incident.ErrReport},
			{"no session", func(r *incident.Report) { r.Scope.Sessions = []string{""} }, incident.ErrReport},
			{"span of nothing", func(r *incident.Report) { r.Scope.From, r.Scope.Until = r.Aware, r.Aware }, incident.ErrReport},
			{"span backwards", func(r *incident.Report) { r.Scope.From, r.Scope.Until = r.Aware, r.Aware.Add(-time.Hour) }, incident.ErrReport},
			{"span after the case", func(r *incident.Report) { r.Scope.From = time.Now().Add(time.Hour) }, incident.ErrReport},
			{"tenant that is none", func(r *incident.Report) { r.Tenants = []tenancy.ID{tenancy.NewID()} }, incident.ErrReport},
			{"neither scope nor tenants", func(r *incident.Report) { r.Scope = tenancy.TraceQuery{} }, incident.ErrReport},
			{"text that moves the cursor", func(r *incident.Report) { r.Measures = "canary\x1b[2J" }, incident.ErrReport},
			{"text of 1 MB", func(r *incident.Report) { r.Consequences = strings.Repeat("canary", 1<<18) }, incident.ErrReport},
		}
		for _, tt := range tests {
			r := good
			tt.edit(&r)
			_, err := w.desk.Open(w.as(t.Context()), r)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		_, err := w.desk.Open(t.Context(), good)
		wantErr(t, err, tenancy.ErrNoActor)
		_, err = w.desk.Open(tenancy.WithActor(t.Context(), operator), good)
		wantErr(t, err, incident.ErrNoReason)
		wantErr(t, w.db.In(w.in(t.Context(), w.a), func(ctx context.Context, _ *tenancy.Tx) error {
			_, err := w.desk.Open(ctx, good)
			return err
		}), tenancy.ErrTxInUse)
		_, err = w.desk.Notify(w.as(t.Context()), uuid.New())
		wantErr(t, err, incident.ErrNoCase)
		_, err = w.desk.Affected(t.Context(), uuid.Nil)
		wantErr(t, err, incident.ErrNoCase)
		if all, err := w.desk.Status(t.Context()); err != nil || len(all) != 0 || len(w.entries(t, tenancy.ID{})) != 0 {
			t.Errorf("something was opened: %v, %v", all, err)
		}
	})
}
