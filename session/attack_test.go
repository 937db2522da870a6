package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

// TestSiblingsCookie shows that a cookie whose name only looks like ours, which
// any host of the domain may set, neither gives a session nor takes one.
func TestSiblingsCookie(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, nil)
	mine, theirs := w.login(t), sessiontest.Login(t, w.m, session.Identity{Tenant: w.id.Tenant, User: uuid.New()})
	for _, blank := range []string{"\u2000", "\u00a0", "\u0085", "\u3000", "\u2028", "\v", "\f", "\ufeff"} {
		for line, want := range map[string]string{
			blank + session.CookieName + "=" + theirs.Value:                                                       "nobody",
			session.CookieName + blank + "=" + theirs.Value:                                                       "nobody",
			session.CookieName + "=" + blank + theirs.Value:                                                       "nobody",
			session.CookieName + "=" + mine.Value + "; " + blank + session.CookieName + "=" + theirs.Value:        w.id.User.String(),
			blank + session.CookieName + "=" + theirs.Value + ";\t" + session.CookieName + "=" + mine.Value + " ": w.id.User.String(),
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
			r.Header.Set("Cookie", line)
			wantBody(t, send(w.m, whoami, r), http.StatusOK, want)
		}
	}
}

// TestOthersEnd shows that a request is served however many other sessions end
// while it is judged: it reads once, or twice where too many ended to tell.
func TestOthersEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ at, want int }{"one at each reading": {1, 1}, "many at each reading": {300, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-2.3")
			w := inMemory(t, nil)
			others := make([]tenancy.ID, 4)
			for i := range others {
				others[i] = tenancy.NewID()
				for range c.at {
					sessiontest.Login(t, w.m, session.Identity{Tenant: others[i], User: uuid.New()})
				}
			}
			cookie := w.login(t)
			w.store.hook(&w.store.after, "Lookup", func() {
				if len(others) > 0 {
					_, err := w.m.Revoke(support(t.Context()), session.OfTenant(others[0]), "why")
					must(t, err)
					others = others[1:]
				}
			})
			w.wantUser(t, cookie)
			if n := w.store.count("Lookup"); n != c.want {
				t.Errorf("%d lookups, want %d", n, c.want)
			}
		})
	}
}

// TestEndsAmongMany shows that a request which cannot tell whether its session
// ended, for so many did, is not served if it was among them.
func TestEndsAmongMany(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, nil)
	c := w.login(t)
	for range 300 {
		w.login(t)
	}
	var once atomic.Bool
	w.store.hook(&w.store.after, "Lookup", func() {
		if once.CompareAndSwap(false, true) {
			_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "why")
			must(t, err)
		}
	})
	w.wantNobody(t, c)
	if n := w.m.InUse(); n != 0 {
		t.Errorf("%d sessions are remembered", n)
	}
}

// TestSlowPurge shows that revocations are heard of while a purge is under way.
func TestSlowPurge(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.store.hook(&w.store.before, "Purge", func() { time.Sleep(time.Minute) })
		revokeElsewhere(t, w, 5*time.Second)
	})
}

// lossy is a store that revokes and then loses the answer.
type lossy struct {
	session.Store

	lose atomic.Bool
}

func (s *lossy) Revoke(ctx context.Context, sel session.Selector, at time.Time, why session.Reason) ([]uuid.UUID, error) {
	ids, err := s.Store.Revoke(ctx, sel, at, why)
	if s.lose.Load() {
		return nil, errDown
	}
	return ids, err
}

