package session_test

import (
	"context"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/session"
)

// inBubble runs fn with a clock of its own, in memory and on SQLite.
func inBubble(t *testing.T, o *session.Options, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, name := range []string{"memory", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-2.3")
			synctest.Test(t, func(t *testing.T) { fn(t, worlds[name](t, o)) })
		})
	}
}

const instant = time.Microsecond // to which times are kept

func TestIdle(t *testing.T) {
	t.Parallel()
	inBubble(t, &session.Options{Policy: session.Policy{Idle: 15 * time.Minute}}, func(t *testing.T, w *world) {
		c := w.login(t)
		for range 3 { // each request starts the idle time anew
			time.Sleep(15*time.Minute - instant)
			w.wantUser(t, c)
		}
		time.Sleep(15 * time.Minute)
		w.wantNobody(t, c)
		w.wantNobody(t, c)
		if row := w.row(t, c); row.Reason != session.ReasonIdle || !row.Revoked.Equal(time.Now()) {
			t.Errorf("reason %q at %v", row.Reason, row.Revoked)
		}
		s := w.row(t, c).Session
		want := []string{
			"session.open " + s.Tenant.String() + " person:" + s.User.String() + " " + s.ID.String() + " []",
			"session.expire " + s.Tenant.String() + " person:" + s.User.String() + " " + s.ID.String() + " [reason=idle]",
		}
		if diff := cmp.Diff(want, w.log.texts()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestAbsolute(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		begin := time.Now()
		for time.Since(begin) < 12*time.Hour-20*time.Minute {
			time.Sleep(20 * time.Minute)
			w.wantUser(t, c)
		}
		time.Sleep(20*time.Minute - instant)
		w.wantUser(t, c)
		time.Sleep(instant)
		w.wantNobody(t, c)
		if row := w.row(t, c); row.Reason != session.ReasonAbsolute {
			t.Errorf("reason %q", row.Reason)
		}
	})
}

// TestTombstone shows that a session which has expired once stays expired under a
// policy, and so by a clock, that would find it young.
func TestTombstone(t *testing.T) {
	t.Parallel()
	inBubble(t, &session.Options{Policy: session.Policy{Idle: time.Minute}}, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(time.Minute)
		w.wantNobody(t, c)
		w.m = w.manager(t, nil)
		w.wantNobody(t, c)
	})
}

// TestClockSetBack shows that rows from the future are no sessions, and that they
// are sessions again when the clock is right again.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		created, seen time.Duration // ahead of now
		want          bool
	}{
		"a little":             {time.Minute, time.Minute, true},
		"created in an hour":   {time.Hour, time.Hour, false},
		"seen in an hour":      {0, time.Hour, false},
		"seen after a minute":  {0, time.Minute + instant, false},
		"made after a minute":  {time.Minute + instant, 0, false},
		"as of now":            {0, 0, true},
		"as of some time past": {-time.Hour, -time.Minute, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, nil, func(t *testing.T, w *world) {
				cookie := w.login(t)
				row := w.row(t, cookie)
				_, err := w.store.Purge(t.Context(), row.Created.Add(time.Second))
				must(t, err)
				row.Created, row.LastSeen = row.Created.Add(c.created), row.LastSeen.Add(c.seen)
				must(t, w.store.Insert(t.Context(), row))
				if c.want {
					w.wantUser(t, cookie)
					return
				}
				wantBody(t, ask(t, w.m, whoami, cookie), http.StatusOK, "nobody")
				res := ask(t, w.m, w.m.Require(http.HandlerFunc(whoami)).ServeHTTP, cookie)
				if len(res.Cookies()) != 0 || !w.row(t, cookie).Revoked.IsZero() || len(w.log.actions()) != 1 {
					t.Error("the session was ended")
				}
				time.Sleep(max(c.created, c.seen))
				w.wantUser(t, cookie)
			})
		})
	}
}

