package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// patience bounds what is done although the request has ended.
const patience = 10 * time.Second

// Login opens a session for a person whose identity was proved, and sets its
// cookie. Token and id are always new. The session that the request carried is
// ended, whoever it belonged to, so that nobody can prepare one for somebody
// else (session fixation).
//
// It must be called before anything of the response is written, and from a
// request that changes something (POST), which other sites cannot send through
// [Manager.Middleware]; a handler of GET must first know that the user asked for
// it, as the state of an OpenID Connect login tells. After an error there is no
// new session and no cookie.
//
// The context of the request that runs stays as it was: the new session begins
// with the next one.
func (m *Manager) Login(w http.ResponseWriter, r *http.Request, id Identity) (Session, error) {
	if id.Tenant.IsZero() || id.User == uuid.Nil {
		return Session{}, ErrIdentity
	}
	ctx, cancel := settled(r.Context())
	defer cancel()
	now := stamp(time.Now())
	s := Session{
		ID: uuid.New(), Tenant: id.Tenant, User: id.User,
		Created: now, LastSeen: now, Authenticated: now,
	}
	if err := m.record(acting(ctx, &s), actionOpen); err != nil {
		return Session{}, err
	}
	if _, err := m.leave(ctx, r.Header, ReasonReplaced); err != nil {
		return Session{}, err
	}
	t := newToken()
	if err := m.store.Insert(ctx, Row{Session: s, Hash: t.hash()}); err != nil {
		return Session{}, fmt.Errorf("session: log in: %w", err)
	}
	m.setCookie(w, t)
	return s, nil
}

// Logout ends the session that the request carries, with the requests that run
// in it, and clears the cookie. The request that calls it runs on. Without a
// session it does nothing, and returns nil. After an error the session may still
// be there, and the cookie is. Like [Manager.Login] it must be called before
// anything of the response is written, and belongs behind POST.
func (m *Manager) Logout(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := settled(r.Context())
	defer cancel()
	v, err := m.leave(ctx, r.Header, ReasonLogout)
	if err != nil {
		return err
	}
	if v != none {
		m.clearCookie(w)
	}
	return nil
}

// settled is the context of what goes to its end although the request has ended:
// the client went away, or another request ended the session meanwhile.
func settled(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}

// leave ends the session that a request carries, if there is one.
func (m *Manager) leave(ctx context.Context, h http.Header, why Reason) (verdict, error) {
	t, v := carried(h)
	if v != valid {
		return v, nil
	}
	row, err := m.lookup(ctx, t.hash())
	if errors.Is(err, ErrNotFound) {
		return unknown, nil
	}
	if err != nil {
		return down, fmt.Errorf("session: %s: %w", why, err)
	}
	if !row.Revoked.IsZero() {
		return revoked, nil
	}
	if err := m.record(acting(ctx, &row.Session), actionClose, slog.String("reason", string(why))); err != nil {
		return down, err
	}
	_, err = m.revoke(ctx, OfID(row.ID), why, ErrRevoked)
	return valid, err
}

// revoke does what was recorded, also if ctx has ended since, and ends the
// requests that run here.
func (m *Manager) revoke(ctx context.Context, s Selector, why Reason, cause error) (int, error) {
	bounded, cancel := settled(ctx)
	defer cancel()
	ids, err := m.store.Revoke(bounded, s, stamp(time.Now()), why)
	if err != nil {
		return 0, fmt.Errorf("session: revoke: %w", err)
	}
	m.node.end(ctx, cause, ids...)
	return len(ids), nil
}
