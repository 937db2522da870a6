package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TraceQuery selects what was done to the rows of one tenant: in a span of time,
// by some actors or sessions, in some tables, in some way. Empty lists do not narrow.
type TraceQuery struct {
	From     time.Time // inclusive; zero: since the beginning
	Until    time.Time // exclusive; zero: until now
	Actors   []string  // as [Actor.String] writes them; one finds too what it did for others
	Sessions []string  // public ids
	Tables   []string  // as declared
	Verbs    []string  // insert, update, delete, and read where the log keeps reads
}

// IsZero reports whether q narrows nothing.
func (q TraceQuery) IsZero() bool {
	return q.From.IsZero() && q.Until.IsZero() && len(q.Actors)+len(q.Sessions)+len(q.Tables)+len(q.Verbs) == 0
}

// CheckTrace refuses a query that can match nothing: a table that is not in the
// schema, a verb that no event has, an actor that [Actor.String] never writes,
// an empty session, or a span that ends before it begins. Such a query is a slip
// of the pen, and its answer "nothing" would pass for a finding. No error holds
// a word of q.
func (db *DB) CheckTrace(q TraceQuery) error {
	if !q.From.IsZero() && !q.Until.IsZero() && !q.From.Before(q.Until) {
		return errors.New("tenancy: check query: the span ends before it begins")
	}
	if names := db.schema.names(); slices.ContainsFunc(q.Tables, func(t string) bool { return !slices.Contains(names, t) }) {
		return fmt.Errorf("tenancy: check query: a table is not in the schema, which has %s", strings.Join(names, ", "))
	}
	if slices.ContainsFunc(q.Verbs, func(v string) bool { return !slices.Contains([]string{"insert", "update", "delete", "read"}, v) }) {
		return errors.New("tenancy: check query: a verb is not insert, update, delete or read")
	}
	if slices.ContainsFunc(q.Actors, func(a string) bool { return !isActor(a) }) {
		return errors.New("tenancy: check query: an actor is neither person:<uuid>, service:<name> nor system:<name>, alone or for another")
	}
	if slices.Contains(q.Sessions, "") {
		return errors.New("tenancy: check query: a session is empty")
	}
	return nil
}

// names are those of the tables, in the order of the schema.
func (s Schema) names() (names []string) {
	for _, t := range s {
		names = append(names, t.describe().name)
	}
	return names
}

// isActor reports whether [Actor.String] may have written text.
func isActor(text string) bool {
	_, err := ParseActor(text)
	return err == nil
}

// Trace is what the log of one tenant tells about a [TraceQuery]. It counts
// changes; a log that keeps no reads says nothing about who saw what.
type Trace struct {
	Events   int          // that match
	Records  int          // distinct rows that they changed
	Subjects int          // distinct data subjects that they name
	Unnamed  int          // events whose data subject was erased since: Subjects is then a lower bound
	Tables   []TableTrace // in the order of their names
	Log      string       // origin of the log; empty when nothing was sealed yet
	Size     int64        // of its newest checkpoint, in entries
	Root     []byte       // of the same, 32 bytes
	Pending  int          // matching events that wait for the sealer
}

// TableTrace is the part of a [Trace] that lies in one table.
type TableTrace struct {
	Table    string // as declared
	Records  int    // distinct rows that were changed
	Subjects int    // distinct data subjects that the events name
}