// TestMemoryKnowsBetter shows that requests count although the store has not heard
// of them, and what is lost with the memory: less than a twentieth.
func TestMemoryKnowsBetter(t *testing.T) {
	t.Parallel()
	inBubble(t, &session.Options{Policy: session.Policy{Idle: 20 * time.Minute}}, func(t *testing.T, w *world) {
		c := w.login(t)
		begin := time.Now()
		time.Sleep(time.Minute - instant)
		w.wantUser(t, c)
		if n := w.store.count("Touch"); n != 0 {
			t.Fatalf("%d touches within a twentieth of the idle time", n)
		}
		time.Sleep(20*time.Minute - 2*instant)
		w.wantUser(t, c)
		if n := w.store.count("Touch"); n != 1 {
			t.Errorf("%d touches, want 1", n)
		}
		if row := w.row(t, c); !row.LastSeen.Equal(time.Now()) {
			t.Errorf("the store knows of %v, want now", row.LastSeen.Sub(begin))
		}
		time.Sleep(30 * time.Second)
		w.wantUser(t, c)
		w.m = w.manager(t, &session.Options{Policy: session.Policy{Idle: 20 * time.Minute}}) // after a crash
		time.Sleep(19*time.Minute + 30*time.Second - instant)
		w.wantUser(t, c)
		w.m = w.manager(t, &session.Options{Policy: session.Policy{Idle: 20 * time.Minute}})
		time.Sleep(20 * time.Minute)
		w.wantNobody(t, c)
	})
}

// TestRunBatchesTouches shows who writes touches while Run is under way, and that
// what waits is never older than a twentieth.
func TestRunBatchesTouches(t *testing.T) {
	t.Parallel()
	o := &session.Options{Policy: session.Policy{Idle: 20 * time.Minute}}
	inBubble(t, o, func(t *testing.T, w *world) {
		first, second := w.login(t), w.login(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.m.Run(ctx) }()
		synctest.Wait()
		wantErr(t, w.m.Run(t.Context()), session.ErrRunning)

		time.Sleep(time.Second) // so that no request meets a batch
		for range 200 {
			time.Sleep(6 * time.Second)
			w.wantUser(t, first)
			w.wantUser(t, second)
			for _, c := range []*http.Cookie{first, second} {
				if lag := time.Since(w.row(t, c).LastSeen); lag > time.Minute {
					t.Fatalf("the store lags behind by %v", lag)
				}
			}
		}
		if n := w.store.count("Touch"); n < 18 || n > 27 {
			t.Errorf("%d batches for two sessions in 20 minutes", n)
		}
		time.Sleep(50 * time.Second)
		w.wantUser(t, first)
		cancel()
		wantErr(t, <-ended, context.Canceled)
		if lag := time.Since(w.row(t, first).LastSeen); lag != 0 {
			t.Errorf("the end of Run left a touch unwritten: %v", lag)
		}
	})
}

// TestOneTellsTheStore shows that of the requests which come at once, one writes.
func TestOneTellsTheStore(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(10 * time.Minute)
		w.store.hook(&w.store.before, "Touch", func() { time.Sleep(time.Second) })
		done := make(chan struct{})
		for range 6 {
			go func() {
				w.wantUser(t, c)
				done <- struct{}{}
			}()
		}
		for range 6 {
			<-done
		}
		if n := w.store.count("Touch"); n != 1 {
			t.Errorf("%d touches", n)
		}
	})
}

// TestOtherNodesHearInTime shows that with Run a request late in the idle time is
// told to the store before it is served: another node must not end the session.
func TestOtherNodesHearInTime(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.m.Run(ctx) }()
		time.Sleep(30*time.Minute - time.Second)
		w.wantUser(t, c)
		if lag := time.Since(w.row(t, c).LastSeen); lag != 0 {
			t.Errorf("the store lags behind by %v", lag)
		}
		cancel()
		<-ended
	})
}

// TestStreamsEnd shows that requests which run on end with their session.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	policy := session.Policy{Idle: time.Hour, Absolute: 2 * time.Hour}
	cases := map[string]struct {
		act    func(t *testing.T, w *world, c *http.Cookie)
		after  time.Duration
		cause  error
		reason session.Reason
	}{
		"idle":             {func(*testing.T, *world, *http.Cookie) {}, time.Hour, session.ErrExpired, session.ReasonIdle},
		"idle, seen later": {func(t *testing.T, w *world, c *http.Cookie) { time.Sleep(30 * time.Minute); w.wantUser(t, c) }, 90 * time.Minute, session.ErrExpired, session.ReasonIdle},
		"idle, seen by another node": {func(t *testing.T, w *world, c *http.Cookie) {
			time.Sleep(30 * time.Minute)
			other := w.manager(t, &session.Options{Policy: policy})
			ask(t, other, whoami, c)
		}, 90 * time.Minute, session.ErrExpired, session.ReasonIdle},
		"absolute": {func(t *testing.T, w *world, c *http.Cookie) {
			for range 2 {
				time.Sleep(50 * time.Minute)
				w.wantUser(t, c)
			}
		}, 2 * time.Hour, session.ErrExpired, session.ReasonAbsolute},
		"logout": {func(t *testing.T, w *world, c *http.Cookie) {
			ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) { must(t, w.m.Logout(rw, r)) }, c)
		}, 0, session.ErrRevoked, session.ReasonLogout},
		"replaced": {func(t *testing.T, w *world, c *http.Cookie) {
			ask(t, w.m, func(rw http.ResponseWriter, r *http.Request) {
				_, err := w.m.Login(rw, r, w.id)
				must(t, err)
			}, c)
		}, 0, session.ErrRevoked, session.ReasonReplaced},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, &session.Options{Policy: policy}, func(t *testing.T, w *world) {
				cookie := w.login(t)
				begin := time.Now()
				started, ended := stream(t, w.m, cookie)
				<-started
				c.act(t, w, cookie)
				wantErr(t, <-ended, c.cause)
				if d := time.Since(begin); d != c.after {
					t.Errorf("ended after %v, want %v", d, c.after)
				}
				synctest.Wait()
				if row := w.row(t, cookie); row.Reason != c.reason {
					t.Errorf("reason %q, want %q", row.Reason, c.reason)
				}
				if n := w.m.InUse(); n != 0 {
					t.Errorf("%d sessions are remembered", n)
				}
			})
		})
	}
}

