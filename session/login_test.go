package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

func TestContext(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-5.2")
		c := w.login(t)
		type key struct{}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "outer"), http.MethodGet, "/?tenant="+tenancy.NewID().String(), nil)
		r.AddCookie(c)
		r.Header.Set("X-Tenant", tenancy.NewID().String())
		called := false
		res := send(w.m, func(_ http.ResponseWriter, r *http.Request) {
			called = true
			ctx, cancel := context.WithCancel(r.Context()) // contexts derived from it say the same
			defer cancel()
			s, ok := session.From(ctx)
			tenant, _ := tenancy.TenantFrom(ctx)
			actor, _ := tenancy.ActorFrom(ctx)
			if !ok || s.Tenant != w.id.Tenant || s.User != w.id.User || tenant != w.id.Tenant ||
				actor != tenancy.Person(w.id.User) || tenancy.SessionFrom(ctx) != s.ID.String() || ctx.Value(key{}) != "outer" {
				t.Errorf("session %v, tenant %v, actor %v", s, tenant, actor)
			}
			row := w.row(t, c)
			if s.ID != row.ID || !s.Created.Equal(row.Created) || s.LastSeen.Before(row.LastSeen) || !s.Authenticated.Equal(row.Authenticated) {
				t.Errorf("session %v, stored %v", s, row.Session)
			}
		}, r)
		if !called || len(res.Header["Set-Cookie"]) != 0 {
			t.Errorf("called: %v, Set-Cookie: %v", called, res.Header["Set-Cookie"])
		}
	})
}

func TestWithoutSession(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
		if _, err := tenancy.TenantFrom(r.Context()); err == nil {
			t.Error("a tenant without a session")
		}
		if _, err := tenancy.ActorFrom(r.Context()); err == nil {
			t.Error("an actor without a session")
		}
		whoami(rw, r)
	}, &http.Cookie{Name: "other", Value: "x"})
	wantBody(t, res, http.StatusOK, "nobody")
	if len(res.Cookies()) != 0 {
		t.Error("a cookie was set")
	}
	if _, ok := session.From(t.Context()); ok {
		t.Error("a session without a manager")
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, nil)
	app := w.m.Require(http.HandlerFunc(whoami))
	res := ask(t, w.m, app.ServeHTTP)
	wantBody(t, res, http.StatusUnauthorized, "login required\n")
	if res.Header.Get("WWW-Authenticate") == "" {
		t.Error("401 without WWW-Authenticate (RFC 9110)")
	}
	wantBody(t, ask(t, w.m, app.ServeHTTP, w.login(t)), http.StatusOK, w.id.User.String())

	bare := httptest.NewRecorder() // without Middleware
	app.ServeHTTP(bare, sessiontest.Request(t, w.m, w.id, http.MethodGet, "/", nil))
	wantBody(t, bare.Result(), http.StatusUnauthorized, "login required\n")
}

// TestMiddlewareTwice shows that a second Middleware changes nothing.
func TestMiddlewareTwice(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	c := w.login(t)
	wantBody(t, ask(t, w.m, w.m.Middleware(http.HandlerFunc(whoami)).ServeHTTP, c), http.StatusOK, w.id.User.String())
	if n := w.store.count("Lookup"); n != 1 {
		t.Errorf("%d lookups", n)
	}
}

func TestLoginMakesAnew(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-5.2")
		old := w.login(t)
		oldID := w.row(t, old).ID
		somebody := session.Identity{Tenant: w.id.Tenant, User: uuid.New()}
		var s session.Session
		res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
			var err error
			s, err = w.m.Login(rw, r, somebody)
			must(t, err)
			if r.Context().Err() != nil {
				t.Error("the request that logs in was ended")
			}
		}, old)
		fresh := res.Cookies()[0]
		if len(res.Cookies()) != 1 || fresh.Value == old.Value || s.ID == oldID || s.User != somebody.User {
			t.Errorf("the login did not make all anew: %v", res.Header["Set-Cookie"])
		}
		w.wantNobody(t, old)
		if row := w.row(t, old); row.Reason != session.ReasonReplaced {
			t.Errorf("reason of the old session: %q", row.Reason)
		}
		w.id = somebody
		w.wantUser(t, fresh)
		if diff := cmp.Diff([]string{"session.open", "session.open", "session.close"}, w.log.actions()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if text := w.log.texts()[2]; !strings.Contains(text, oldID.String()+" [reason=replaced]") {
			t.Errorf("event of the old session: %s", text)
		}
	})
}

