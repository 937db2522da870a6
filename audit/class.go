package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Class gives the events of some actions a policy. What no class covers needs no
// reason, is sealed with the sealer's next round, and does not happen if it cannot
// be logged.
type Class struct {
	// Name is a word of the code: lower-case letters, digits, "_" and "-".
	Name string
	// Actions are those that it covers: an action as it is written ("export.list"),
	// all that begin with a word and a full stop ("export."), or "*" for what no
	// other covers. The longest that fits an action decides.
	Actions []string
	// Reason demands one of a person who acts or is acted for
	// ([tenancy.WithReason]): without it the action is refused with
	// [tenancy.ErrNoReason]. What a program does by itself needs none.
	Reason bool
	// Sealed holds the answer, once committed, until a signed checkpoint covers the
	// event; see [ErrUnsealed]. Several wait for one sealing together.
	Sealed bool
	// Failure says what happens if an event cannot be written. Default: FailClosed.
	Failure Failure
	// Retention is after what time the payloads may be emptied; the entries go with
	// their log. Default 0: the class sets none.
	Retention time.Duration
}

// Failure says what becomes of an action whose event cannot be written.
type Failure int

const (
	// FailClosed refuses the action: the caller must not perform it.
	FailClosed Failure = iota
	// FailOpen lets it go on: a [Recorder] writes to the logger, counts
	// (art32.audit.lost) and returns nil. Changes of rows, what the library itself
	// records, and events in a transaction of the caller's are never left out.
	FailOpen
)

// defaultClasses are those of the library; docs/design/audit.md gives the reasons.
func defaultClasses() []Class {
	return []Class{
		{Name: "admin", Actions: []string{"tenant.", "keys.", "access.", "audit."}, Reason: true, Sealed: true},
		{Name: "across", Actions: []string{"across."}, Reason: true, Sealed: true},
		{Name: "export", Actions: []string{"export."}, Reason: true, Sealed: true},
		{Name: "log", Actions: append([]string{actionRead}, written...)},
	}
}

// written are the entries that a sealer or an erasure writes where nobody can be
// asked for a reason, or to no use: they hold none.
var written = []string{actionOpen, actionErase, actionBegin, actionDrop}

// libraryWords begin the actions that the library itself writes.
var libraryWords = []string{
	"tenant.", "subject.", "keys.", "keystore.", "access.", "across.", "audit.", "sql.", "session.", "backup.", "incident.",
}

const anyAction = "*"

var (
	className     = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	actionPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./:-]{0,199}$`)
)

// classes finds the class of an action by what covers it.
type classes map[string]*Class

// newClasses joins those of the library with those that an application declares,
// and returns all that is wrong with these.
func newClasses(declared []Class) (classes, error) {
	all := classes{}
	for _, c := range defaultClasses() {
		all.add(&c)
	}
	library := all.clone()
	var errs []error
	names := map[string]bool{}
	for i := range declared {
		c := declared[i]
		c.Actions = slices.Clone(c.Actions)
		for _, err := range slices.Concat(c.problems(), library.loosened(&c), all.doubled(library, &c)) {
			errs = append(errs, fmt.Errorf("class %q: %w", c.Name, err))
		}
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("class %q is declared twice", c.Name))
		}
		names[c.Name] = true
		all.add(&c)
	}
	return all, errors.Join(errs...)
}

func (s classes) add(c *Class) {
	for _, a := range c.Actions {
		s[a] = c
	}
}

func (s classes) clone() classes {
	out := classes{}
	maps.Copy(out, s)
	return out
}

// of is the class that covers an action; nil for none.
func (s classes) of(action string) *Class {
	if c := s[action]; c != nil {
		return c
	}
	for p := action; ; {
		i := strings.LastIndexByte(strings.TrimSuffix(p, "."), '.')
		if i < 0 {
			return s[anyAction]
		}
		if p = p[:i+1]; s[p] != nil {
			return s[p]
		}
	}
}

// problems are what is wrong with a class by itself.
func (c *Class) problems() []error {
	var errs []error
	if !className.MatchString(c.Name) {
		errs = append(errs, errors.New("the name must match "+className.String()))
	}
	if len(c.Actions) == 0 {
		errs = append(errs, errors.New("it covers no action"))
	}
	for _, a := range c.Actions {
		if a != anyAction && !actionPattern.MatchString(a) {
			errs = append(errs, errors.New(`an action is neither a word of the code nor "*"`))
		}
	}
	switch {
	case c.Failure != FailClosed && c.Failure != FailOpen:
		errs = append(errs, errors.New("unknown failure mode"))
	case c.Failure == FailOpen && (c.Reason || c.Sealed):
		errs = append(errs, errors.New("it goes on without its event, and cannot demand a reason of it or its sealing"))
	}
	if c.Retention < 0 {
		errs = append(errs, errors.New("the retention is below zero"))
	}
	return errs
}

// loosened are the actions for which c asks less than the library does, or what
// cannot be had.
func (s classes) loosened(c *Class) []error {
	var errs []error
	for _, a := range c.Actions {
		own := s.of(a)
		switch {
		case own != nil && (own.Reason && !c.Reason || own.Sealed && !c.Sealed):
			errs = append(errs, fmt.Errorf("%s: asks for less than class %q of the library does", a, own.Name))
		case c.Failure == FailOpen && (a == anyAction || slices.ContainsFunc(libraryWords, func(w string) bool { return strings.HasPrefix(a, w) })):
			errs = append(errs, fmt.Errorf("%s: what the library records cannot be left out", a))
		case c.Reason && slices.Contains(written, a):
			errs = append(errs, fmt.Errorf("%s: the library writes it where nobody gives a reason", a))
		}
	}
	return errs
}

// doubled are the actions that another declared class covers by the same words.
func (s classes) doubled(library classes, c *Class) []error {
	var errs []error
	for i, a := range c.Actions {
		if s[a] != nil && s[a] != library[a] || slices.Contains(c.Actions[:i], a) {
			errs = append(errs, fmt.Errorf("%s is covered twice", a))
		}
	}
	return errs
}

// Classes are those in force, the library's and the application's, in the order
// of their names. An action that two of them cover by the same words is listed
// with the application's alone.
func (l *Log) Classes() []Class {
	byClass := map[*Class][]string{}
	for a, c := range l.classes {
		byClass[c] = append(byClass[c], a)
	}
	var out []Class
	for c, actions := range byClass {
		slices.Sort(actions)
		n := *c
		n.Actions = actions
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b Class) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), slices.Compare(a.Actions, b.Actions))
	})
	return out
}

var noClass = &Class{}

// classOf is the policy of an action.
func (l *Log) classOf(action string) *Class {
	if c := l.classes.of(action); c != nil {
		return c
	}
	return noClass
}

// CheckAction implements [tenancy.ActionChecker].
func (l *Log) CheckAction(ctx context.Context, action string) error {
	if _, err := l.open(ctx, uuid.Nil, action); err != nil {
		return err
	}
	return l.demand(ctx, action)
}

// demand refuses a person who does not say why, where the class wants to know.
func (l *Log) demand(ctx context.Context, action string) error {
	if !l.classOf(action).Reason || strings.TrimSpace(tenancy.ReasonFrom(ctx)) != "" {
		return nil
	}
	actor, err := tenancy.ActorFrom(ctx)
	if err == nil && actor.HasPerson() {
		err = tenancy.ErrNoReason
	}
	if err != nil {
		return fmt.Errorf("audit: %s: %w", action, err)
	}
	return nil
}
