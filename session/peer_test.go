package session_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

// The tests of this file are named after the defects that a widely used package
// of sessions has (docs/design/session.md). Number 10, times that the encoding
// must be told of, cannot arise where a session is a row of fixed columns; the
// case "round trip" of the store kit shows that times come back.

// TestPeer01LogoutIsUndone: a request in flight during a logout brings the session
// back with its touch.
func TestPeer01LogoutIsUndone(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(10 * time.Minute) // a touch is due
		arrived, goOn := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		w.store.hook(&w.store.before, "Touch", func() {
			if first.CompareAndSwap(false, true) {
				close(arrived)
				<-goOn
			}
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			ask(t, w.m, whoami, c)
		}()
		<-arrived
		ask(t, w.manager(t, nil), func(rw http.ResponseWriter, r *http.Request) { must(t, w.m.Logout(rw, r)) }, c)
		close(goOn)
		<-done
		w.wantNobody(t, c)
	})
}

// TestPeer02OldTokenLives: the same request makes the token valid again that a
// login has replaced.
func TestPeer02OldTokenLives(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(10 * time.Minute)
		started, ended := stream(t, w.m, c)
		<-started
		res := ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
			_, err := w.m.Login(rw, r, w.id)
			must(t, err)
		}, c)
		wantErr(t, <-ended, session.ErrRevoked)
		synctest.Wait()
		w.wantNobody(t, c)
		w.wantUser(t, res.Cookies()[0])
	})
}

// TestPeer03RevokeDoesNothing: with hashed tokens, ending all sessions of a user
// ends none and reports no error.
func TestPeer03RevokeDoesNothing(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		a, b := w.login(t), w.login(t)
		n, err := w.m.Revoke(support(t.Context()), session.OfUser(w.id.Tenant, w.id.User), "lost a laptop")
		if err != nil || n != 2 {
			t.Fatalf("%d, error %v", n, err)
		}
		w.wantNobody(t, a)
		w.wantNobody(t, b)
	})
}

// TestPeer04LostUpdates: of two requests at once, the later write takes back what
// the earlier one wrote. Here the only thing that requests write moves forward.
func TestPeer04LostUpdates(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		id := w.row(t, c).ID
		newest := time.Now().UTC().Add(time.Minute)
		for _, d := range []time.Duration{0, -30 * time.Second, -time.Minute} {
			must(t, w.store.Touch(t.Context(), []session.Touch{{ID: id, At: newest.Add(d)}}))
		}
		if got := w.row(t, c).LastSeen; !got.Equal(newest) {
			t.Errorf("last seen %v before the newest request", newest.Sub(got))
		}
	})
}

// TestPeer05BodyAfterError: when the session cannot be written, the client gets
// 500 with the handler's page behind it.
func TestPeer05BodyAfterError(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(10 * time.Minute)
		w.store.set("Touch", errDown)
		res := ask(t, w.m, func(rw http.ResponseWriter, _ *http.Request) {
			t.Error("the handler was called")
			fmt.Fprint(rw, "page")
		}, c)
		wantBody(t, res, http.StatusServiceUnavailable, "temporarily unavailable\n")
		w.store.set("Touch", nil)
		w.wantUser(t, c)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.log.actions(); len(got) != 1 { // no request is taken to run still
			t.Errorf("events: %v", got)
		}
	})
}

// TestPeer06StreamRunsOn: a stream of events goes on after the logout. Over TLS,
// with a browser's jar.
func TestPeer06StreamRunsOn(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	onTwo(t, nil, func(t *testing.T, w *world) {
		cause := make(chan error, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /login", func(rw http.ResponseWriter, r *http.Request) { _, _ = w.m.Login(rw, r, w.id) })
		mux.HandleFunc("POST /logout", func(rw http.ResponseWriter, r *http.Request) { _ = w.m.Logout(rw, r) })
		mux.HandleFunc("GET /stream", func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprint(rw, "data: begin\n\n")
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
			cause <- context.Cause(r.Context())
		})
		server, client := serve(t, w.m.Middleware(mux))
		post(t, client, server.URL+"/login")
		res, err := client.Get(server.URL + "/stream")
		must(t, err)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		if !lines.Scan() || lines.Text() != "data: begin" {
			t.Fatalf("stream: %q, %v", lines.Text(), lines.Err())
		}
		post(t, client, server.URL+"/logout")
		wantErr(t, <-cause, session.ErrRevoked)
		for lines.Scan() { // the server has closed it
		}
	})
}

