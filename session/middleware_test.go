package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/tenancy"
)

// TestBadCookies shows that what no login can have set opens nothing, is cleared,
// and does not reach the store.
func TestBadCookies(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, nil)
	good := w.login(t).Value
	name := session.CookieName + "="
	cases := map[string][]string{
		"empty":               {name},
		"truncated":           {name + good[:42]},
		"longer":              {name + good + "A"},
		"oversized":           {name + strings.Repeat("A", 1<<16)},
		"quoted":              {name + `"` + good + `"`},
		"other alphabet":      {name + strings.Repeat("+", 43)},
		"padded":              {name + good[:42] + "="},
		"line break inside":   {name + good[:20] + "\n" + good[20:42]},
		"second spelling":     {name + good[:42] + string(next(good[42]))},
		"twice in a line":     {name + good + "; " + name + good},
		"twice in two lines":  {name + good, name + good},
		"good, then bad":      {name + good + "; " + name + "x"},
		"bad, then good":      {name + "; a=b; " + name + good},
		"without a value":     {session.CookieName},
		"between many others": {strings.Repeat("a=b; ", 1000) + name + "x"},
	}
	for what, lines := range cases {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header["Cookie"] = lines
		wantBody(t, send(w.m, whoami, r), http.StatusOK, "nobody")
		wantCleared(t, send(w.m, w.m.Require(http.HandlerFunc(whoami)).ServeHTTP, r))
		if n := w.store.count("Lookup"); n != 0 {
			t.Fatalf("%s: the store was asked", what)
		}
	}
	for what, line := range map[string]string{
		"alone": name + good, "among others": "a=b;" + name + good + " ; c", "other names": "session=x; X" + name + "y; " + name + good,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Cookie", line)
		if res := send(w.m, w.m.Require(http.HandlerFunc(whoami)).ServeHTTP, r); res.StatusCode != http.StatusOK {
			t.Errorf("%s: the session was not found", what)
		}
	}
}

// next changes a character of base64 by its lowest bit.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// TestRandomTokens shows that guesses open nothing.
func TestRandomTokens(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	w.login(t)
	for range 1000 {
		_, text, _ := session.Token()
		w.wantNobody(t, &http.Cookie{Name: session.CookieName, Value: text})
	}
}

