package tenancy

import "time"

// TraceQuery selects what was done to the rows of one tenant: in a span of time,
// by some actors or sessions, in some tables, in some way. Empty lists do not narrow.
type TraceQuery struct {
	From     time.Time // inclusive; zero: since the beginning
	Until    time.Time // exclusive; zero: until now
	Actors   []string  // as [Actor.String] writes them
	Sessions []string  // public ids
	Tables   []string  // as declared
	Verbs    []string  // insert, update or delete
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
