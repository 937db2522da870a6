package sessiontest_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sessiontest"
)

// faults are what the stores below do wrong, one each.
var faults = []string{
	"insert: keeps seconds only",
	"insert: overwrites",
	"insert: replaces what was revoked",
	"insert: takes the token of what was revoked",
	"lookup: hides what is old by its own clock",
	"lookup: answers from a cache",
	"lookup: remembers who was unknown",
	"lookup: remembers beyond a touch",
	"lookup: remembers beyond a revocation",
	"lookup: remembers beyond a rotation",
	"lookup: remembers beyond a purge",
	"lookup: gives local times",
	"lookup: answers an unknown token with an empty session",
	"lookup: answers an unknown token with a failure",
	"touch: passes over what is idle by its own clock",
	"touch: does nothing",
	"touch: moves back",
	"touch: does a thousand",
	"touch: fails at what is gone",
	"touch: is an upsert",
	"touch: revives what was revoked",
	"touch: reads, then writes",
	"revoke: finds no user",
	"revoke: forgets the tenant",
	"revoke: forgets the user",
	"revoke: takes the user of an id",
	"revoke: takes everybody",
	"revoke: counts what was revoked before",
	"revoke: overwrites time and reason",
	"revoke: takes everything for nothing",
	"revoke: reads, then writes",
	"revoke: ends a hundred of a user",
	"revoke: ends a hundred of a tenant",
	"revoke: asks for a thousand ids",
	"revoke: counts all and ends a hundred",
	"revoke: passes over what is idle by its own clock",
	"list: shows a hundred",
	"list: hides what is idle by its own clock",
	"list: shows what was revoked",
	"list: shows the tenant for a user",
	"list: shows nothing by id",
	"rotate: keeps the old token",
	"rotate: asks for no token",
	"rotate: revives what was revoked",
	"rotate: revives what was purged",
	"rotate: is an upsert",
	"rotate: refuses what is idle by its own clock",
	"rotate: forgets when",
	"rotate: reads, then writes",
	"rotate: writes back what it read",
	"purge: keeps what was revoked",
	"purge: takes everything",
	"purge: does nothing",
}

// TestBroken shows that each broken store is caught, and that each case catches
// one.
func TestBroken(t *testing.T) {
	t.Parallel()
	cases := sessiontest.StoreCases()
	caught := make([]bool, len(cases))
	for _, fault := range faults {
		found := false
		for i, c := range cases {
			if c.Check(t.Context(), newBroken(fault)) != nil {
				caught[i], found = true, true
			}
		}
		if !found {
			t.Errorf("no case catches a store whose fault is %q", fault)
		}
	}
	for i, c := range cases {
		if !caught[i] {
			t.Errorf("case %q catches no broken store", c.Name)
		}
		if err := c.Check(t.Context(), newBroken("")); err != nil {
			t.Errorf("case %q refuses the sound store: %v", c.Name, err)
		}
		if c.Measure == "" || c.Explanation == "" {
			t.Errorf("case %q lacks its measure or explanation", c.Name)
		}
	}
}

// broken is a store with one fault; it is sound with none.
type broken struct {
	fault string

	mu     sync.Mutex
	rows   map[uuid.UUID]*session.Row
	tokens map[session.Hash]uuid.UUID
	purged map[uuid.UUID]*session.Row
	cache  map[session.Hash]answer
	gap    atomic.Int64
}

// answer is one that Lookup remembers.
type answer struct {
	row session.Row
	err error
}

func newBroken(fault string) *broken {
	return &broken{
		fault: fault, rows: map[uuid.UUID]*session.Row{}, tokens: map[session.Hash]uuid.UUID{}, purged: map[uuid.UUID]*session.Row{}, cache: map[session.Hash]answer{},
	}
}

// changed forgets what Lookup remembers, but where forgetting it is the fault.
func (b *broken) changed(unless string) {
	if b.fault != "lookup: answers from a cache" && b.fault != unless {
		clear(b.cache)
	}
}

// pause lets others in between reading and writing, as a network does.
func (b *broken) pause() {
	b.mu.Unlock()
	defer b.mu.Lock()
	for range 20 {
		runtime.Gosched()
	}
}

// between lets another caller in between reading and writing.
func (b *broken) between(fault string) {
	if b.fault != fault {
		return
	}
	b.mu.Unlock()
	defer b.mu.Lock()
	b.gap.Add(1)
	for range 100_000 {
		if b.gap.Load() >= 2 {
			return
		}
		runtime.Gosched()
	}
}

