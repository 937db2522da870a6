package audit

import (
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	successionVersion = "art32/audit/succession/v1"
	causeRestore      = "restore"
)

// restoredFrom reads, from the note with which the next log follows, the head held
// outside that the log of key vkey fell short of when it was restored. It is false
// where no restore was declared by that log's own key.
func restoredFrom(opening, vkey string) (Checkpoint, bool) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil || len(opening) > maxCheckpoint {
		return Checkpoint{}, false
	}
	n, err := note.Open([]byte(opening), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, false
	}
	lines := strings.Split(strings.TrimSuffix(n.Text, "\n"), "\n")
	if len(lines) != 7 || lines[0] != successionVersion || lines[1] != verifier.Name() || lines[4] != causeRestore {
		return Checkpoint{}, false
	}
	size, root, ok := strings.Cut(lines[6], " ")
	n64, err := strconv.ParseInt(size, 10, 64)
	hash, rerr := base64.StdEncoding.Strict().DecodeString(root)
	if !ok || err != nil || rerr != nil || n64 < 0 || len(hash) != tlog.HashSize {
		return Checkpoint{}, false
	}
	return Checkpoint{Origin: verifier.Name(), Size: n64, Root: [tlog.HashSize]byte(hash)}, true
}

// covers reports whether a declared loss explains what is held outside: it names
// that head, or a later one. Of a witness the size alone is known.
func (c Checkpoint) covers(held Checkpoint) bool {
	return held.Size < c.Size || held.Size == c.Size && (held.Root == c.Root || held.Root == [tlog.HashSize]byte{})
}
