package outbox

import (
	"context"
	"errors"
	"regexp"
	"time"
)

// Codes that the worker stores itself.
const (
	codeError       = "error"        // deliver gave no code
	codeInvalid     = "invalid_code" // deliver gave one that might be anything
	codeTimeout     = "timeout"
	codeInterrupted = "interrupted" // the last attempt never came to an end
)

var codes = regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]{0,63}$`)

// DeliveryError lets deliver say more than that it failed.
type DeliveryError struct {
	// Code is stored with the message and must not be personal data: lower-case
	// letters, digits and _.:- only, at most 64, as in "http_410".
	Code string

	// Permanent makes the message dead at once: another attempt is useless.
	Permanent bool

	// RetryAfter is the least wait until the next attempt, as a receiver asks
	// for by a header of that name; at most 24 hours count.
	RetryAfter time.Duration

	// Err is the cause, which the worker neither stores nor shows.
	Err error
}

// Error names the code, and not the cause, which may hold personal data.
func (e *DeliveryError) Error() string { return "outbox: deliver: " + e.code() }

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Err }

func (e *DeliveryError) code() string {
	if !codes.MatchString(e.Code) {
		return codeInvalid
	}
	return e.Code
}

// untyped gives the form of a DeliveryError to an error that is none.
func untyped(err error) *DeliveryError {
	if errors.Is(err, context.DeadlineExceeded) {
		return &DeliveryError{Code: codeTimeout, Err: err}
	}
	return &DeliveryError{Code: codeError, Err: err}
}
