package session_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

// support is a context in which a service of the vendor acts.
func support(ctx context.Context) context.Context {
	return tenancy.WithActor(ctx, tenancy.MustService("support"))
}

// tenant adds another tenant to the world.
func (w *world) tenant(tb testing.TB) tenancy.ID {
	tb.Helper()
	if w.db == nil {
		return tenancy.NewID()
	}
	made, err := w.db.CreateTenant(support(tb.Context()), tenancy.Tenant{Name: "Another GmbH"})
	must(tb, err)
	return made.ID
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	onAll(t, nil, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-5.2")
		other := w.tenant(t)
		people := map[string]session.Identity{
			"mine": w.id, "mine again": w.id,
			"mine elsewhere": {Tenant: other, User: w.id.User},
			"colleague":      {Tenant: w.id.Tenant, User: uuid.New()},
		}
		cases := []struct {
			name string
			sel  func(cookies map[string]*http.Cookie) session.Selector
			gone []string
			attr string
		}{
			{"user", func(map[string]*http.Cookie) session.Selector { return session.OfUser(w.id.Tenant, w.id.User) }, []string{"mine", "mine again"}, "user=" + w.id.User.String()},
			{"tenant", func(map[string]*http.Cookie) session.Selector { return session.OfTenant(w.id.Tenant) }, []string{"mine", "mine again", "colleague"}, ""},
			{"id", func(c map[string]*http.Cookie) session.Selector { return session.OfID(w.row(t, c["mine"]).ID) }, []string{"mine"}, "session="},
		}
		for _, c := range cases {
			cookies := map[string]*http.Cookie{}
			for name, id := range people {
				cookies[name] = sessiontest.Login(t, w.m, id)
			}
			n, err := w.m.Revoke(support(t.Context()), c.sel(cookies), "left the company")
			if err != nil || n != len(c.gone) {
				t.Fatalf("%s: %d, error %v", c.name, n, err)
			}
			for name, cookie := range cookies {
				want := people[name].User.String()
				if slices.Contains(c.gone, name) {
					want = "nobody"
				}
				wantBody(t, ask(t, w.m, whoami, cookie), http.StatusOK, want)
			}
			texts := w.log.texts()
			last := texts[len(texts)-1]
			for _, part := range []string{
				"session.revoke " + w.id.Tenant.String() + " service:support ", "selector=" + c.name, "reason=left the company",
				"count=" + string(rune('0'+len(c.gone))), c.attr,
			} {
				if !strings.Contains(last, part) {
					t.Errorf("%s: event %q lacks %q", c.name, last, part)
				}
			}
			n, err = w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "end of the case")
			must(t, err)
			if want := 3 - len(c.gone); n != want {
				t.Errorf("%s: %d sessions were left, want %d", c.name, n, want)
			}
		}
	})
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-5.2")
		c := w.login(t)
		id := w.row(t, c).ID
		inOther := tenancy.WithTenant(support(t.Context()), w.tenant(t))
		cases := map[string]struct {
			ctx    context.Context
			sel    session.Selector
			reason string
			want   error
		}{
			"nobody acts":         {t.Context(), session.OfUser(w.id.Tenant, w.id.User), "why", tenancy.ErrNoActor},
			"nobody acts on one":  {t.Context(), session.OfID(id), "why", tenancy.ErrNoActor},
			"no reason":           {support(t.Context()), session.OfTenant(w.id.Tenant), "", session.ErrNoReason},
			"nothing":             {support(t.Context()), session.Selector{}, "why", session.ErrSelector},
			"no tenant":           {support(t.Context()), session.OfUser(tenancy.ID{}, w.id.User), "why", session.ErrSelector},
			"no user":             {support(t.Context()), session.OfUser(w.id.Tenant, uuid.Nil), "why", session.ErrSelector},
			"user of another":     {inOther, session.OfUser(w.id.Tenant, w.id.User), "why", tenancy.ErrOtherTenant},
			"tenant is another":   {inOther, session.OfTenant(w.id.Tenant), "why", tenancy.ErrOtherTenant},
			"session of another":  {inOther, session.OfID(id), "why", nil},
			"session that is not": {support(t.Context()), session.OfID(uuid.New()), "why", nil},
		}
		for name, c := range cases {
			n, err := w.m.Revoke(c.ctx, c.sel, c.reason)
			if n != 0 {
				t.Errorf("%s: %d sessions were revoked", name, n)
			}
			if c.want == nil {
				must(t, err)
			} else {
				wantErr(t, err, c.want)
			}
		}
		w.log.fail(errDown)
		_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "why")
		wantErr(t, err, errDown)
		w.log.fail(nil)
		w.wantUser(t, c)
		if n := len(w.log.actions()); n != 1 {
			t.Errorf("events: %v", w.log.actions())
		}
	})
}

