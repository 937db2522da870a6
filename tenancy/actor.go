package tenancy

import (
	"errors"
	"regexp"

	"github.com/google/uuid"
)

// Actor is who acts: a person, a service, or the library itself. Its text
// stands in the open part of audit events, so that it can hold no name and no
// address: a person is a random id, the others are words of the code.
type Actor struct{ text string }

var actorName = regexp.MustCompile(`^[a-z][a-z0-9_/-]{0,62}$`)

// Person is a human being with an account of its own.
func Person(id uuid.UUID) Actor { return Actor{"person:" + id.String()} }

// Service is a program or job. The name is a word of the code: lower-case
// letters, digits, "_", "-" and "/", at most 63 characters.
func Service(name string) (Actor, error) {
	if !actorName.MatchString(name) {
		return Actor{}, errors.New("tenancy: service: name must match " + actorName.String())
	}
	return Actor{"service:" + name}, nil
}

// MustService is [Service] for names written in the code; it panics on others.
func MustService(name string) Actor {
	a, err := Service(name)
	if err != nil {
		panic(err)
	}
	return a
}

// IsZero reports whether a is nobody.
func (a Actor) IsZero() bool { return a.text == "" }

// String gives "person:<uuid>" or "service:<name>"; nobody is "".
func (a Actor) String() string { return a.text }