// FuzzCookie looks for a header that holds a token in another spelling than the
// one in which it was given out.
func FuzzCookie(f *testing.F) {
	_, text, _ := session.Token()
	for _, seed := range []string{
		"", session.CookieName, session.CookieName + "=" + text, "a=b; " + session.CookieName + "=" + text + ";",
		session.CookieName + "=" + text + "; " + session.CookieName + "=" + text, ";;=;", session.CookieName + `="` + text + `"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h, ok := session.Carried(http.Header{"Cookie": {line}})
		if !ok {
			return
		}
		if strings.Count(line, session.CookieName+"=") < 1 {
			t.Fatalf("a token without its cookie: %q", line)
		}
		_, rest, _ := strings.Cut(line, session.CookieName)
		for found := false; !found; {
			i := strings.Index(rest, "=")
			if i < 0 {
				t.Fatalf("no value in %q", line)
			}
			rest = rest[i+1:]
			value, _, _ := strings.Cut(rest, ";")
			other, ok := session.Carried(http.Header{"Cookie": {session.CookieName + "=" + strings.TrimSpace(value)}})
			found = ok && other == h
		}
	})
}

// TestDown shows that without store nobody is served in a session's name.
func TestDown(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		served := false
		serve := func(http.ResponseWriter, *http.Request) { served = true }
		w.store.set("Lookup", errDown)
		for range 2 {
			res := ask(t, w.m, serve, c)
			wantBody(t, res, http.StatusServiceUnavailable, "temporarily unavailable\n")
			if res.Header.Get("Retry-After") == "" || len(res.Cookies()) != 0 || served {
				t.Errorf("header %v, served: %v", res.Header, served)
			}
		}
		if strings.Count(w.logged.String(), "no service") != 1 || !strings.Contains(w.logged.String(), errDown.Error()) {
			t.Errorf("the operator is to read it once: %s", w.logged)
		}
		ask(t, w.m, serve) // without a cookie
		if !served {
			t.Error("a request without a session was refused")
		}
		w.store.set("Lookup", nil)
		w.wantUser(t, c)
		if !strings.Contains(w.logged.String(), "service again") {
			t.Error("the end of the outage was not logged")
		}
	})
}

// TestDatabaseClosed is TestDown with a database that is really gone.
func TestDatabaseClosed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worlds[name](t, nil)
			c := w.login(t)
			must(t, w.db.Close())
			wantBody(t, ask(t, w.m, whoami, c), http.StatusServiceUnavailable, "temporarily unavailable\n")
		})
	}
}

// stranger is a store that answers each token with the same session.
type stranger struct {
	session.Store

	row session.Row
}

func (s stranger) Lookup(context.Context, session.Hash) (session.Row, error) { return s.row, nil }

// TestStoreAnswersAnother shows that a session is taken for no other than the one
// that was asked for, nor one of nobody.
func TestStoreAnswersAnother(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	c := w.login(t)
	sound := w.row(t, c)
	for what, change := range map[string]func(*session.Row){
		"another token": func(r *session.Row) { r.Hash[31] ^= 1 },
		"no tenant":     func(r *session.Row) { r.Tenant = tenancy.ID{} },
		"no user":       func(r *session.Row) { r.User = uuid.Nil },
		"no id":         func(r *session.Row) { r.ID = uuid.Nil },
	} {
		row := sound
		change(&row)
		m, err := session.New(stranger{memstore.New(), row}, w.log, nil)
		must(t, err)
		res := ask(t, m, func(_ http.ResponseWriter, r *http.Request) {
			if _, ok := session.From(r.Context()); ok {
				t.Errorf("%s: a session", what)
			}
		}, c)
		if down := res.StatusCode == http.StatusServiceUnavailable; down != (what == "another token") {
			t.Errorf("%s: status %d", what, res.StatusCode)
		}
	}
}

// TestCrossOrigin shows what other sites can send in a visitor's name.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, &session.Options{TrustedOrigins: []string{"https://admin.example.com"}})
	c := w.login(t)
	cases := map[string]struct {
		method, site, origin string
		status               int
	}{
		"own form":                {http.MethodPost, "same-origin", "https://example.com", http.StatusOK},
		"other site's form":       {http.MethodPost, "cross-site", "https://evil.example", http.StatusForbidden},
		"sibling's form":          {http.MethodPost, "same-site", "https://blog.example.com", http.StatusForbidden},
		"trusted form":            {http.MethodPost, "same-site", "https://admin.example.com", http.StatusOK},
		"old browser, other site": {http.MethodPost, "", "https://evil.example", http.StatusForbidden},
		"no browser":              {http.MethodPost, "", "", http.StatusOK},
		"other site's DELETE":     {http.MethodDelete, "cross-site", "", http.StatusForbidden},
		"link from elsewhere":     {http.MethodGet, "cross-site", "", http.StatusOK},
	}
	for name, c2 := range cases {
		r := httptest.NewRequestWithContext(t.Context(), c2.method, "https://example.com/", nil)
		r.AddCookie(c)
		r.Header.Set("Sec-Fetch-Site", c2.site)
		r.Header.Set("Origin", c2.origin)
		if c2.origin == "" {
			r.Header.Del("Origin")
		}
		served := false
		res := send(w.m, func(http.ResponseWriter, *http.Request) { served = true }, r)
		if res.StatusCode != c2.status || served != (c2.status == http.StatusOK) {
			t.Errorf("%s: status %d, served: %v", name, res.StatusCode, served)
		}
	}
}

// TestTelemetry shows what is counted: words of the code. Not parallel, for the
// meter belongs to the process.
func TestTelemetry(t *testing.T) {
	reader := sdk.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	defer otel.SetMeterProvider(before)
	w := inMemory(t, nil)
	c := w.login(t)
	ask(t, w.m, whoami)
	ask(t, w.m, whoami, &http.Cookie{Name: session.CookieName, Value: "x"})
	w.wantUser(t, c)
	w.wantUser(t, c)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.store.set("Lookup", errDown)
	ask(t, w.m, whoami, c)
	r := httptest.NewRequestWithContext(gone, http.MethodGet, "/", nil)
	r.AddCookie(c)
	send(w.m, whoami, r)
	w.store.set("Lookup", nil)
	_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "why")
	must(t, err)
	w.wantNobody(t, c)

	var data metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &data))
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "art32.session.requests" {
				t.Fatalf("metric %s %T", m.Name, m.Data)
			}
			for _, p := range sum.DataPoints {
				v, _ := p.Attributes.Value("result")
				got[v.AsString()] += p.Value
				if p.Attributes.Len() != 1 {
					t.Errorf("attributes: %v", p.Attributes.ToSlice())
				}
			}
		}
	}
	want := map[string]int64{"none": 1, "unknown": 1, "valid": 2, "store_error": 1, "left": 1, "revoked": 2}
	for word, n := range want {
		if got[word] != n {
			t.Errorf("%s: %d, want %d", word, got[word], n)
		}
	}
}

// TestNoSecretLeaves sends a token through everything that writes text, and looks
// for it, its hash and their spellings.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		row := w.row(t, c)
		texts := []string{}
		note := func(err error) {
			if err != nil {
				texts = append(texts, err.Error())
			}
		}
		note(w.store.Insert(t.Context(), row)) // exists
		other := row
		other.ID = uuid.New()
		note(w.store.Insert(t.Context(), other))
		note(w.store.Rotate(t.Context(), session.Hash{}, row))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.AddCookie(c)
		for _, fail := range []string{"Lookup", "Insert", "Revoke", "record"} {
			w.store.set(fail, errDown)
			if fail == "record" {
				w.log.fail(errDown)
			}
			_, err := w.m.Login(httptest.NewRecorder(), r, w.id)
			note(err)
			note(w.m.Logout(httptest.NewRecorder(), r))
			ask(t, w.m, whoami, c)
			w.store.set(fail, nil)
			w.log.fail(nil)
		}
		_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "left the company")
		must(t, err)
		if w.db != nil {
			must(t, w.db.Close())
			note(errors.Join(w.store.Rotate(t.Context(), row.Hash, row), w.m.Logout(httptest.NewRecorder(), r)))
			ask(t, w.m, whoami, c)
		}
		if len(texts) < 6 || len(w.log.texts()) < 2 || w.logged.String() == "" {
			t.Fatalf("too little to look at: %d errors, %d events, log %q", len(texts), len(w.log.texts()), w.logged)
		}
		all := strings.Join(append(append(texts, w.log.texts()...), w.logged.String()), "\n")
		for _, canary := range spellings(c.Value, row.Hash) {
			if strings.Contains(all, canary) {
				t.Errorf("%q stands in:\n%s", canary, all)
			}
		}
	})
}