// TestLoginReplacesClearing shows that a stale cookie, which the middleware has
// cleared already, does not leave two cookies in one response.
func TestLoginReplacesClearing(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
		http.SetCookie(rw, &http.Cookie{Name: "lang", Value: "de"})
		_, err := w.m.Login(rw, r, w.id)
		must(t, err)
	}, &http.Cookie{Name: session.CookieName, Value: "stale"})
	if cs := res.Cookies(); len(cs) != 2 || cs[0].Name != "lang" || cs[1].Name != session.CookieName || cs[1].Value == "" {
		t.Errorf("cookies: %v", res.Header["Set-Cookie"])
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	for mode, want := range map[http.SameSite]http.SameSite{0: http.SameSiteLaxMode, http.SameSiteStrictMode: http.SameSiteStrictMode} {
		w := inMemory(t, &session.Options{SameSite: mode})
		c := w.login(t)
		if c.Name != "__Host-session" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != want ||
			c.RawExpires != "" || c.MaxAge != 0 || len(c.Value) != 43 || len(c.Raw) > 120 {
			t.Errorf("cookie: %s", c.Raw)
		}
		res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
			_, err := w.m.Login(rw, r, w.id)
			must(t, err)
		})
		if res.Header.Get("Cache-Control") != "no-store" {
			t.Error("a response with a token may be kept in a cache")
		}
	}
	for _, mode := range []http.SameSite{http.SameSiteDefaultMode, http.SameSiteNoneMode, 99} {
		if _, err := session.New(memstore.New(), &events{}, &session.Options{SameSite: mode}); err == nil {
			t.Errorf("mode %d was taken", mode)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	var none *memstore.Store
	cases := map[string]func() (*session.Manager, error){
		"no store":    func() (*session.Manager, error) { return session.New(nil, &events{}, nil) },
		"nil store":   func() (*session.Manager, error) { return session.New(none, &events{}, nil) },
		"no recorder": func() (*session.Manager, error) { return session.New(memstore.New(), nil, nil) },
		"origin, no host": func() (*session.Manager, error) {
			return session.New(memstore.New(), &events{}, &session.Options{TrustedOrigins: []string{"admin"}})
		},
		"negative poll": func() (*session.Manager, error) {
			return session.New(memstore.New(), &events{}, &session.Options{Poll: -1})
		},
	}
	for name, build := range cases {
		if m, err := build(); err == nil || !strings.HasPrefix(err.Error(), "session: new: ") {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		down := errors.New("log is full")
		cases := map[string]struct {
			id   session.Identity
			log  error
			ins  error
			look error
			want error
		}{
			"no tenant":      {id: session.Identity{User: uuid.New()}, want: session.ErrIdentity},
			"no user":        {id: session.Identity{Tenant: w.id.Tenant}, want: session.ErrIdentity},
			"no event":       {id: w.id, log: down, want: down},
			"no store":       {id: w.id, ins: errDown, want: errDown},
			"no old session": {id: w.id, look: errDown, want: errDown},
		}
		old := w.login(t)
		for name, c := range cases {
			w.log.fail(c.log)
			w.store.set("Insert", c.ins)
			w.store.set("Lookup", c.look)
			rw := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
			if name != "no store" {
				r.AddCookie(old)
			}
			s, err := w.m.Login(rw, r, c.id)
			if !errors.Is(err, c.want) || s != (session.Session{}) || len(rw.Header()) != 0 {
				t.Errorf("%s: %v, error %v, header %v", name, s, err, rw.Header())
			}
			w.log.fail(nil)
			w.store.set("Insert", nil)
			w.store.set("Lookup", nil)
			live, err := w.store.List(t.Context(), session.OfUser(w.id.Tenant, w.id.User))
			must(t, err)
			if len(live) != 1 {
				t.Errorf("%s: %d live sessions, want the old one", name, len(live))
			}
		}
	})
}

// TestUnknownTenant shows that nobody gets a session at a tenant that is none.
func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worlds[name](t, nil)
			id := session.Identity{Tenant: tenancy.NewID(), User: uuid.New()}
			_, err := w.m.Login(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), id)
			wantErr(t, err, tenancy.ErrUnknownTenant)
			if n := w.store.count("Insert"); n != 0 {
				t.Error("a session was stored")
			}
		})
	}
}

