package session

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Middleware runs next with the session of the request's cookie: actor, tenant
// and session id are in its context ([tenancy.ActorFrom], [tenancy.TenantFrom],
// [tenancy.SessionFrom]) and [From] gives the session. Where there is no valid
// session next runs without; [Manager.Require] refuses such requests. What the
// Middleware of another manager around this one has found does not count.
//
// When the session ends, the context ends with the cause [ErrRevoked] or
// [ErrExpired], so that streams end too. While the store is down, a request with
// a cookie is answered with 503 and next is not called. Requests of
// other sites that may change something are answered with 403
// ([http.CrossOriginProtection]).
//
// The response is written by next itself, without a wrapper.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.node.running(r.Context()) != nil { // a Middleware of m around this one
			next.ServeHTTP(w, r)
			return
		}
		run, v := m.begin(r)
		if v == down && r.Context().Err() != nil {
			v = left
		}
		m.tel.count(r.Context(), v)
		switch v {
		case valid:
			defer m.node.leave(run)
			next.ServeHTTP(w, r.WithContext(run))
		case crossOrigin:
			refuse(w, http.StatusForbidden, "cross-origin request refused")
		case down, left:
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable, "temporarily unavailable")
		default:
			if ctx := m.node.nobody(r.Context(), v); ctx != r.Context() {
				r = r.WithContext(ctx)
			}
			next.ServeHTTP(w, r)
		}
	})
}

// Require answers requests without a session with 401, and calls next for the
// others. It belongs inside the [Manager.Middleware] of the same manager; outside
// it refuses everything. It also clears a cookie that is of no further use, as
// [Manager.Login] and [Manager.Logout] do, and nobody else: caches may keep the
// other responses. To send people to a login page instead, ask [From].
func (m *Manager) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.node.running(r.Context()) == nil || runningIn(r.Context()) == nil {
			if m.node.useless(r.Context()) {
				m.clearCookie(w)
			}
			w.Header().Set("WWW-Authenticate", `Cookie cookie-name="`+CookieName+`"`)
			refuse(w, http.StatusUnauthorized, "login required")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// begin finds and judges the session of a request.
func (m *Manager) begin(r *http.Request) (*running, verdict) {
	if m.csrf.Check(r) != nil {
		return nil, crossOrigin
	}
	t, v := carried(r.Header)
	if v != valid {
		return nil, v
	}
	ctx, h := r.Context(), t.hash()
	since := m.node.endings()
	row, v := m.read(ctx, h)
	if v != valid {
		return nil, v
	}
	run, tell, v := m.admit(ctx, &row)
	if v != valid {
		return nil, v
	}
	if v = m.confirm(ctx, run, h, since); v == valid && tell {
		v = m.tell(ctx, run)
	}
	if v != valid {
		m.node.leave(run)
		return nil, v
	}
	return run, valid
}

// read gives the row of a token that is not revoked.
func (m *Manager) read(ctx context.Context, h Hash) (Row, verdict) {
	row, err := m.lookup(ctx, h)
	switch {
	case errors.Is(err, ErrNotFound):
		return row, unknown
	case err != nil:
		return row, down
	case !row.Revoked.IsZero():
		m.node.over(ctx, row.ID)
		return row, revoked
	}
	return row, valid
}

// lookup asks the store. A row with another hash is not what was asked for.
func (m *Manager) lookup(ctx context.Context, h Hash) (Row, error) {
	row, err := m.store.Lookup(ctx, h)
	if err == nil && row.Hash != h {
		err = errors.New("session: the store gave another session than asked for")
	}
	if errors.Is(err, ErrNotFound) {
		m.reads.note(ctx, m, nil)
	} else {
		m.reads.note(ctx, m, err)
	}
	return row, err
}

// admit judges a row and registers the request in its session. Whether an expiry
// can be recorded changes nothing of it: what is over is over, and one tenant's
// log is no reason to refuse the login page.
func (m *Manager) admit(ctx context.Context, row *Row) (run *running, tell bool, v verdict) {
	run, tell, v = m.register(ctx, row)
	if v != expired {
		return run, tell, v
	}
	fresh, v, err := m.expire(ctx, row.ID)
	m.expiries.note(ctx, m, err)
	switch {
	case err != nil:
		return nil, false, expired
	case v != valid:
		return nil, false, v
	}
	row.Session = fresh // another node has seen it since
	return m.register(ctx, row)
}

// register is the part of admit that holds the lock. It tells whether the store
// must hear that the session was seen, before the request is served.
func (m *Manager) register(ctx context.Context, row *Row) (run *running, tell bool, v verdict) {
	n, now := &m.node, stamp(time.Now())
	n.mu.Lock()
	defer n.mu.Unlock()
	if v, _ := m.policy.judge(row, n.seen(&row.Session), now); v != valid {
		return nil, false, v
	}
	u := n.useOf(&row.Session, m.watch)
	u.seen = latest(u.seen, now)
	run = &running{node: n, names: u.names, session: row.Session}
	run.session.LastSeen = now
	run.Context, run.cancel = context.WithCancelCause(ctx)
	u.enter(run)
	return run, m.tellNow(u, now), valid
}

// confirm reads the session again if it was ended after it had been read. Once is
// enough: whatever ends it from now on finds the request registered.
func (m *Manager) confirm(ctx context.Context, run *running, h Hash, since uint64) verdict {
	if !m.node.endedSince(run.session.ID, since) {
		return valid
	}
	_, v := m.read(ctx, h)
	if v == unknown {
		m.node.over(ctx, run.session.ID)
	}
	return v
}

// tell writes a request's touch.
func (m *Manager) tell(ctx context.Context, run *running) verdict {
	err := m.touch(ctx, run.use, run.session.LastSeen)
	m.touches.note(ctx, m, err)
	if err != nil {
		return down
	}
	return valid
}
