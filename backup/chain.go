package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
}

// chain is a ledger as it was read.
type chain struct {
	heads    []string // after each line
	tenants  map[string]bool
	subjects map[string]bool // tenant/subject
	size     int64           // of the whole lines in the file
}

func newChain() *chain { return &chain{tenants: map[string]bool{}, subjects: map[string]bool{}} }

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
	return json.Marshal(entry{N: s.Entries + 1, At: at.UTC().Truncate(time.Microsecond), Tenant: tenant, Subject: subject, Prev: s.Head})
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
	c.heads = append(c.heads, digestOf(line))
	c.tenants[e.Tenant], c.subjects[e.Tenant+"/"+e.Subject] = true, true
	c.size += int64(len(line)) + 1
	return nil
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
	if e.N < 1 || !isPseudonym(e.Tenant) || !isDigest(e.Subject) || !isDigest(e.Prev) {
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
func parseChain(text []byte) (*chain, error) {
	c := newChain()
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

// readChain reads the ledger at path; none is an empty one.
func readChain(path string) (*chain, []byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newChain(), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: read the ledger: %w", ErrVault, err)
	}
	c, err := parseChain(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%s)", err, path)
	}
	return c, text[:c.size], nil
}

// longest is the copy of which all others are beginnings; behind is how many
// entries each lacks.
func longest(copies []*chain) (best int, behind []int, err error) {
	for i, c := range copies {
		if len(c.heads) > len(copies[best].heads) {
			best = i
		}
	}
	for i, c := range copies {
		if !copies[best].holds(c.state()) {
			return 0, nil, fmt.Errorf("%w: the copies in folders %d and %d of the vault contradict each other", ErrLedger, i+1, best+1)
		}
		behind = append(behind, len(copies[best].heads)-len(c.heads))
	}
	return best, behind, nil
}
