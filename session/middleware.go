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
// session next runs without, and a cookie that is of no further use is cleared;
// [Manager.Require] refuses such requests.
//
// When the session ends, the context ends with the cause [ErrRevoked] or
// [ErrExpired], so that streams end too. While the store or the log is down, a
// request with a cookie is answered with 503 and next is not called. Requests of
// other sites that may change something are answered with 403
// ([http.CrossOriginProtection]).
//
// The response is written by next itself, without a wrapper.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runningIn(r.Context()) != nil { // a Middleware around this one
			next.ServeHTTP(w, r)
			return
		}
		run, v := m.begin(r)
		if v == down && r.Context().Err() != nil {
			v = left
		}
		m.tel.count(r.Context(), v)
		if v.clears() {
			m.clearCookie(w)
		}
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
			next.ServeHTTP(w, r)
		}
	})
}

// Require answers requests without a session with 401, and calls next for the
// others. It belongs inside [Manager.Middleware]; outside it refuses everything.
// To send people to a login page instead, ask [From].
func (m *Manager) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if runningIn(r.Context()) == nil {
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
	for {
		endings := m.node.endings()
		row, err := m.lookup(ctx, h)
		if errors.Is(err, ErrNotFound) {
			return nil, unknown
		}
		if err != nil {
			return nil, down
		}
		if run, v, again := m.admit(ctx, &row, endings); !again {
			return run, v
		}
	}
}

// lookup asks the store. A row with another hash is not what was asked for.
func (m *Manager) lookup(ctx context.Context, h Hash) (Row, error) {
	row, err := m.store.Lookup(ctx, h)
	if err == nil && row.Hash != h {
		err = errors.New("session: the store gave another session than asked for")
	}
	if errors.Is(err, ErrNotFound) {
		m.wellbeing(ctx, nil)
	} else {
		m.wellbeing(ctx, err)
	}
	return row, err
}

// admit judges a row and registers the request in its session. It is to be
// called again with a fresh row if sessions were ended since.
func (m *Manager) admit(ctx context.Context, row *Row, endings uint64) (run *running, v verdict, again bool) {
	now := stamp(time.Now())
	run, touch, v, reason := m.register(ctx, row, now, endings)
	switch {
	case run == nil && v == valid:
		return nil, valid, true
	case v == expired:
		err := m.expire(ctx, &row.Session, reason)
		m.wellbeing(ctx, err)
		if err != nil {
			return nil, down, false
		}
	case touch != nil:
		err := m.touch(ctx, touch, now)
		m.wellbeing(ctx, err)
		if err != nil {
			m.node.leave(run)
			return nil, down, false
		}
	}
	return run, v, false
}

// register is the part of admit that holds the lock. Without a request and valid,
// the row may be stale. A use is returned where the store must be told that the
// session was seen, before the request is served.
func (m *Manager) register(ctx context.Context, row *Row, now time.Time, endings uint64) (*running, *use, verdict, Reason) {
	n := &m.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended != endings {
		return nil, nil, valid, ""
	}
	seen := row.LastSeen
	if u := n.uses[row.ID]; u != nil {
		seen = latest(seen, u.seen)
	}
	if v, reason := m.policy.judge(row, seen, now); v != valid {
		return nil, nil, v, reason
	}
	u := n.useOf(&row.Session, m.watch)
	u.seen = latest(u.seen, now)
	run := &running{names: u.names, session: row.Session}
	run.session.LastSeen = now
	run.Context, run.cancel = context.WithCancelCause(ctx)
	u.enter(run)
	if m.tellNow(u, now) {
		return run, u, valid, ""
	}
	return run, nil, valid, ""
}
