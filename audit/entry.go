package audit

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Entry is an event with its payload decrypted: who, when, what and why. It
// holds personal data; as a log value it shows its open part only.
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

	Reason string // why, as the context said
	Detail string // why it was refused, in words of the code
	// Fields is what changed, in the order of the columns' names.
	Fields []FieldChange
	Attrs  map[string]json.RawMessage
	// Withheld names what was never written because the person was erased.
	Withheld []string
	// Erased says that the payload, or a part of it, was erased.
	Erased bool
}

// FieldChange is a column before and after, as JSON; nil where there was none.
type FieldChange struct {
	Column   string          // name of the column
	Old, New json.RawMessage // nil where there was none
}

// LogValue implements [slog.LogValuer].
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", e.ID.String()), slog.Time("at", e.At), slog.String("actor", e.Actor),
		slog.String("action", e.Action), slog.String("object", e.Object.String()))
}

// String is the entry's open part.
func (e Entry) String() string {
	return fmt.Sprintf("%s %s %s %s", e.At.Format(time.RFC3339Nano), e.Actor, e.Action, e.Object)
}

// GoString is the entry's open part.
func (e Entry) GoString() string { return e.String() }

// fill adds one part to the entry.
func (e *Entry) fill(plain []byte) error {
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
	e.Reason, e.Detail, e.Attrs, e.Withheld = p.Reason, p.Detail, p.Attrs, p.Withheld
	return nil
}