// TestAnswerIsLost shows that requests end with their session although nobody was
// told that it ended, or only another node was.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	revoke := func(t *testing.T, m *session.Manager, sel session.Selector) error {
		t.Helper()
		_, err := m.Revoke(support(t.Context()), sel, "why")
		return err
	}
	leave := func(m *session.Manager, c *http.Cookie) error {
		r := httptest.NewRequest(http.MethodPost, "https://example.com/logout", nil)
		r.AddCookie(c)
		return m.Logout(httptest.NewRecorder(), r)
	}
	for name, act := range map[string]func(t *testing.T, w *world, lose *lossy, c *http.Cookie){
		"logout": func(t *testing.T, w *world, lose *lossy, c *http.Cookie) {
			lose.lose.Store(true)
			wantErr(t, leave(w.m, c), errDown)
		},
		"revocation": func(t *testing.T, w *world, lose *lossy, _ *http.Cookie) {
			lose.lose.Store(true)
			wantErr(t, revoke(t, w.m, session.OfUser(w.id.Tenant, w.id.User)), errDown)
		},
		"logout of one that is over": func(t *testing.T, w *world, _ *lossy, c *http.Cookie) {
			must(t, revoke(t, w.manager(t, nil), session.OfTenant(w.id.Tenant)))
			must(t, leave(w.m, c))
		},
		"revocation of one that is over": func(t *testing.T, w *world, _ *lossy, _ *http.Cookie) {
			must(t, revoke(t, w.manager(t, nil), session.OfTenant(w.id.Tenant)))
			must(t, revoke(t, w.m, session.OfTenant(w.id.Tenant)))
		},
		"by id, of one that is over": func(t *testing.T, w *world, _ *lossy, c *http.Cookie) {
			must(t, revoke(t, w.manager(t, nil), session.OfTenant(w.id.Tenant)))
			must(t, revoke(t, w.m, session.OfID(w.row(t, c).ID)))
		},
		"request in one that is over": func(t *testing.T, w *world, _ *lossy, c *http.Cookie) {
			must(t, revoke(t, w.manager(t, nil), session.OfTenant(w.id.Tenant)))
			w.wantNobody(t, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-2.3")
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t, nil)
				lose := &lossy{Store: w.store.Store}
				w.store.Store = lose
				c := w.login(t)
				started, ended := stream(t, w.m, c)
				<-started
				begin := time.Now()
				act(t, w, lose, c)
				err := <-ended
				if d := time.Since(begin); err != session.ErrRevoked || d != 0 { //nolint:errorlint // the cause itself
					t.Errorf("the request ended after %v: %v", d, err)
				}
			})
		})
	}
}

// TestLostBetween is TestRevokeBetween where the answer is lost.
func TestLostBetween(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	lose := &lossy{Store: w.store.Store}
	w.store.Store = lose
	c := w.login(t)
	lose.lose.Store(true)
	var once atomic.Bool
	w.store.hook(&w.store.after, "Lookup", func() {
		if once.CompareAndSwap(false, true) {
			_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "why")
			wantErr(t, err, errDown)
		}
	})
	w.wantNobody(t, c)
}

// TestNestedManagers shows that what another manager has admitted is judged by the
// inner one's store and limits.
func TestNestedManagers(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		strict := w.manager(t, &session.Options{Policy: session.Policy{Idle: time.Minute}})
		inner := func(h http.HandlerFunc) http.HandlerFunc { return strict.Middleware(h).ServeHTTP }
		names := inner(func(rw http.ResponseWriter, r *http.Request) {
			_, noTenant := tenancy.TenantFrom(r.Context())
			_, noActor := tenancy.ActorFrom(r.Context())
			whoami(rw, r)
			fmt.Fprint(rw, noTenant == nil, noActor == nil, tenancy.SessionFrom(r.Context()) != "")
		})
		wantBody(t, ask(t, w.m, names, c), http.StatusOK, w.id.User.String()+"true true true")
		wantBody(t, ask(t, w.m, strict.Require(http.HandlerFunc(whoami)).ServeHTTP, c), http.StatusUnauthorized, "login required\n")
		time.Sleep(time.Minute)
		started, ended := stream(t, w.m, c)
		<-started
		wantBody(t, ask(t, w.m, names, c), http.StatusOK, "nobodyfalse false false")
		wantErr(t, <-ended, session.ErrRevoked) // the two share a store
	})
}

// TestNestedRequire is the same for Require, with stores of their own.
func TestNestedRequire(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	w := inMemory(t, nil)
	c := w.login(t)
	other := sessiontest.NewManager(t, nil)
	for name, h := range map[string]http.Handler{
		"the inner one's": other.Middleware(other.Require(http.HandlerFunc(whoami))),
		"the outer one's": other.Middleware(w.m.Require(http.HandlerFunc(whoami))),
	} {
		if res := ask(t, w.m, h.ServeHTTP, c); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s Require let it through: %d", name, res.StatusCode)
		}
	}
}

// TestExpiryWithoutLog shows that a log which takes no event keeps nobody from the
// public pages and from logging in, revives nothing, and is told once.
func TestExpiryWithoutLog(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"record", "List", "Revoke"} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, w *world) {
				c := w.login(t)
				time.Sleep(30 * time.Minute)
				set := func(err error) {
					if broken == "record" {
						w.log.fail(err)
					} else {
						w.store.set(broken, err)
					}
				}
				set(errDown)
				for range 10 {
					w.wantNobody(t, c)
				}
				if n := strings.Count(w.logged.String(), "\n"); n != 1 {
					t.Errorf("%d lines for one outage: %s", n, w.logged)
				}
				set(nil)
				w.wantNobody(t, c)
				if row := w.row(t, c); row.Reason != session.ReasonIdle {
					t.Errorf("reason %q", row.Reason)
				}
			})
		})
	}
}

