package session

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Identity is whom a login has proved: a person with an account at one tenant.
// Both fields are required. Another tenant is another login.
type Identity struct {
	// Tenant is the customer on whose behalf the session acts.
	Tenant tenancy.ID
	// User is the account, a random id that is no name and no address.
	User uuid.UUID
}

// Session is one login as the application and its logs may see it: nothing in
// it opens the session.
type Session struct {
	// ID is the public name of the session, drawn anew by each login. It goes
	// into audit events and may be shown in a list of sessions.
	ID uuid.UUID
	// Tenant and User are those of the login. They come from the store and never
	// from the request.
	Tenant tenancy.ID
	User   uuid.UUID
	// Created is when the login happened; the absolute limit counts from it.
	Created time.Time
	// LastSeen is the newest request that is known to the store, or, of a session
	// that [From] gives, that request itself.
	LastSeen time.Time
	// Authenticated is when the user last proved who they are.
	Authenticated time.Time
}

// Row is a session as a [Store] keeps it. Times are UTC and kept to the
// microsecond.
type Row struct {
	Session

	// Hash is that of the token which opens the session.
	Hash Hash
	// Revoked is when the session was ended for good; zero for one that was not.
	Revoked time.Time
	// Reason says why; "" for a session that was not ended.
	Reason Reason
}

// Reason is why a session was ended: a word of the code, never a text. What a
// person gave as the reason of a revocation stands in the audit log alone, where
// it is encrypted.
type Reason string

// The reasons.
const (
	ReasonLogout   Reason = "logout"   // the user logged out
	ReasonReplaced Reason = "replaced" // a new login took the place of this one
	ReasonRevoked  Reason = "revoked"  // by [Manager.Revoke]
	ReasonIdle     Reason = "idle"     // not used for longer than [Policy].Idle
	ReasonAbsolute Reason = "absolute" // older than [Policy].Absolute
)

// From gives the session in which the request of ctx runs. It is false where
// there is none, or no [Manager.Middleware] around the handler. Where several are
// around it, the innermost decides.
func From(ctx context.Context) (Session, bool) {
	if run := runningIn(ctx); run != nil {
		return run.session, true
	}
	return Session{}, false
}

// acting is ctx as the owner of s: whose log an event about s goes into, and who
// did it.
func acting(ctx context.Context, s *Session) context.Context {
	ctx = tenancy.WithTenant(ctx, s.Tenant)
	ctx = tenancy.WithActor(ctx, tenancy.Person(s.User))
	return tenancy.WithSession(ctx, s.ID.String())
}

// stamp is t as it is stored.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
