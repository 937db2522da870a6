package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Entry is an event with its payload decrypted: who, when, what and why. It
// holds personal data: for package fmt and loggers it shows its open part only.
// Encoded as JSON it is whole, since that is how an answer to a data subject or
// a tenant leaves the house; the caller must not log that.
type Entry struct {
	ID      uuid.UUID // of the event
	At      time.Time // UTC, by the clock of the process that wrote it
	Actor   string    // as tenancy.Actor.String writes it
	Session string    // "" without
	Action  string    // table and verb, or another word of the code
	Object  uuid.UUID // nil for none
	Outcome Outcome   // done or refused
	// Sealed says whether the event has its place in the tree, Index which.
	Sealed bool
	Index  int64
	// Forged says that the event waits for the sealer and was written or edited
	// outside the application: its MAC is wrong, nothing in it can be believed,
	// and its payload was not opened.
	Forged bool

	Reason string // why, as the context said
	Detail string // why it was refused, in words of the code
	// Fields is what changed, in the order of the columns' names.
	Fields []FieldChange
	// Attrs are those that concern nobody.
	Attrs map[string]json.RawMessage
	// Parts tell of data subjects; those of people who were erased are gone.
	Parts []EntryPart
	// Withheld names what was never written because the person was erased.
	Withheld []string
	// Erased says that the payload, or a part of it, was erased.
	Erased bool
	// Damaged says that a part of the payload is not one that the application
	// wrote, or is not whole; it is left out. Verify says more.
	Damaged bool
}

// EntryPart is what an event tells of one data subject. For package fmt and loggers
// it shows that there is one only.
type EntryPart struct {
	Subject uuid.UUID                  // the data subject's id
	Attrs   map[string]json.RawMessage // as they were written; may be empty
}

// String is a fixed word.
func (p EntryPart) String() string { return "part" }

// GoString is a fixed word.
func (p EntryPart) GoString() string { return p.String() }

// Format implements [fmt.Formatter]: every verb shows a fixed word.
func (p EntryPart) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, p.String()) }

// LogValue implements [slog.LogValuer].
func (p EntryPart) LogValue() slog.Value { return slog.StringValue(p.String()) }

// FieldChange is a column before and after, as JSON; nil where there was none.
// For package fmt and loggers it shows the column's name only; encoded as JSON
// it is whole, as an [Entry] is.
type FieldChange struct {
	Column   string          // name of the column
	Old, New json.RawMessage // nil where there was none
}

// LogValue implements [slog.LogValuer].
func (e Entry) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("id", e.ID.String()), slog.Time("at", e.At), slog.String("actor", e.Actor),
		slog.String("action", e.Action), slog.String("object", e.Object.String()),
	}
	if e.Forged {
		attrs = append(attrs, slog.Bool("forged", true))
	}
	return slog.GroupValue(attrs...)
}

// String is the entry's open part.
func (e Entry) String() string {
	s := e.At.Format(time.RFC3339Nano) + " " + e.Actor + " " + e.Action + " " + e.Object.String()
	if e.Forged {
		s += " (forged)"
	}
	return s
}

// GoString is the entry's open part.
func (e Entry) GoString() string { return e.String() }

// Format implements [fmt.Formatter]: every verb shows the open part.
func (e Entry) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.String()) }

// String is the column's name.
func (c FieldChange) String() string { return c.Column }

// GoString is the column's name.
func (c FieldChange) GoString() string { return c.Column }

// Format implements [fmt.Formatter]: every verb shows the column's name.
func (c FieldChange) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.Column) }

// LogValue implements [slog.LogValuer].
func (c FieldChange) LogValue() slog.Value { return slog.StringValue(c.Column) }

// fill adds one part to the entry; a nil subject is nobody.
func (e *Entry) fill(subject uuid.UUID, plain []byte) error {
	var p struct {
		Attrs  map[string]json.RawMessage `json:"attrs"`
		Detail string                     `json:"detail"`
		Fields map[string]struct {
			Old json.RawMessage `json:"old"`
			New json.RawMessage `json:"new"`
		} `json:"fields"`
		Reason   string   `json:"reason"`
		Withheld []string `json:"withheld"`
	}
	if err := json.Unmarshal(plain, &p); err != nil {
		return ErrDamaged // the text of the other quotes the payload
	}
	for column, c := range p.Fields {
		e.Fields = append(e.Fields, FieldChange{Column: column, Old: c.Old, New: c.New})
	}
	slices.SortFunc(e.Fields, func(a, b FieldChange) int { return strings.Compare(a.Column, b.Column) })
	e.Reason, e.Detail = cmp.Or(e.Reason, p.Reason), cmp.Or(e.Detail, p.Detail)
	e.Withheld = append(e.Withheld, p.Withheld...)
	if subject == uuid.Nil {
		e.Attrs = p.Attrs
		return nil
	}
	e.Parts = append(e.Parts, EntryPart{Subject: subject, Attrs: p.Attrs})
	return nil
}
