package tenancy

import (
	"errors"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// Actor is who acts: a person, a service, or the system itself, each for
// itself or on behalf of somebody. Its text stands in the open part of audit
// events, so that it can hold no name and no address: a person is a random id,
// the others are words of the code.
type Actor struct{ text string }

// onBehalf stands between who acts and for whom. No kind of actor holds a blank.
const onBehalf = " for "

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

// System is the software by itself, for what nobody has ordered: a period that
// ran out, a clean-up. The name is a word of the code as that of a [Service].
func System(name string) (Actor, error) {
	if !actorName.MatchString(name) {
		return Actor{}, errors.New("tenancy: system: name must match " + actorName.String())
	}
	return Actor{"system:" + name}, nil
}

// MustSystem is [System] for names written in the code; it panics on others.
func MustSystem(name string) Actor {
	a, err := System(name)
	if err != nil {
		panic(err)
	}
	return a
}

// For is a that acts on behalf of b: support for a customer's user, a service
// for the person who ordered its work. Both are persons or services, and
// neither acts for another already; else the result is nobody, whom every
// change refuses with [ErrNoActor]. Whether a may act for b is the caller's to
// decide.
func (a Actor) For(b Actor) Actor {
	if !a.simple() || !b.simple() {
		return Actor{}
	}
	return Actor{a.text + onBehalf + b.text}
}

// simple reports whether a can be a part of [Actor.For].
func (a Actor) simple() bool {
	return !a.IsZero() && !strings.HasPrefix(a.text, "system:") && !strings.Contains(a.text, onBehalf)
}

// Acting is who acts, without on whose behalf.
func (a Actor) Acting() Actor {
	text, _, _ := strings.Cut(a.text, onBehalf)
	return Actor{text}
}

// Behalf is the one for whom a acts; nobody where a acts for itself.
func (a Actor) Behalf() Actor {
	_, text, _ := strings.Cut(a.text, onBehalf)
	return Actor{text}
}

// HasPerson reports whether a human being acts, or is acted for.
func (a Actor) HasPerson() bool {
	return strings.HasPrefix(a.text, "person:") || strings.HasPrefix(a.Behalf().text, "person:")
}

// IsZero reports whether a is nobody.
func (a Actor) IsZero() bool { return a.text == "" }

// String gives "person:<uuid>", "service:<name>" or "system:<name>"; of one who
// acts on behalf of another it gives both, as in "person:<uuid> for
// person:<uuid>"; nobody is "".
func (a Actor) String() string { return a.text }

// ParseActor reads what [Actor.String] has written of somebody, in that one
// form. No error holds the text.
func ParseActor(text string) (Actor, error) {
	acting, behalf, two := strings.Cut(text, onBehalf)
	a, err := parseOne(acting)
	if err == nil && two {
		b, errB := parseOne(behalf)
		a, err = a.For(b), errB
	}
	if err != nil || a.text != text {
		return Actor{}, errParseActor
	}
	return a, nil
}

var errParseActor = errors.New("tenancy: parse actor: neither person:<uuid>, service:<name> nor system:<name>, nor one of the first two for another")

func parseOne(text string) (Actor, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case "person":
		id, err := uuid.Parse(name)
		return Person(id), err
	case "service":
		return Service(name)
	case "system":
		return System(name)
	}
	return Actor{}, errParseActor
}