func (b *broken) Insert(_ context.Context, row session.Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken(b.rows[row.ID], "insert: replaces what was revoked") || b.taken(b.rows[b.tokens[row.Hash]], "insert: takes the token of what was revoked") {
		return errors.New("exists")
	}
	if b.fault == "insert: keeps seconds only" {
		row.Created = row.Created.Truncate(time.Second)
	}
	row.Created, row.LastSeen, row.Authenticated = row.Created.UTC(), row.LastSeen.UTC(), row.Authenticated.UTC()
	b.rows[row.ID], b.tokens[row.Hash] = &row, row.ID
	b.changed("lookup: remembers who was unknown")
	return nil
}

// taken reports whether a session is in the way of another, but where passing
// over those that were revoked is the fault.
func (b *broken) taken(row *session.Row, unless string) bool {
	return row != nil && b.fault != "insert: overwrites" && (row.Revoked.IsZero() || b.fault != unless)
}

// idle reports a session that has timed out by the store's own clock, where
// looking at it is the fault.
func (b *broken) idle(row *session.Row, fault string) bool {
	return b.fault == fault && time.Since(row.LastSeen) > 30*time.Minute
}

func (b *broken) Lookup(_ context.Context, h session.Hash) (session.Row, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.cache[h]
	if !ok {
		known.row, known.err = b.lookup(h)
		if known.err == nil || b.fault == "lookup: remembers who was unknown" {
			b.cache[h] = known
		}
	}
	return known.row, known.err
}

func (b *broken) lookup(h session.Hash) (session.Row, error) {
	row := b.rows[b.tokens[h]]
	switch {
	case row == nil && b.fault == "lookup: answers an unknown token with an empty session":
		return session.Row{}, nil
	case row == nil && b.fault == "lookup: answers an unknown token with a failure":
		return session.Row{}, errors.New("no rows")
	case row == nil, b.idle(row, "lookup: hides what is old by its own clock"):
		return session.Row{}, session.ErrNotFound
	}
	out := *row
	if b.fault == "rotate: keeps the old token" || b.fault == "rotate: reads, then writes" {
		out.Hash = h
	}
	if b.fault == "lookup: gives local times" {
		out.Created = out.Created.In(time.FixedZone("here", 7200))
	}
	return out, nil
}

func (b *broken) Rotate(_ context.Context, old session.Hash, to session.Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := b.rows[to.ID]
	switch {
	case row == nil && b.fault == "rotate: revives what was purged" && b.purged[to.ID] != nil, row == nil && b.fault == "rotate: is an upsert":
		b.rows[to.ID], b.tokens[to.Hash] = &to, to.ID
		return nil
	case row != nil && b.idle(row, "rotate: refuses what is idle by its own clock"):
		return session.ErrNotFound
	}
	if row == nil || row.Hash != old && b.fault != "rotate: asks for no token" ||
		!row.Revoked.IsZero() && b.fault != "rotate: revives what was revoked" {
		return session.ErrNotFound
	}
	b.between("rotate: reads, then writes")
	if b.fault == "rotate: writes back what it read" {
		read := *row
		b.pause()
		if b.rows[to.ID] == nil || b.rows[to.ID].Hash != old {
			return session.ErrNotFound
		}
		row = &read
		b.rows[to.ID] = row
	}
	if b.fault != "rotate: keeps the old token" {
		delete(b.tokens, row.Hash)
	}
	if b.fault == "rotate: reads, then writes" {
		delete(b.tokens, old)
	}
	row.Hash, row.Revoked, row.Reason = to.Hash, time.Time{}, ""
	if b.fault != "rotate: forgets when" {
		row.Authenticated = to.Authenticated.UTC()
	}
	b.tokens[row.Hash] = row.ID
	b.changed("lookup: remembers beyond a rotation")
	return nil
}

func (b *broken) Touch(_ context.Context, touches []session.Touch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changed("lookup: remembers beyond a touch")
	for i, t := range touches {
		row := b.rows[t.ID]
		switch {
		case b.fault == "touch: does nothing", i >= 1000 && b.fault == "touch: does a thousand":
			continue
		case row == nil && b.fault == "touch: is an upsert" && b.purged[t.ID] != nil:
			row = b.purged[t.ID]
			b.rows[t.ID], b.tokens[row.Hash] = row, t.ID
		case row == nil && b.fault == "touch: fails at what is gone":
			return session.ErrNotFound
		case row == nil, !row.Revoked.IsZero() && b.fault != "touch: revives what was revoked", b.idle(row, "touch: passes over what is idle by its own clock"):
			continue
		}
		row.Revoked, row.Reason = time.Time{}, ""
		if b.fault == "touch: reads, then writes" {
			read := *row
			b.pause()
			row = &read
			b.rows[row.ID], b.tokens[row.Hash] = row, row.ID
		}
		if row.LastSeen.Before(t.At) || b.fault == "touch: moves back" {
			row.LastSeen = t.At.UTC()
		}
	}
	return nil
}

