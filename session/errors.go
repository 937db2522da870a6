package session

import "errors"

// The errors on which callers decide. None carries a token or its hash.
var (
	// ErrNotFound: a [Store] holds no such session. An expected answer; every
	// other error of a store means that the store is down.
	ErrNotFound = errors.New("session: not found")
	// ErrIdentity: a login names no tenant or no user.
	ErrIdentity = errors.New("session: identity names no tenant or no user")
	// ErrSelector: a selector names nothing, or a kind that the store does not know.
	ErrSelector = errors.New("session: selector names nothing")
	// ErrNoReason: a revocation gives no reason.
	ErrNoReason = errors.New("session: a revocation needs a reason")
	// ErrRunning: the manager's Run is under way already.
	ErrRunning = errors.New("session: Run is under way already")
)

// The causes with which the context of a running request ends, as
// [context.Cause] tells them.
var (
	// ErrRevoked: the session was revoked, logged out, or replaced by a login.
	ErrRevoked = errors.New("session: revoked")
	// ErrExpired: the session has reached one of the limits of [Policy].
	ErrExpired = errors.New("session: expired")
)
