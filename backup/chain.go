package backup

import (
	"bytes"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// noHead is the head of a ledger without entries.
var noHead = strings.Repeat("0", 64)

// entry is one line of the ledger of erasures.
type entry struct {
	N       int64     `json:"n"` // from 1
	At      time.Time `json:"at"`
	Tenant  string    `json:"tenant"`  // its pseudonym
	Subject string    `json:"subject"` // HMAC of tenant and data subject
	Prev    string    `json:"prev"`    // SHA-256 of the line before, without its end
	MAC     string    `json:"mac"`     // HMAC of the line up to here
}

// macMember begins the last member of a line.
const macMember = `,"mac":"`

// macOf is the HMAC of a line up to its last member.
func macOf(secret, line []byte) string {
	return hex.EncodeToString(code(secret, line[:max(0, bytes.LastIndex(line, []byte(macMember)))]))
}

// chain is a ledger as it was read.
type chain struct {
	secret   []byte   // of the lines' HMAC; nil: they are not looked at
	heads    []string // after each line
	last     []byte   // line
	tenants  map[string]bool
	subjects map[string]bool // tenant/subject
	size     int64           // of the whole lines in the file
}

func newChain(secret []byte) *chain {
	return &chain{secret: secret, tenants: map[string]bool{}, subjects: map[string]bool{}}
}

func (c *chain) state() LedgerState {
	s := LedgerState{Entries: int64(len(c.heads)), Head: noHead}
	if s.Entries > 0 {
		s.Head = c.heads[s.Entries-1]
	}
	return s
}

// holds reports whether the chain once was, or is, at the state s.
func (c *chain) holds(s LedgerState) bool {
	switch {
	case s.Entries == 0:
		return s.Head == noHead
	case s.Entries < 0 || s.Entries > int64(len(c.heads)):
		return false
	}
	return c.heads[s.Entries-1] == s.Head
}

func (c *chain) has(tenant, subject string) bool { return c.subjects[tenant+"/"+subject] }

// next makes the line, without its end, that follows.
func (c *chain) next(at time.Time, tenant, subject string) ([]byte, error) {
	s := c.state()
	e := entry{N: s.Entries + 1, At: at.UTC().Truncate(time.Microsecond), Tenant: tenant, Subject: subject, Prev: s.Head}
	line, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	e.MAC = macOf(c.secret, line)
	return json.Marshal(e)
}

// add takes a line without its end.
func (c *chain) add(line []byte) error {
	e, err := parseEntry(line)
	if err != nil {
		return err
	}
	if s := c.state(); e.N != s.Entries+1 || e.Prev != s.Head {
		return errors.New("it does not follow the line before")
	}
	if c.secret != nil && !hmac.Equal([]byte(e.MAC), []byte(macOf(c.secret, line))) {
		return errors.New("this system did not write it, or it was changed")
	}
	c.heads, c.last = append(c.heads, digestOf(line)), bytes.Clone(line)
	c.note(e)
	c.size += int64(len(line)) + 1
	return nil
}

// note remembers whom an entry names.
func (c *chain) note(e entry) {
	c.tenants[e.Tenant], c.subjects[e.Tenant+"/"+e.Subject] = true, true
}

// parseEntry takes lines in the one form that is written.
func parseEntry(line []byte) (entry, error) {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, errors.New("it is no entry")
	}
	again, err := json.Marshal(e)
	if err != nil || !bytes.Equal(again, line) {
		return e, errors.New("it is not in the form that is written")
	}
	if e.N < 1 || !isPseudonym(e.Tenant) || !isDigest(e.Subject) || !isDigest(e.Prev) || !isDigest(e.MAC) {
		return e, errors.New("a value in it is none")
	}
	return e, nil
}

func isPseudonym(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == pseudonymSize && strings.ToLower(s) == s
}

// parseChain reads a ledger. A last line without an end was torn by a crash
// before it counted, and is left out.
func parseChain(text, secret []byte) (*chain, error) {
	c := newChain(secret)
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			break
		}
		if err := c.add(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrLedger, len(c.heads)+1, err)
		}
		text = rest
	}
	return c, nil
}

// readChain reads the ledger of a folder; none is an empty one, without a text.
func readChain(f *folder, secret []byte) (*chain, []byte, error) {
	text, err := f.read(ledgerName)
	if errors.Is(err, fs.ErrNotExist) {
		return newChain(secret), nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := parseCopy(f.path, text, secret)
	if err != nil {
		return nil, nil, err
	}
	return c, text[:c.size], nil
}

// salvage takes every line that is an entry, whatever is between them. A line
// that somebody made up erases nobody: codes cannot be guessed.
func (c *chain) salvage(text []byte) {
	for line := range bytes.Lines(text) {
		if e, err := parseEntry(bytes.TrimSuffix(line, []byte("\n"))); err == nil {
			c.note(e)
		}
	}
}

// longest is the copy of which all others are beginnings; behind is how many
// entries each lacks.
func longest(copies []*chain, dirs []string) (best int, behind []int, err error) {
	for i, c := range copies {
		if len(c.heads) > len(copies[best].heads) {
			best = i
		}
	}
	for i, c := range copies {
		if !copies[best].holds(c.state()) {
			return 0, nil, fmt.Errorf("%w: the copies in folders %s and %s contradict each other", ErrLedger, dirs[i], dirs[best])
		}
		behind = append(behind, len(copies[best].heads)-len(c.heads))
	}
	return best, behind, nil
}