func (b *broken) Revoke(_ context.Context, s session.Selector, at time.Time, why session.Reason) (ids []uuid.UUID, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Kind() == "" && b.fault != "revoke: takes everything for nothing" {
		return nil, session.ErrSelector
	}
	if ids := s.IDs(); len(ids) > 1000 && b.fault == "revoke: asks for a thousand ids" {
		s = session.OfID(ids[:1000]...)
	}
	var found []*session.Row
	match := matching(s)
	for _, row := range b.rows {
		live := row.Revoked.IsZero() && !b.idle(row, "revoke: passes over what is idle by its own clock")
		if b.chooses(s, match(row.Session), row.Session) && (live || b.fault == "revoke: counts what was revoked before") {
			found = append(found, row)
		}
		if b.fault == "revoke: overwrites time and reason" && !live && match(row.Session) {
			row.Revoked, row.Reason = at.UTC(), why
		}
	}
	b.between("revoke: reads, then writes")
	found = found[:b.most(s, len(found))]
	for i, row := range found {
		ids = append(ids, row.ID)
		if i >= 100 && b.fault == "revoke: counts all and ends a hundred" {
			continue
		}
		if row.Revoked.IsZero() {
			row.Revoked, row.Reason = at.UTC(), why
		}
	}
	b.changed("lookup: remembers beyond a revocation")
	return ids, nil
}

// most is how many of n sessions one call ends.
func (b *broken) most(s session.Selector, n int) int {
	if b.fault == "revoke: ends a hundred of a user" && s.Kind() == session.KindUser ||
		b.fault == "revoke: ends a hundred of a tenant" && s.Kind() == session.KindTenant {
		return min(n, 100)
	}
	return n
}

// matching is s.Matches, also for many ids and many sessions.
func matching(s session.Selector) func(session.Session) bool {
	if s.Kind() != session.KindID {
		return s.Matches
	}
	asked := map[uuid.UUID]bool{}
	for _, id := range s.IDs() {
		asked[id] = true
	}
	return func(x session.Session) bool { return asked[x.ID] }
}

// chooses says whether s chooses x: where it matches, and with faults.
func (b *broken) chooses(s session.Selector, matches bool, x session.Session) bool {
	switch b.fault {
	case "revoke: finds no user":
		return s.Kind() != session.KindUser && matches
	case "revoke: forgets the tenant":
		return matches || s.Kind() == session.KindUser && x.User == s.User()
	case "revoke: forgets the user":
		return matches || s.Kind() == session.KindUser && x.Tenant == s.Tenant()
	case "revoke: takes everybody":
		return matches || s.Kind() == session.KindTenant
	case "revoke: takes everything for nothing":
		return matches || s.Kind() == ""
	case "revoke: takes the user of an id":
		for _, id := range s.IDs() {
			if row := b.rows[id]; row != nil && row.Tenant == x.Tenant && row.User == x.User {
				return true
			}
		}
	}
	return matches
}

func (b *broken) List(_ context.Context, s session.Selector) (all []session.Session, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Kind() == "" {
		return nil, session.ErrSelector
	}
	if s.Kind() == session.KindUser && b.fault == "list: shows the tenant for a user" {
		s = session.OfTenant(s.Tenant())
	}
	match := matching(s)
	for _, row := range b.rows {
		if match(row.Session) && (row.Revoked.IsZero() || b.fault == "list: shows what was revoked") &&
			(s.Kind() != session.KindID || b.fault != "list: shows nothing by id") &&
			!b.idle(row, "list: hides what is idle by its own clock") && (len(all) < 100 || b.fault != "list: shows a hundred") {
			all = append(all, row.Session)
		}
	}
	return all, nil
}

func (b *broken) Purge(_ context.Context, before time.Time) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := 0
	for id, row := range b.rows {
		if !row.Created.Before(before) && b.fault != "purge: takes everything" || b.fault == "purge: does nothing" ||
			!row.Revoked.IsZero() && b.fault == "purge: keeps what was revoked" {
			continue
		}
		count++
		delete(b.rows, id)
		delete(b.tokens, row.Hash)
		b.purged[id] = row
	}
	b.changed("lookup: remembers beyond a purge")
	return count, nil
}
