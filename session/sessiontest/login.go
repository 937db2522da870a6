package sessiontest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
)

// NewManager makes a manager that keeps sessions in memory and whose events go
// nowhere. Nil options mean the defaults of [session.New].
func NewManager(tb testing.TB, o *session.Options) *session.Manager {
	tb.Helper()
	m, err := session.New(memstore.New(), nowhere{}, o)
	if err != nil {
		tb.Fatalf("sessiontest: %v", err)
	}
	return m
}

type nowhere struct{}

func (nowhere) Record(context.Context, string, ...slog.Attr) error { return nil }

// Login logs id in, as a handler would, and returns the cookie that a browser
// would keep. The test ends if the login is refused.
func Login(tb testing.TB, m *session.Manager, id session.Identity) *http.Cookie {
	tb.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "https://example.com/login", nil)
	if _, err := m.Login(w, r, id); err != nil {
		tb.Fatalf("sessiontest: log in: %v", err)
	}
	res := w.Result()
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == session.CookieName {
			return c
		}
	}
	tb.Fatal("sessiontest: log in: no cookie was set")
	return nil
}

// Request makes a request as [httptest.NewRequest] does, for the handler that
// [session.Manager.Middleware] gives, in a new session of id.
func Request(tb testing.TB, m *session.Manager, id session.Identity, method, target string, body io.Reader) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, body)
	r.AddCookie(Login(tb, m, id))
	return r
}
