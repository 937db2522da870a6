package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// node is what this process knows of the sessions in use: when each was last
// seen, and the requests that run in it. It forgets a session when that reaches
// a limit without a request.
type node struct {
	mu sync.Mutex
	// ended counts the sessions that were ended here, and recent holds the last of
	// them. A request whose session was among them after it had read it, and before
	// it registered, reads again.
	ended  uint64
	recent [256]uuid.UUID
	uses   map[uuid.UUID]*use
	due    map[uuid.UUID]*use // touches for Run to write
}

// use is one session in use on this node.
type use struct {
	session Session   // as it was read first
	seen    time.Time // the newest request here or, if newer, stored
	stored  time.Time // what the store knows, as far as known here
	telling bool      // a request is telling the store
	names   context.Context
	first   *running
	timer   *time.Timer // for the limits
}

func (n *node) init() {
	n.uses, n.due = map[uuid.UUID]*use{}, map[uuid.UUID]*use{}
}

func (n *node) endings() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended
}

// endedSince reports whether a session was ended after the count of endings was
// since, or may have been.
func (n *node) endedSince(id uuid.UUID, since uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	const size = uint64(len(n.recent))
	if n.ended-since > size {
		return true
	}
	for i := since; i < n.ended; i++ {
		if n.recent[i%size] == id {
			return true
		}
	}
	return false
}

// doubt makes all requests read again that have not registered yet: sessions were
// ended, and which is not known.
func (n *node) doubt() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended += uint64(len(n.recent)) + 1
}

// useOf gives the use of a session, as far as the store knows it. The caller
// holds mu.
func (n *node) useOf(s *Session, begin func(*use) *time.Timer) *use {
	u := n.uses[s.ID]
	if u == nil {
		u = &use{session: *s, names: namesOf(s)}
		n.uses[s.ID] = u
	}
	u.stored = latest(u.stored, s.LastSeen)
	u.seen = latest(u.seen, s.LastSeen)
	if u.timer == nil {
		u.timer = begin(u)
	}
	return u
}

// drop forgets u. The caller holds mu.
func (n *node) drop(u *use) {
	if n.uses[u.session.ID] == u {
		delete(n.uses, u.session.ID)
	}
	if n.due[u.session.ID] == u {
		delete(n.due, u.session.ID)
	}
	u.timer.Stop()
}

// end ends the running requests of sessions with a cause, but for the one whose
// context is spared: it ends the session itself and has its answer to write.
func (n *node) end(spared context.Context, cause error, ids ...uuid.UUID) {
	self := n.running(spared)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		n.recent[n.ended%uint64(len(n.recent))] = id
		n.ended++
		n.cut(self, cause, id)
	}
}

// over is end for a session that the store knows as revoked: whoever reads it
// from now on knows it too.
func (n *node) over(spared context.Context, id uuid.UUID) {
	self := n.running(spared)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut(self, ErrRevoked, id)
}

// cut forgets a session and ends its requests but self. The caller holds mu.
func (n *node) cut(self *running, cause error, id uuid.UUID) {
	u := n.uses[id]
	if u == nil {
		return
	}
	n.drop(u)
	for run := u.first; run != nil; run = run.next {
		if run != self {
			run.cancel(cause)
		}
	}
}

// chosen lists the sessions in use here that s chooses and that were there at a
// time.
func (n *node) chosen(s Selector, at time.Time) (ids []uuid.UUID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.Kind() == KindID {
		for _, id := range s.IDs() {
			if n.uses[id] != nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for id, u := range n.uses {
		if s.Matches(u.session) && !u.session.Created.After(at) {
			ids = append(ids, id)
		}
	}
	return ids
}

// lastSeen is when a session was last seen, by a row and by this node.
func (n *node) lastSeen(s *Session) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen(s)
}

// seen is lastSeen for a caller who holds mu.
func (n *node) seen(s *Session) time.Time {
	if u := n.uses[s.ID]; u != nil {
		return latest(s.LastSeen, u.seen)
	}
	return s.LastSeen
}

// enter adds a request to its session. The caller holds mu.
func (u *use) enter(run *running) {
	run.use, run.next = u, u.first
	if u.first != nil {
		u.first.prev = run
	}
	u.first = run
}

// leave takes a request that has ended out of its session.
func (n *node) leave(run *running) {
	n.mu.Lock()
	if run.prev != nil {
		run.prev.next = run.next
	} else {
		run.use.first = run.next
	}
	if run.next != nil {
		run.next.prev = run.prev
	}
	n.mu.Unlock()
	run.cancel(nil)
}

// busy lists the sessions in which requests run.
func (n *node) busy() []uuid.UUID {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []uuid.UUID
	for id, u := range n.uses {
		if u.first != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// learn notes what the store knows of sessions in use.
func (n *node) learn(known []Session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range known {
		if u := n.uses[s.ID]; u != nil {
			u.stored = latest(u.stored, s.LastSeen)
			u.seen = latest(u.seen, s.LastSeen)
		}
	}
}

// missing are the ids that are not among the known sessions.
func missing(ids []uuid.UUID, known []Session) (gone []uuid.UUID) {
	for _, id := range ids {
		if !slices.ContainsFunc(known, func(s Session) bool { return s.ID == id }) {
			gone = append(gone, id)
		}
	}
	return gone
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
