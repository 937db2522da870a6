package audit

import "golang.org/x/mod/sumdb/tlog"

// restored is the head held outside that a log fell short of when it was restored;
// nil where the log that follows declares no such thing.
func restored(from, to *head) *Checkpoint {
	s, err := follows(from, to)
	if err != nil {
		return nil
	}
	return s.Held
}

// excuses reports whether a declared loss explains what is held outside: it names
// that head, or a later one. Of a witness the size alone is known.
func excuses(c *Checkpoint, held Checkpoint) bool {
	return c != nil && (held.Size < c.Size || held.Size == c.Size && (held.Root == c.Root || held.Root == [tlog.HashSize]byte{}))
}
