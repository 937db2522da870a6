package session

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Revoke ends the sessions that sel chooses and returns how many these were. The
// requests that run in them on this node end at once, on other nodes after
// [Options].Poll and the store's answer; the request of ctx itself runs on. The
// reason is for the audit log, where it is encrypted; it is required.
//
// Who revokes is the actor of ctx, without which the error is
// [tenancy.ErrNoActor]. Where ctx names a tenant, sessions of others are out of
// reach: [OfUser] and [OfTenant] give [tenancy.ErrOtherTenant], and [OfID] finds
// none. Whether the actor may do it is the caller's to decide.
//
// The event precedes the revocation, and tells how many sessions there were then.
// After an error, sessions may have been revoked, and requests that run in them
// here have ended; calling it again is safe.
//
// A login that is under way, its password checked and [Manager.Login] not yet
// called, is no session and is not ended. To shut somebody out, first disable the
// account, then revoke; and let the login look at the account again after
// Manager.Login, and call [Manager.Logout] if it was disabled.
func (m *Manager) Revoke(ctx context.Context, sel Selector, reason string) (int, error) {
	if err := permitted(ctx, sel, reason); err != nil {
		return 0, err
	}
	found, err := m.store.List(ctx, sel)
	if err != nil {
		return 0, fmt.Errorf("session: revoke: %w", err)
	}
	if sel.Kind() != KindID {
		return m.revokeAll(ctx, sel, sel.Tenant(), reason, len(found))
	}
	for _, id := range missing(sel.IDs(), found) {
		m.node.over(ctx, id)
	}
	count := 0
	for _, s := range found {
		if own, err := tenancy.TenantFrom(ctx); err == nil && own != s.Tenant {
			continue
		}
		n, err := m.revokeAll(ctx, OfID(s.ID), s.Tenant, reason, 1)
		count += n
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

func permitted(ctx context.Context, sel Selector, reason string) error {
	if sel.Kind() == "" {
		return ErrSelector
	}
	if reason == "" {
		return ErrNoReason
	}
	if _, err := tenancy.ActorFrom(ctx); err != nil {
		return fmt.Errorf("session: revoke: %w", err)
	}
	own, err := tenancy.TenantFrom(ctx)
	if err == nil && sel.Kind() != KindID && own != sel.Tenant() {
		return fmt.Errorf("session: revoke: %w", tenancy.ErrOtherTenant)
	}
	return nil
}

// revokeAll records and revokes what belongs to one tenant.
func (m *Manager) revokeAll(ctx context.Context, sel Selector, tenant tenancy.ID, reason string, count int) (int, error) {
	attrs := []slog.Attr{
		slog.String("selector", string(sel.Kind())),
		slog.Int("count", count),
		slog.String("reason", reason),
	}
	switch sel.Kind() {
	case KindUser:
		attrs = append(attrs, slog.String("user", sel.User().String()))
	case KindID:
		attrs = append(attrs, slog.String("session", sel.IDs()[0].String()))
	case KindTenant:
	}
	if err := m.record(tenancy.WithTenant(ctx, tenant), actionRevoke, attrs...); err != nil {
		return 0, err
	}
	return m.revoke(ctx, sel, ReasonRevoked, ErrRevoked)
}

// expire ends a session that has reached a limit for good, so that a clock which
// is set back does not revive it. It judges the session anew as the store has it,
// and gives it back if it is valid. The requests that meet it at once on this node
// leave one event.
func (m *Manager) expire(ctx context.Context, id uuid.UUID) (Session, verdict, error) {
	lock := &m.ending[int(id[0])%len(m.ending)]
	lock.Lock()
	defer lock.Unlock()
	left, err := m.store.List(ctx, OfID(id))
	if err != nil {
		return Session{}, down, fmt.Errorf("session: expire: %w", err)
	}
	if len(left) == 0 {
		m.node.over(ctx, id)
		return Session{}, revoked, nil
	}
	s := left[0]
	v, why := m.policy.judge(&Row{Session: s}, m.node.lastSeen(&s), stamp(time.Now()))
	if v != expired {
		return s, v, nil
	}
	if err := m.record(acting(ctx, &s), actionExpire, slog.String("reason", string(why))); err != nil {
		return s, down, err
	}
	_, err = m.revoke(ctx, OfID(id), why, ErrExpired)
	return s, expired, err
}
