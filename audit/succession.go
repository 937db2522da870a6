package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	successionLabel = "art32/audit/succession/v1"
	successionTime  = "2006-01-02T15:04:05.000000Z"
)

// ErrSuccession says that a succession is malformed, or not signed by the key of
// the log that it follows.
var ErrSuccession = errors.New("audit: succession not valid")

// Cause is why a log was followed by another. The text is stable.
type Cause string

// The causes.
const (
	CausePeriod   Cause = "period"   // it was older than a period
	CauseRotation Cause = "rotation" // its signing key was to be exchanged
	CauseRestore  Cause = "restore"  // the database was restored from a backup
)

// Succession says that a log ended and which one follows. The key of the log that
// ended signs it, so that whoever holds an old key comes to the newest.
// docs/formats/audit-log.md is its specification.
type Succession struct {
	// Previous is the head with which the log ended.
	Previous Checkpoint
	// Next is the public key of the log that follows, in the form of a note
	// verifier.
	Next  string
	Cause Cause
	At    time.Time // UTC, in microseconds
	// Held is, after a restore, the head that was held outside and that the
	// restored log falls short of; nil for none. Its origin is that of Previous.
	Held *Checkpoint
}

// ParseSuccession reads a signed succession and checks its signature against
// vkey, the public key of the log that ended. Any fault is [ErrSuccession].
func ParseSuccession(signed []byte, vkey string) (Succession, error) {
	if len(signed) > maxCheckpoint {
		return Succession{}, fmt.Errorf("%w: too long", ErrSuccession)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return Succession{}, fmt.Errorf("%w: malformed public key", ErrSuccession)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Succession{}, fmt.Errorf("%w: no signature of the key of the log that ended", ErrSuccession)
	}
	s, err := parseSuccessionText(n.Text)
	if err != nil {
		return Succession{}, err
	}
	if s.Previous.Origin != verifier.Name() {
		return Succession{}, fmt.Errorf("%w: another log ended", ErrSuccession)
	}
	return s, nil
}

// parseSuccessionText takes the one form that text writes.
func parseSuccessionText(text string) (Succession, error) {
	malformed := fmt.Errorf("%w: malformed", ErrSuccession)
	lines := strings.Split(text, "\n")
	if len(lines) < 7 || len(lines) > 8 || lines[0] != successionLabel {
		return Succession{}, malformed
	}
	previous, ok := parseHead(lines[1], lines[2])
	at, err := time.Parse(successionTime, lines[5])
	s := Succession{Previous: previous, Next: lines[3], Cause: Cause(lines[4]), At: at}
	if !ok || err != nil || !slices.Contains([]Cause{CausePeriod, CauseRotation, CauseRestore}, s.Cause) {
		return Succession{}, malformed
	}
	if len(lines) == 8 {
		held, ok := parseHead(lines[1], lines[6])
		if !ok || s.Cause != CauseRestore {
			return Succession{}, malformed
		}
		s.Held = &held
	}
	if _, err := logOfKey(s.Next); err != nil || s.text() != text {
		return Succession{}, malformed
	}
	return s, nil
}

// parseHead reads size and root from one line.
func parseHead(origin, line string) (Checkpoint, bool) {
	size, root, ok := strings.Cut(line, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	hash, bad := base64.StdEncoding.DecodeString(root)
	if !ok || err != nil || n < 0 || bad != nil || len(hash) != tlog.HashSize {
		return Checkpoint{}, false
	}
	return Checkpoint{Origin: origin, Size: n, Root: [tlog.HashSize]byte(hash)}, true
}

// text is the signed text.
func (s *Succession) text() string {
	head := func(c *Checkpoint) string {
		return strconv.FormatInt(c.Size, 10) + " " + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
	}
	text := successionLabel + "\n" + s.Previous.Origin + "\n" + head(&s.Previous) + s.Next + "\n" +
		string(s.Cause) + "\n" + s.At.UTC().Format(successionTime) + "\n"
	if s.Held != nil {
		text += head(s.Held)
	}
	return text
}

// succession signs s with the key of the log that ends.
func (s *signer) succession(of *Succession) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: of.text()}, s)
	if err != nil {
		return nil, fmt.Errorf("audit: sign succession: %w", err)
	}
	return signed, nil
}

// follows checks that the log to begins where the log from ends, and that the
// key of from vouches for it.
func follows(from, to *head) (Succession, error) {
	s, err := ParseSuccession([]byte(to.succession), from.vkey)
	if err != nil {
		return Succession{}, err
	}
	switch id, err := logOfKey(from.vkey); {
	case err != nil || id != from.id || s.Previous.Origin != originOf(from.id):
		return s, fmt.Errorf("%w: the id of the log that ended is not that of its key", ErrSuccession)
	case s.Next != to.vkey:
		return s, fmt.Errorf("%w: it names another key than that of the log that follows", ErrSuccession)
	case to.base != from.base+from.size || to.shard <= from.shard:
		return s, fmt.Errorf("%w: the log does not begin where the other ends", ErrSuccession)
	case s.Previous.Size != from.size || s.Previous.Root != from.root:
		return s, fmt.Errorf("%w: the log ended with another head", ErrSuccession)
	}
	return s, nil
}
