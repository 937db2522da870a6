package sessiontest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

// TestInvoices is what a test of a handler looks like.
func TestInvoices(t *testing.T) {
	t.Parallel()
	invoices := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, _ := tenancy.TenantFrom(r.Context())
		actor, _ := tenancy.ActorFrom(r.Context())
		fmt.Fprint(w, tenant, actor, r.Method, r.URL.Path)
	})
	m := sessiontest.NewManager(t, nil)
	id := session.Identity{Tenant: tenancy.NewID(), User: uuid.New()}
	r := sessiontest.Request(t, m, id, http.MethodPost, "/invoices", strings.NewReader("x"))
	w := httptest.NewRecorder()
	m.Middleware(m.Require(invoices)).ServeHTTP(w, r)
	if want := fmt.Sprint(id.Tenant, tenancy.Person(id.User), "POST", "/invoices"); w.Body.String() != want {
		t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
	}
	if c := sessiontest.Login(t, m, id); c.Name != session.CookieName || c.Value == "" || !c.Secure {
		t.Errorf("cookie: %v", c)
	}
}

// TestEachIsANewSession shows that requests made for one person are apart.
func TestEachIsANewSession(t *testing.T) {
	t.Parallel()
	m := sessiontest.NewManager(t, &session.Options{SameSite: http.SameSiteStrictMode})
	id := session.Identity{Tenant: tenancy.NewID(), User: uuid.New()}
	if a, b := sessiontest.Login(t, m, id), sessiontest.Login(t, m, id); a.Value == b.Value || a.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookies: %v, %v", a, b)
	}
}