// TestStreamAhead shows that a session which was seen ahead of the clock, as after
// the clock was set back, ends no later for that.
func TestStreamAhead(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		begin := time.Now()
		started, ended := stream(t, w.m, c)
		<-started
		must(t, w.store.Touch(t.Context(), []session.Touch{{ID: w.row(t, c).ID, At: begin.Add(5 * time.Hour)}}))
		wantErr(t, <-ended, session.ErrExpired)
		if d := time.Since(begin); d != 30*time.Minute {
			t.Errorf("it ended after %v", d)
		}
		if !w.row(t, c).Revoked.IsZero() {
			t.Error("the session was ended: the clock may come right again")
		}
	})
}

// TestLogoutUndoesLogin shows that a login which its own response takes back leaves
// no token that opens, also when it is replaced.
func TestLogoutUndoesLogin(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		var first []string
		res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
			for range 2 {
				_, err := w.m.Login(rw, r, w.id)
				must(t, err)
				first = append(first, (&http.Response{Header: rw.Header()}).Cookies()[0].Value)
			}
			must(t, w.m.Logout(rw, r))
		})
		wantCleared(t, res)
		for _, token := range first {
			w.wantNobody(t, &http.Cookie{Name: session.CookieName, Value: token})
		}
	})
}

// TestLogoutOfSeveral shows that a logout ends what is not believed, up to a limit.
func TestLogoutOfSeveral(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		var all []*http.Cookie
		for range 8 {
			all = append(all, w.login(t))
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/logout", nil)
		r.AddCookie(&http.Cookie{Name: session.CookieName, Value: "x"})
		for _, c := range append(all, all...) {
			r.AddCookie(c)
		}
		for range 1000 {
			_, text, _ := session.Token()
			r.AddCookie(&http.Cookie{Name: session.CookieName, Value: text})
		}
		rw := httptest.NewRecorder()
		must(t, w.m.Logout(rw, r))
		wantCleared(t, rw.Result())
		if n := w.store.count("Lookup"); n != 8 {
			t.Errorf("%d lookups", n)
		}
		for _, c := range all {
			w.wantNobody(t, c)
		}
	})
}

// TestSeenMeanwhile shows that a session which another node has seen, after this
// one had read that it was idle, is not ended.
func TestSeenMeanwhile(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		other := w.manager(t, nil)
		c := w.login(t)
		time.Sleep(30*time.Minute - time.Second)
		var once atomic.Bool
		w.store.hook(&w.store.after, "Lookup", func() {
			if once.CompareAndSwap(false, true) {
				wantBody(t, ask(t, other, whoami, c), http.StatusOK, w.id.User.String())
				time.Sleep(time.Second)
			}
		})
		w.wantUser(t, c)
		if got := w.log.actions(); len(got) != 1 {
			t.Errorf("events: %v", got)
		}
	})
}

// TestPanicInTouch shows that a store which panics once is told of later uses.
func TestPanicInTouch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t, nil)
		c := w.login(t)
		time.Sleep(10 * time.Minute)
		w.store.hook(&w.store.before, "Touch", func() { panic("driver") })
		func() {
			defer func() { _ = recover() }()
			ask(t, w.m, whoami, c)
		}()
		w.store.hook(&w.store.before, "Touch", nil)
		w.wantUser(t, c)
		if lag := time.Since(w.row(t, c).LastSeen); lag != 0 {
			t.Errorf("the store lags behind by %v", lag)
		}
	})
}

// TestNothingToCache shows that only responses that no cache keeps set a cookie:
// one that clears it would log out whoever reads the cache.
func TestNothingToCache(t *testing.T) {
	t.Parallel()
	m, err := session.New(memstore.New(), &events{}, nil)
	must(t, err)
	stale := &http.Cookie{Name: session.CookieName, Value: "x"}
	public := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=3600")
		m.Require(http.HandlerFunc(whoami)).ServeHTTP(rw, r)
	}
	wantCleared(t, ask(t, m, public, stale))
	res := ask(t, m, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=3600")
	}, stale)
	if len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("header: %v", res.Header)
	}
	res = ask(t, m, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=3600")
		must(t, m.Logout(rw, r))
	}, stale)
	wantCleared(t, res)
}