func serve(tb testing.TB, h http.Handler) (*httptest.Server, *http.Client) {
	tb.Helper()
	server := httptest.NewTLSServer(h)
	tb.Cleanup(server.Close)
	client := server.Client()
	jar, err := cookiejar.New(nil)
	must(tb, err)
	client.Jar = jar
	return server, client
}

func post(tb testing.TB, client *http.Client, url string) *http.Response {
	tb.Helper()
	res, err := client.Post(url, "", nil)
	must(tb, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %s", url, res.Status)
	}
	return res
}

// TestPeer07FlushDropsCookie: a flush before the first byte loses the cookie.
func TestPeer07FlushDropsCookie(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	server, client := serve(t, w.m.Middleware(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = w.m.Login(rw, r, w.id)
		}
		_ = http.NewResponseController(rw).Flush()
		whoami(rw, r)
	})))
	if cs := post(t, client, server.URL).Cookies(); len(cs) != 1 {
		t.Fatalf("cookies: %v", cs)
	}
	res, err := client.Get(server.URL)
	must(t, err)
	defer res.Body.Close()
	wantBody(t, res, http.StatusOK, w.id.User.String())
	_, err = w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "why")
	must(t, err)
	after, err := client.Get(server.URL)
	must(t, err)
	defer after.Body.Close()
	wantBody(t, after, http.StatusOK, "nobody")
}

// TestPeer08OldLimits: a stricter limit does not reach the sessions that are there.
func TestPeer08OldLimits(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(20 * time.Minute)
		w.wantUser(t, c)
		time.Sleep(16 * time.Minute)
		w.m = w.manager(t, &session.Options{Policy: session.Policy{Idle: 15 * time.Minute}})
		w.wantNobody(t, c)
	})
}

// TestPeer09CookieEachTime: every response carries Set-Cookie, and so cannot be
// cached. And nothing is written.
func TestPeer09CookieEachTime(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		for range 10 {
			res := ask(t, w.m, whoami, c)
			wantBody(t, res, http.StatusOK, w.id.User.String())
			for _, name := range []string{"Set-Cookie", "Vary", "Cache-Control"} {
				if v := res.Header[name]; v != nil {
					t.Errorf("%s: %v", name, v)
				}
			}
		}
		if w.store.count("Lookup") != 10 || w.store.count("Touch")+w.store.count("Revoke")+w.store.count("List") != 0 {
			t.Errorf("calls: %v", w.store.calls)
		}
	})
}

// TestPeer11Defaults: no idle limit, no Secure, no prefix, the token in clear, a
// cookie that outlives the browser. TestCookie and TestIdle show the others.
func TestPeer11Defaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t, nil)
		c := w.login(t)
		if h := w.row(t, c).Hash; string(h[:]) == c.Value {
			t.Error("the token is stored")
		}
		time.Sleep(30*time.Minute - instant)
		w.wantUser(t, c)
		time.Sleep(30 * time.Minute)
		w.wantNobody(t, c)
	})
}

// TestPeer12OnlyByScan: who has which sessions is not known to the store. The test
// TestPlans of sqlstore looks at the plans of the statements.
func TestPeer12OnlyByScan(t *testing.T) {
	t.Parallel()
	w := inMemory(t, nil)
	for range 2000 {
		sessiontest.Login(t, w.m, session.Identity{Tenant: tenancy.NewID(), User: uuid.New()})
	}
	w.login(t)
	n, err := w.m.Revoke(support(t.Context()), session.OfUser(w.id.Tenant, w.id.User), "why")
	if err != nil || n != 1 {
		t.Errorf("%d, error %v", n, err)
	}
}
