package incident

import (
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Kind is what a breach touched, a set (Art. 4(12) GDPR; EDPB Guidelines 9/2022).
type Kind int

// The three kinds, to be joined with |.
const (
	Confidentiality Kind = 1 << iota // disclosed or accessed
	Integrity                        // altered
	Availability                     // lost or destroyed
)

// kinds are the words for each.
var kinds = []struct {
	kind      Kind
	word, say string
}{
	{Confidentiality, "confidentiality", "Vertraulichkeit / confidentiality"},
	{Integrity, "integrity", "Integrität / integrity"},
	{Availability, "availability", "Verfügbarkeit / availability"},
}

// Words are the English words of the set, as the format has them.
func (k Kind) Words() []string {
	var words []string
	for _, x := range kinds {
		if k&x.kind != 0 {
			words = append(words, x.word)
		}
	}
	return words
}

// Report is what is known when a case is opened. Its texts go to every affected
// controller: the caller must not name one of them, nor a person.
type Report struct {
	// Aware is when the vendor became aware: a reasonable degree of certainty
	// that personal data have been compromised (EDPB Guidelines 9/2022, 31). All
	// clocks count from here. Required; not in the future.
	Aware time.Time
	// Kind is what the breach touched. Required.
	Kind Kind
	// Title is one line of at most 200 characters. Required.
	Title string
	// Nature, Consequences and Measures are those of Art. 33(3)(a), (c) and (d)
	// GDPR, of at most 10,000 characters each. Empty means: to follow.
	Nature, Consequences, Measures string
	// Scope finds the affected tenants: those in whose log it matches a change.
	// Without an end it ends when the case is opened, or five minutes later where
	// that takes in changes that were there already, by a clock that is ahead; those
	// dated later still are told as a damaged log. Default: Tenants alone are
	// affected; the two must not both be left out.
	Scope tenancy.TraceQuery
	// Tenants are affected whatever their logs show, as when data was read or a
	// copy was lost. Without a Scope their deletions count from the beginning of
	// the log. Default: none.
	Tenants []tenancy.ID
}

// Case is an incident under its id.
type Case struct {
	ID     uuid.UUID // random
	Opened time.Time // UTC
	By     string    // who opened it, as tenancy.Actor.String writes it
	Reason string    // why, as the context said
	Report Report    // with the end of its scope
	// Ahead are tenants in whose logs matching changes were dated more than five
	// minutes after the opening of the case although they were there, or whose logs
	// could not be read then. Empty where the report gave the scope its end.
	Ahead []tenancy.ID
}

// Vendor is who notifies: the processor and the contact point of Art. 33(3)(b)
// GDPR. Phone may be empty.
type Vendor struct {
	Name    string // of the company
	Contact string // who answers there
	Mail    string // a plain address
	Phone   string // default: none
}

const (
	maxLine = 200
	maxText = 10000
)

func (r *Report) check() error {
	if r.Aware.IsZero() || r.Kind <= 0 || r.Kind >= Availability<<1 {
		return fmt.Errorf("%w: report: time of awareness and kind are required", ErrReport)
	}
	if r.Aware.After(time.Now()) {
		return ErrFuture
	}
	if err := checkLine("title", r.Title, true); err != nil {
		return err
	}
	for name, s := range map[string]string{"nature": r.Nature, "consequences": r.Consequences, "measures": r.Measures} {
		if !printable(s, maxText, "\n\t") {
			return fmt.Errorf("%w: %s: at most %d printable characters", ErrReport, name, maxText)
		}
	}
	return nil
}

func (v *Vendor) check() error {
	for name, s := range map[string]string{"vendor's name": v.Name, "vendor's contact": v.Contact} {
		if err := checkLine(name, s, true); err != nil {
			return err
		}
	}
	if err := checkLine("vendor's phone", v.Phone, false); err != nil {
		return err
	}
	return checkMail("vendor's mail", v.Mail)
}

// checkLine wants one line without anything that a terminal or a mail header
// would obey.
func checkLine(name, s string, required bool) error {
	if required && strings.TrimSpace(s) == "" || !printable(s, maxLine, "") {
		return fmt.Errorf("%w: %s: one line of 1 to %d printable characters", ErrReport, name, maxLine)
	}
	return nil
}

// checkMail wants a bare address.
func checkMail(name, s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || !printable(s, maxLine, "") || strings.ContainsAny(s, " <>\"") {
		return fmt.Errorf("%w: %s: no plain mail address", ErrReport, name)
	}
	return nil
}

// printable reports whether s is valid text of at most limit characters without
// control characters, but those in allowed, and without marks that reorder it.
func printable(s string, limit int, allowed string) bool {
	if len(s) > utf8.UTFMax*limit || !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return obeyed(r) && !strings.ContainsRune(allowed, r) })
}

// obeyed reports whether r does something instead of being shown.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// shown is s as one line that does nothing: for names that others chose.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if obeyed(r) {
			return ' '
		}
		return r
	}, s)
}
