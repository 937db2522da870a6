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
// A revocation that came while the password was checked does not reach the login:
// see [Manager.Revoke].
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
	if err := m.leave(ctx, w, r, ReasonReplaced); err != nil {
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
// in it, and clears the cookie. The request that calls it runs on. A Login of the
// same response is undone; of a cookie that comes several times, which no browser
// sends, the first eight sessions are ended. Without a session it does nothing,
// and returns nil. After an error the session may still be there, and the cookie
// is. Like [Manager.Login] it must be called before
// anything of the response is written, and belongs behind POST.
func (m *Manager) Logout(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := settled(r.Context())
	defer cancel()
	_, v := carried(r.Header)
	given := len(tokens(nil, w.Header())) > 0
	if err := m.leave(ctx, w, r, ReasonLogout); err != nil {
		return err
	}
	if v != none || given {
		m.clearCookie(w)
	}
	return nil
}

// settled is the context of what goes to its end although the request has ended:
// the client went away, or another request ended the session meanwhile.
func settled(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}

// leave ends the sessions that a request carries, and the one that its response
// hands out already.
func (m *Manager) leave(ctx context.Context, w http.ResponseWriter, r *http.Request, why Reason) error {
	for _, t := range tokens(r.Header, w.Header()) {
		if err := m.leaveOne(ctx, t, why); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) leaveOne(ctx context.Context, t token, why Reason) error {
	row, err := m.lookup(ctx, t.hash())
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("session: %s: %w", why, err)
	}
	if !row.Revoked.IsZero() {
		m.node.over(ctx, row.ID)
		return nil
	}
	if err := m.record(acting(ctx, &row.Session), actionClose, slog.String("reason", string(why))); err != nil {
		return err
	}
	_, err = m.revoke(ctx, OfID(row.ID), why, ErrRevoked)
	return err
}

// revoke does what was recorded, also if ctx has ended since, and ends the
// requests that run here: those of the sessions that the store names, and of all
// that s chooses. The store names none if an earlier call did its work and its
// answer was lost.
func (m *Manager) revoke(ctx context.Context, s Selector, why Reason, cause error) (int, error) {
	bounded, cancel := settled(ctx)
	defer cancel()
	at := stamp(time.Now())
	ids, err := m.store.Revoke(bounded, s, at, why)
	if err != nil {
		m.node.doubt()
	}
	m.node.end(ctx, cause, ids...)
	m.node.end(ctx, cause, m.node.chosen(s, at)...)
	if err != nil {
		return 0, fmt.Errorf("session: revoke: %w", err)
	}
	return len(ids), nil
}