// TestStreamEndsWithoutStore shows that a limit holds although it cannot be
// written down.
func TestStreamEndsWithoutStore(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"List", "Revoke", "record"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-2.3")
			synctest.Test(t, func(t *testing.T) {
				w := inMemory(t, nil)
				c := w.login(t)
				started, ended := stream(t, w.m, c)
				<-started
				w.store.set(method, errDown)
				if method == "record" {
					w.log.fail(errDown)
				}
				wantErr(t, <-ended, session.ErrExpired)
			})
		})
	}
}

// TestForgets shows that a node remembers no session for longer than it lasts.
func TestForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t, nil)
		for range 10 {
			w.wantUser(t, w.login(t))
		}
		if n := w.m.InUse(); n != 10 {
			t.Fatalf("%d sessions are remembered", n)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := w.m.InUse(); n != 0 {
			t.Errorf("%d sessions are remembered", n)
		}
	})
}

// TestExpiresOnce shows that requests which meet an expired session at once leave
// one event.
func TestExpiresOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		time.Sleep(time.Hour)
		done := make(chan struct{})
		for range 6 {
			go func() {
				w.wantNobody(t, c)
				done <- struct{}{}
			}()
		}
		for range 6 {
			<-done
		}
		if got := w.log.actions(); !slices.Equal(got, []string{"session.open", "session.expire"}) {
			t.Errorf("events: %v", got)
		}
	})
}

// TestPurge shows that Run deletes what is long over.
func TestPurge(t *testing.T) {
	t.Parallel()
	inBubble(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		row := w.row(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.m.Run(ctx) }()
		time.Sleep(36 * time.Hour)
		synctest.Wait()
		if _, err := w.store.Store.Lookup(ctx, row.Hash); err != nil {
			t.Fatalf("gone too early: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		_, err := w.store.Store.Lookup(ctx, row.Hash)
		wantErr(t, err, session.ErrNotFound)
		cancel()
		<-ended
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	cases := map[string]struct {
		policy session.Policy
		ok     bool
	}{
		"default":                  {session.Policy{}, true},
		"strict":                   {session.Policy{Idle: 15 * time.Minute, Absolute: 8 * time.Hour}, true},
		"equal":                    {session.Policy{Idle: time.Hour, Absolute: time.Hour}, true},
		"negative idle":            {session.Policy{Idle: -1}, false},
		"negative absolute":        {session.Policy{Absolute: -1}, false},
		"forgotten unit":           {session.Policy{Idle: 30}, false},
		"idle beyond absolute":     {session.Policy{Idle: 2 * time.Hour, Absolute: time.Hour}, false},
		"idle beyond the default":  {session.Policy{Idle: 13 * time.Hour}, false},
		"absolute below the other": {session.Policy{Absolute: time.Minute}, false},
		"30 days":                  {session.Policy{Absolute: 30 * 24 * time.Hour}, true},
		"more than 30 days":        {session.Policy{Absolute: 30*24*time.Hour + 1}, false},
		"for ever":                 {session.Policy{Idle: math.MaxInt64, Absolute: math.MaxInt64}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := inMemory(t, nil)
			if _, err := session.New(w.store, w.rec, &session.Options{Policy: c.policy}); (err == nil) != c.ok {
				t.Errorf("error: %v", err)
			}
		})
	}
}
