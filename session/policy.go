package session

import (
	"errors"
	"time"
)

// Policy is how long a session lasts. It is judged at each request against the
// policy of that moment: a stricter one also ends the sessions that are there.
type Policy struct {
	// Idle is how long a session lasts without a request, at least a second.
	// Default 30 minutes. There is no value that switches it off.
	Idle time.Duration
	// Absolute is how long a session lasts at all, at least Idle and at most 30
	// days. Default 12 hours. There is no value that switches it off.
	//
	// NIST SP 800-63B-4 limits AAL1 to 30 days, AAL2 to 24 hours with 1 hour idle,
	// and AAL3 to 12 hours with 15 minutes.
	Absolute time.Duration
}

const (
	defaultIdle     = 30 * time.Minute
	defaultAbsolute = 12 * time.Hour
	maxAbsolute     = 30 * 24 * time.Hour // NIST SP 800-63B-4, AAL1
	minIdle         = time.Second         // less is a forgotten unit
	granularities   = 20                  // of which the idle time consists
	skew            = time.Minute         // by which the clock of another node may be ahead
)

func (p Policy) orDefault() (Policy, error) {
	if p.Idle == 0 {
		p.Idle = defaultIdle
	}
	if p.Absolute == 0 {
		p.Absolute = defaultAbsolute
	}
	if p.Idle < minIdle {
		return p, errors.New("idle time is less than a second")
	}
	if p.Absolute < p.Idle {
		return p, errors.New("absolute time is less than the idle time")
	}
	if p.Absolute > maxAbsolute {
		return p, errors.New("absolute time is more than 30 days")
	}
	return p, nil
}

// granularity is by how much the store's knowledge of the last request may lag
// behind.
func (p Policy) granularity() time.Duration { return p.Idle / granularities }

// end is when a session comes to its end, unless it is seen again, and why.
func (p Policy) end(created, seen time.Time) (time.Time, Reason) {
	idle, absolute := seen.Add(p.Idle), created.Add(p.Absolute)
	if idle.Before(absolute) {
		return idle, ReasonIdle
	}
	return absolute, ReasonAbsolute
}

// early reports whether a session was created or seen so far ahead of now that a
// clock must have been set back.
func early(created, seen, now time.Time) bool {
	horizon := now.Add(skew)
	return created.After(horizon) || seen.After(horizon)
}

// judge says what a row is worth at now, when it was last seen at seen.
func (p Policy) judge(row *Row, seen, now time.Time) (verdict, Reason) {
	switch {
	case row.ID == [16]byte{} || row.Tenant.IsZero() || row.User == [16]byte{}:
		return unknown, ""
	case !row.Revoked.IsZero():
		return revoked, row.Reason
	case early(row.Created, seen, now):
		return ahead, ""
	}
	if end, reason := p.end(row.Created, seen); !now.Before(end) {
		return expired, reason
	}
	return valid, ""
}

// verdict is what a request's cookie turned out to be.
type verdict int

const (
	none    verdict = iota // no cookie
	unknown                // malformed, doubled, or of no session
	valid
	expired
	revoked
	ahead // created or seen in the future: a clock was set back
	crossOrigin
	down // the store or the log could not be asked
	left // the client went away meanwhile
	verdicts
)

// word names v in telemetry.
func (v verdict) word() string {
	return [verdicts]string{"none", "unknown", "valid", "expired", "revoked", "ahead", "cross_origin", "store_error", "left"}[v]
}

// clears reports whether the cookie is of no further use.
func (v verdict) clears() bool { return v == unknown || v == expired || v == revoked }
