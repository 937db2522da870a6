package incident_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

func (w *world) delivered(t *testing.T) incident.Notice {
	t.Helper()
	c := w.attacked(t)
	_, err := w.desk.Notify(w.as(t.Context()), c.ID)
	must(t, err)
	_, err = w.desk.Deliver(t.Context())
	must(t, err)
	got := w.notifier.Notices()
	if len(got) != 1 {
		t.Fatalf("%d notices", len(got))
	}
	return got[0]
}

func TestAcknowledge(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		n := w.delivered(t)
		token := w.desk.Token(t.Context(), n.ID)
		other := uuid.New()
		for id, token := range map[uuid.UUID]string{n.ID: token[1:], other: token, uuid.Nil: ""} {
			wantErr(t, w.desk.Acknowledge(t.Context(), id, token), incident.ErrNotice)
		}
		wantErr(t, w.desk.Acknowledge(t.Context(), other, w.desk.Token(t.Context(), other)), incident.ErrNotice)
		wantTasks(t, w, "acknowledge")
		before := time.Now().Add(-time.Second)
		must(t, w.desk.Acknowledge(t.Context(), n.ID, token))
		first := w.status(t).Notices[0].Acknowledged
		must(t, w.desk.Acknowledge(t.Context(), n.ID, token))
		if s := w.status(t); !s.Notices[0].Acknowledged.Equal(first) || first.Before(before) || len(s.Tasks) != 0 {
			t.Errorf("status %+v", s)
		}
		if got := strings.Join(w.entries(t, w.a), " "); strings.Count(got, "incident.acknowledge") != 1 {
			t.Errorf("recorded %s", got)
		}
	})
}

func TestAckHandler(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		n := w.delivered(t)
		link, err := url.Parse(n.Ack)
		must(t, err)
		if link.Host != "vendor.example" || link.Path != "/incident/ack" || !strings.Contains(n.Text, n.Ack) {
			t.Errorf("link %s", n.Ack)
		}
		srv := httptest.NewServer(w.desk.AckHandler())
		defer srv.Close()
		do := func(method, query, form string) (int, string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+"?"+query, strings.NewReader(form))
			must(t, err)
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			res, err := srv.Client().Do(req)
			must(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			must(t, err)
			if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("header %v", res.Header)
			}
			return res.StatusCode, string(body)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} { // as a scanner of mail does
			if code, page := do(method, link.RawQuery, ""); code != 200 || method == http.MethodGet && !strings.Contains(page, link.Query().Get("token")) {
				t.Errorf("%s: %d %s", method, code, page)
			}
		}
		wantTasks(t, w, "acknowledge")
		tests := []struct {
			name, method, query, form string
			want                      int
		}{
			{"another method", http.MethodDelete, link.RawQuery, "", 405},
			{"token in the address only", http.MethodPost, link.RawQuery, "", 404},
			{"wrong token", http.MethodPost, "", "notice=" + n.ID.String() + "&token=x", 404},
			{"no id", http.MethodPost, "", "notice=x&token=x", 404},
			{"a flood", http.MethodPost, "", "notice=" + n.ID.String() + "&token=" + strings.Repeat("x", 1<<20), 404},
		}
		for _, tt := range tests {
			if code, _ := do(tt.method, tt.query, tt.form); code != tt.want {
				t.Errorf("%s: %d, want %d", tt.name, code, tt.want)
			}
		}
		if _, page := do(http.MethodGet, "notice=%22%3E%3Cscript%3E&token=%3Cb%3E", ""); strings.Contains(page, "<script>") || strings.Contains(page, "<b>") {
			t.Error("the page repeats what the link says as markup")
		}
		wantTasks(t, w, "acknowledge")
		if code, _ := do(http.MethodPost, "", link.RawQuery); code != 200 {
			t.Errorf("POST: %d", code)
		}
		wantTasks(t, w)
		must(t, w.db.Close())
		if code, _ := do(http.MethodPost, "", link.RawQuery); code != 503 {
			t.Errorf("without database: %d", code)
		}
		if strings.Contains(w.logged.String(), link.Query().Get("token")) {
			t.Error("the token is logged")
		}
	})
}

// What cannot be recorded does not happen.
func TestNoRecordNoAction(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		n := w.delivered(t)
		desk, err := incident.New(w.db, w.keys, w.log, broken{}, vendor, &incident.Options{Notifiers: map[string]incident.Notifier{"test": w.notifier, "more": w.notifier}})
		must(t, err)
		ctx := w.as(t.Context())
		_, openErr := desk.Open(ctx, report())
		_, notifyErr := desk.Notify(ctx, n.Case)
		for name, err := range map[string]error{
			"open": openErr, "notify": notifyErr, "acknowledge": desk.Acknowledge(ctx, n.ID, desk.Token(ctx, n.ID)),
			"contact": desk.SetContact(tenancy.WithTenant(ctx, w.b), incident.Contact{Name: "A", Mail: "a@b.example"}),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		s := w.status(t) // of one case
		if len(s.Notices[0].Channels) != 1 || !s.Notices[0].Acknowledged.IsZero() {
			t.Errorf("status %+v", s)
		}
	})
}

// A notice that arrived and could not be recorded counts as not delivered, and
// comes again under its id once it can.
func TestNoRecordNoDelivery(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		box := letterbox(filepath.Join(w.Dir, "box"))
		c := w.attacked(t)
		var err error
		w.desk, err = w.newDesk(box.options())
		must(t, err)
		w.desk.Impatient()
		_, err = w.desk.Notify(w.as(t.Context()), c.ID)
		must(t, err)
		mute, err := incident.New(w.db, w.keys, w.log, broken{}, vendor, box.options())
		must(t, err)
		mute.Impatient()
		if n, err := mute.Deliver(t.Context()); n != 0 || err != nil {
			t.Errorf("delivered %d, %v", n, err)
		}
		if got := w.status(t).Notices[0].Channels[0]; !got.Delivered.IsZero() {
			t.Errorf("delivered, and in no log: %+v", got)
		}
		w.deliverAll(t)
		w.wantRecorded(t)
		if n, different := box.arrivals(t); n != 2 || different != 1 {
			t.Errorf("%d arrivals, %d different; want 2 of one", n, different)
		}
	})
}