// TestRevokeEndsRequests shows it on the node that revokes; the request that
// revokes its own session goes on.
func TestRevokeEndsRequests(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		started, ended := stream(t, w.m, c)
		<-started
		ask(t, w.m, func(_ http.ResponseWriter, r *http.Request) {
			n, err := w.m.Revoke(r.Context(), session.OfUser(w.id.Tenant, w.id.User), "log out everywhere")
			if err != nil || n != 1 || r.Context().Err() != nil {
				t.Errorf("%d, error %v, context %v", n, err, r.Context().Err())
			}
		}, c)
		wantErr(t, <-ended, session.ErrRevoked)
	})
}

// TestRevokeElsewhere shows that requests on other nodes end within Poll.
func TestRevokeElsewhere(t *testing.T) {
	t.Parallel()
	t.Run("exactly", func(t *testing.T) {
		t.Parallel()
		inBubble(t, nil, func(t *testing.T, w *world) { revokeElsewhere(t, w, 5*time.Second) })
	})
	t.Run("really", func(t *testing.T) {
		t.Parallel()
		onAll(t, &session.Options{Poll: 50 * time.Millisecond}, func(t *testing.T, w *world) {
			revokeElsewhere(t, w, time.Minute) // other tests use the machine too
		})
	})
}

func revokeElsewhere(t *testing.T, w *world, within time.Duration) {
	t.Helper()
	other := w.manager(t, nil)
	c, stays := w.login(t), sessiontest.Login(t, w.m, session.Identity{Tenant: w.id.Tenant, User: uuid.New()})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- w.m.Run(ctx) }()
	started, ended := stream(t, w.m, c)
	<-started
	startedToo, endedToo := stream(t, w.m, stays)
	<-startedToo
	_, err := other.Revoke(support(t.Context()), session.OfUser(w.id.Tenant, w.id.User), "left the company")
	must(t, err)
	begin := time.Now()
	wantErr(t, <-ended, session.ErrRevoked)
	if d := time.Since(begin); d > within {
		t.Errorf("it took %v", d)
	}
	select {
	case err := <-endedToo:
		t.Errorf("another session's request ended: %v", err)
	default:
	}
	cancel()
	<-ran
	_, err = w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "end of the test")
	must(t, err)
	wantErr(t, <-endedToo, session.ErrRevoked)
}

// TestRevokeBetween shows that a request which has read its session before a
// revocation and starts after it does not get away.
func TestRevokeBetween(t *testing.T) {
	t.Parallel()
	onTwo(t, nil, func(t *testing.T, w *world) {
		c := w.login(t)
		once := make(chan struct{}, 1)
		once <- struct{}{}
		w.store.hook(&w.store.after, "Lookup", func() {
			select {
			case <-once:
				_, err := w.m.Revoke(support(t.Context()), session.OfTenant(w.id.Tenant), "now")
				if err != nil {
					t.Error(err)
				}
			default:
			}
		})
		w.wantNobody(t, c)
	})
}

// TestAudit shows the events as the real log keeps them.
func TestAudit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.2")
			w := worlds[name](t, nil)
			id := w.row(t, w.login(t)).ID
			_, err := w.m.Revoke(support(t.Context()), session.OfID(id), "left the company")
			must(t, err)
			var got []string
			ctx := tenancy.WithTenant(support(t.Context()), w.id.Tenant)
			for e, err := range w.audit.Events(ctx, w.db, audit.Filter{}) {
				must(t, err)
				got = append(got, e.Action+" "+e.Actor+" "+e.Session)
			}
			want := map[string]bool{
				"session.open person:" + w.id.User.String() + " " + id.String(): true,
				"session.revoke service:support ":                               true,
			}
			if len(got) != 2 || !want[got[0]] || !want[got[1]] {
				t.Errorf("events: %q", got)
			}
		})
	}
}
