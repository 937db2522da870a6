package session

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// node is what this process knows of the sessions in use: when each was last
// seen, and the requests that run in it. It forgets a session when that reaches
// a limit without a request.
type node struct {
	mu sync.Mutex
	// ended counts the times that sessions were ended here. A request that read
	// its session before such a moment, and registers after it, reads again.
	ended uint64
	uses  map[uuid.UUID]*use
	due   map[uuid.UUID]*use // touches for Run to write
}

// use is one session in use on this node.
type use struct {
	id      uuid.UUID
	created time.Time
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

// useOf gives the use of a session, as far as the store knows it. The caller
// holds mu.
func (n *node) useOf(s *Session, begin func(*use) *time.Timer) *use {
	u := n.uses[s.ID]
	if u == nil {
		u = &use{id: s.ID, created: s.Created, names: namesOf(s)}
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
	if n.uses[u.id] == u {
		delete(n.uses, u.id)
	}
	if n.due[u.id] == u {
		delete(n.due, u.id)
	}
	u.timer.Stop()
}

// end ends the running requests of sessions with a cause, but for the one whose
// context is spared: it ends the session itself and has its answer to write.
func (n *node) end(spared context.Context, cause error, ids ...uuid.UUID) {
	self := runningIn(spared)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended++
	for _, id := range ids {
		u := n.uses[id]
		if u == nil {
			continue
		}
		n.drop(u)
		for run := u.first; run != nil; run = run.next {
			if run != self {
				run.cancel(cause)
			}
		}
	}
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

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