// TestInsideTransaction shows that an event which could be rolled back does not
// count as recorded.
func TestInsideTransaction(t *testing.T) {
	t.Parallel()
	w := onSQLite(t, nil)
	c := w.login(t)
	ctx := tenancy.WithTenant(tenancy.WithActor(t.Context(), tenancy.MustService("test")), w.id.Tenant)
	err := w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
		_, err := w.m.Revoke(ctx, session.OfUser(w.id.Tenant, w.id.User), "left the company")
		wantErr(t, err, tenancy.ErrTxInUse)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
		_, err = w.m.Login(httptest.NewRecorder(), r, w.id)
		wantErr(t, err, tenancy.ErrTxInUse)
		return errors.New("roll back")
	})
	if err == nil {
		t.Fatal("no rollback")
	}
	w.wantUser(t, c)
}

func TestLogout(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-5.2")
		c, other := w.login(t), w.login(t)
		res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
			must(t, w.m.Logout(rw, r))
			if r.Context().Err() != nil {
				t.Error("the request that logs out was ended")
			}
			fmt.Fprint(rw, "bye")
		}, c)
		wantCleared(t, res)
		wantBody(t, res, http.StatusOK, "bye")
		w.wantNobody(t, c)
		w.wantUser(t, other)
		if row := w.row(t, c); row.Reason != session.ReasonLogout {
			t.Errorf("reason %q", row.Reason)
		}
		if diff := cmp.Diff([]string{"session.open", "session.open", "session.close"}, w.log.actions()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		again := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) { must(t, w.m.Logout(rw, r)) }, c)
		wantCleared(t, again)
		never := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) { must(t, w.m.Logout(rw, r)) })
		if len(never.Cookies()) != 0 || len(w.log.actions()) != 3 {
			t.Error("a logout of nobody left a trace")
		}
	})
}

func TestLogoutRefuses(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		try := func(what string) {
			rw := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/logout", nil)
			r.AddCookie(c)
			if err := w.m.Logout(rw, r); !errors.Is(err, errDown) || len(rw.Header()) != 0 {
				t.Errorf("%s: error %v, header %v", what, err, rw.Header())
			}
		}
		w.log.fail(errDown)
		try("no log")
		w.log.fail(nil)
		for _, method := range []string{"Lookup", "Revoke"} {
			w.store.set(method, errDown)
			try(method)
			w.store.set(method, nil)
		}
		w.wantUser(t, c)
	})
}

// TestLogoutOfOneWhoLeaves shows that a client which hangs up once the event is
// written does not keep its session.
func TestLogoutOfOneWhoLeaves(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		ctx, hangUp := context.WithCancel(t.Context())
		w.store.hook(&w.store.before, "Revoke", hangUp)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/logout", nil)
		r.AddCookie(c)
		must(t, w.m.Logout(httptest.NewRecorder(), r))
		w.wantNobody(t, c)
	})
}

// TestTwoLoginsAtOnce shows that both get a session of their own, and that the one
// they carried ends once.
func TestTwoLoginsAtOnce(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, w *world) {
		old := w.login(t)
		cookies := make([]*http.Cookie, 8)
		var wg sync.WaitGroup
		for i := range cookies {
			wg.Go(func() {
				res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
					if _, err := w.m.Login(rw, r, w.id); err != nil {
						t.Error(err)
					}
				}, old)
				for _, c := range res.Cookies() {
					if c.MaxAge == 0 {
						cookies[i] = c
					}
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{old.Value: true}
		for _, c := range cookies {
			if c == nil || seen[c.Value] {
				t.Fatal("a login without a token of its own")
			}
			seen[c.Value] = true
			w.wantUser(t, c)
		}
		w.wantNobody(t, old)
	})
}
