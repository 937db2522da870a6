package engine

import (
	"errors"
	"fmt"
)

// Kind classifies what a database refused, without its text: messages of
// databases quote values.
type Kind int

// The kinds of [Error].
const (
	Other         Kind = iota
	Unique             // a unique or primary key exists already
	Constraint         // another constraint: foreign key, not null, check
	Forbidden          // row-level security, privilege, authorizer
	UnknownTenant      // the tenant does not exist or is closed
	WrongRows          // a statement hit another number of rows than it must
	Unavailable        // connection lost or refused before anything could commit
	Unknown            // connection lost while a commit was under way
	BadValue           // a value does not fit its column
	Unrecorded         // rows were written and no event was recorded
)

// Error is a database's refusal in words that hold no value of any row.
type Error struct {
	Kind   Kind   // by which callers decide
	Code   string // SQLSTATE, or SQLite's extended code in decimal
	Table  string
	Column string
	Name   string // constraint
	// Text is the database's own message where its class cannot quote values
	// of rows; else empty.
	Text string
	// Cause is set for errors of the client or network only.
	Cause error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Table != "" {
		s += " in " + e.Table
	}
	if e.Column != "" {
		s += "." + e.Column
	}
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	if e.Code != "" {
		s += " [" + e.Code + "]"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Is makes an error of kind k match the sentinel of k.
func (e *Error) Is(target error) bool {
	s := e.Kind.sentinel()
	return s != nil && s == target
}

// Unwrap gives the client's or network's error, if it was one.
func (e *Error) Unwrap() error { return e.Cause }

// String names the kind.
func (k Kind) String() string {
	names := [...]string{
		"database error", "key exists already", "constraint violated", "forbidden",
		"unknown tenant", "wrong number of rows", "database unavailable",
		"outcome of commit unknown", "value does not fit", "rows written without an event",
	}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

// The sentinels that package tenancy publishes under its own name.
var (
	ErrUnknownTenant  = errors.New("tenancy: unknown tenant")
	ErrNotFound       = errors.New("tenancy: not found")
	ErrExists         = errors.New("tenancy: exists already")
	ErrConstraint     = errors.New("tenancy: constraint violated")
	ErrBadValue       = errors.New("tenancy: value does not fit")
	ErrForbidden      = errors.New("tenancy: refused by the database")
	ErrUnavailable    = errors.New("tenancy: database unavailable")
	ErrUnknownOutcome = errors.New("tenancy: outcome of the commit is unknown")
	ErrUnrecorded     = errors.New("tenancy: rows were written and no event tells of them")
)

func (k Kind) sentinel() error {
	switch k {
	case Unique:
		return ErrExists
	case Constraint:
		return ErrConstraint
	case Forbidden:
		return ErrForbidden
	case UnknownTenant:
		return ErrUnknownTenant
	case WrongRows:
		return ErrNotFound
	case Unavailable:
		return ErrUnavailable
	case Unknown:
		return ErrUnknownOutcome
	case BadValue:
		return ErrBadValue
	case Unrecorded:
		return ErrUnrecorded
	case Other:
	}
	return nil
}
