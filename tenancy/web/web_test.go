package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/web"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var errDown = errors.New("the table of hosts cannot be read")

// hosts finds tenants by their names.
type hosts struct {
	a, b  tenancy.ID
	asked []string
}

func (h *hosts) find(_ context.Context, host string) (tenancy.ID, error) {
	h.asked = append(h.asked, host)
	switch host {
	case "a.example.org":
		return h.a, nil
	case "b.example.org":
		return h.b, nil
	case "closed.example.org":
		return tenancy.ID{}, tenancy.ErrUnknownTenant
	case "zero.example.org":
		return tenancy.ID{}, nil
	case "down.example.org":
		return h.a, errDown
	}
	return tenancy.ID{}, tenancy.ErrNotFound
}

// TestGate asks for hosts, with and without a tenant in the context.
func TestGate(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	h := &hosts{a: tenancy.NewID(), b: tenancy.NewID()}
	var log strings.Builder
	gate, err := web.New(web.Host(h.find), &web.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	var got []tenancy.ID
	handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, err := tenancy.TenantFrom(r.Context())
		must(t, err)
		got = append(got, id)
	}))
	for _, c := range []struct {
		host string
		have tenancy.ID // in the context
		code int
		want tenancy.ID
	}{
		{"a.example.org", tenancy.ID{}, 200, h.a},
		{"A.Example.ORG:8443", tenancy.ID{}, 200, h.a},
		{"b.example.org.", tenancy.ID{}, 200, h.b},
		{"a.example.org", h.a, 200, h.a},
		{"a.example.org", h.b, 404, tenancy.ID{}},
		{"closed.example.org", tenancy.ID{}, 404, tenancy.ID{}},
		{"closed.example.org", h.a, 404, tenancy.ID{}},
		{"zero.example.org", h.a, 404, tenancy.ID{}},
		{"zero.example.org", tenancy.ID{}, 404, tenancy.ID{}},
		{"other.example.org", tenancy.ID{}, 404, tenancy.ID{}},
		{"", tenancy.ID{}, 404, tenancy.ID{}},
		{"down.example.org", tenancy.ID{}, 503, tenancy.ID{}},
		{"down.example.org", h.a, 503, tenancy.ID{}},
	} {
		got = nil
		r := httptest.NewRequestWithContext(tenancy.WithTenant(t.Context(), c.have), http.MethodGet, "/", nil)
		r.Host = c.host
		r.Header.Set("X-Forwarded-Host", "b.example.org")
		r.Header.Set("Forwarded", "host=b.example.org")
		r.Header.Set("Baggage", "tenant="+h.b.String())
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		if out.Code != c.code || len(got) > 1 || (c.code == 200) != (len(got) == 1) || len(got) == 1 && got[0] != c.want {
			t.Errorf("%s in a context of %v: %d, %v", c.host, c.have, out.Code, got)
		}
		if c.code == 404 && (out.Body.String() != "Not Found\n" || out.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %q, %v", c.host, out.Body, out.Header())
		}
		if strings.Contains(out.Body.String(), "table of hosts") {
			t.Errorf("%s tells why: %s", c.host, out.Body)
		}
	}
	if n := strings.Count(log.String(), errDown.Error()); n != 2 {
		t.Errorf("%d lines in the log: %s", n, log.String())
	}
}

// What is no name reaches no lookup.
func TestHost(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	h := &hosts{}
	lookup := web.Host(h.find)
	for _, host := range []string{
		"", ".", "..", "a..example.org", "a.example.org..", "-a.example.org", "a_b.example.org", "a.example.org/b", "a b", "ä.example.org", "[::1]:80", "::1",
		"a.example.org\x00", "a.example.org\n", "' OR 1=1", "a.example.org:80:80", "*.example.org", strings.Repeat("a", 254),
	} {
		if _, err := lookup(&http.Request{Host: host}); !errors.Is(err, tenancy.ErrNotFound) || len(h.asked) > 0 {
			t.Errorf("%q: %v, asked for %q", host, err, h.asked)
		}
	}
	_, _ = lookup(&http.Request{Host: "XN--Mnchen-3ya.example.org:443"})
	if len(h.asked) != 1 || h.asked[0] != "xn--mnchen-3ya.example.org" {
		t.Errorf("asked for %q", h.asked)
	}
	for _, none := range []web.Lookup{nil, web.Host(nil)} {
		if _, err := web.New(none, nil); err == nil {
			t.Error("no lookup")
		}
	}
}

// A session of one tenant opens nothing below the path of another.
func TestWithSession(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	t.Parallel()
	h := &hosts{a: tenancy.NewID(), b: tenancy.NewID()}
	gate, err := web.New(func(r *http.Request) (tenancy.ID, error) {
		return h.find(r.Context(), r.PathValue("tenant")+".example.org")
	}, nil)
	must(t, err)
	m, err := session.New(memstore.New(), &audittest.Recorder{}, nil)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- m.Run(ctx) }()
	defer func() { stop(); <-ran }()
	mux := http.NewServeMux()
	mux.Handle("POST /{tenant}/login", gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := tenancy.TenantFrom(r.Context())
		if err == nil {
			_, err = m.Login(w, r, session.Identity{Tenant: id, User: uuid.New()})
		}
		if err != nil {
			t.Error(err)
		}
	})))
	mux.Handle("GET /{tenant}/app", gate.Handler(m.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := tenancy.TenantFrom(r.Context())
		must(t, err)
		_, _ = w.Write([]byte(id.String()))
	}))))
	server := httptest.NewTLSServer(m.Middleware(mux))
	defer server.Close()
	browser := server.Client()
	browser.Jar, err = cookiejar.New(nil)
	must(t, err)
	for _, step := range []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, "/a/app", 401}, {http.MethodGet, "/none/app", 404}, {http.MethodPost, "/a/login", 200},
		{http.MethodGet, "/a/app", 200}, {http.MethodGet, "/b/app", 404}, {http.MethodPost, "/b/login", 404},
	} {
		r, err := http.NewRequestWithContext(t.Context(), step.method, server.URL+step.path, nil)
		must(t, err)
		res, err := browser.Do(r)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != step.code {
			t.Errorf("%s %s: %d", step.method, step.path, res.StatusCode)
		}
	}
}
