package session_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

// discard is a response of which nothing is kept.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func nothing(http.ResponseWriter, *http.Request) {}

// oneOf gives a request in one of many sessions.
func oneOf(tb testing.TB, sessions int) (http.Handler, *http.Request) {
	tb.Helper()
	m, err := session.New(memstore.New(), &events{}, nil)
	must(tb, err)
	id := session.Identity{Tenant: tenancy.NewID(), User: uuid.New()}
	for range sessions - 1 {
		sessiontest.Login(tb, m, session.Identity{Tenant: id.Tenant, User: uuid.New()})
	}
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", nil)
	r.AddCookie(sessiontest.Login(tb, m, id))
	return m.Middleware(http.HandlerFunc(nothing)), r
}

// TestAllocations holds the middleware to four: a context that can end, how to end
// it, the session's values, the request. In a server the request's own context
// adds a fifth, to note its first child.
func TestAllocations(t *testing.T) { // not parallel: it counts
	h, r := oneOf(t, 100)
	w := discard{http.Header{}}
	h.ServeHTTP(w, r) // the first request of a session on this node remembers it
	if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n > 4 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkMiddleware(b *testing.B) {
	h, r := oneOf(b, 10_000)
	w := discard{http.Header{}}
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			w := discard{http.Header{}}
			for p.Next() {
				h.ServeHTTP(w, r)
			}
		})
	})
}
