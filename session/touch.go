package session

import (
	"context"
	"time"
)

// flushEvery is how often Run writes touches: so often that what waits for it is
// no later than one granularity.
func (m *Manager) flushEvery() time.Duration { return m.policy.granularity() / 4 }

// tellNow decides what becomes of a request at now: nothing, if the store knows
// of one that is hardly older; a touch that Run writes; or one that the request
// writes itself, which it reports. The latter is so without Run, and in the
// second half of the idle time, where another node must not take the session for
// idle meanwhile. The caller holds node.mu.
func (m *Manager) tellNow(u *use, now time.Time) bool {
	lag, due := now.Sub(u.stored), m.policy.granularity()
	batching := m.batching.Load()
	if batching {
		due -= m.flushEvery()
	}
	switch {
	case lag < due || u.telling:
		return false
	case batching && lag < m.policy.Idle/2:
		m.node.due[u.session.ID] = u
		return false
	}
	u.telling = true
	return true
}

// touch writes one request's touch. Others that come meanwhile do not repeat it.
func (m *Manager) touch(ctx context.Context, u *use, now time.Time) error {
	written := false
	defer func() { // also if the store panics
		m.node.mu.Lock()
		defer m.node.mu.Unlock()
		u.telling = false
		if written {
			u.stored = latest(u.stored, now)
		}
	}()
	err := m.store.Touch(ctx, []Touch{{ID: u.session.ID, At: now}})
	written = err == nil
	return err
}

// flush writes the touches that are due; those that it cannot write stay due.
func (m *Manager) flush(ctx context.Context) error {
	n := &m.node
	n.mu.Lock()
	batch := make([]Touch, 0, len(n.due))
	for id, u := range n.due {
		batch = append(batch, Touch{ID: id, At: u.seen})
	}
	n.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	if err := m.store.Touch(ctx, batch); err != nil {
		return err
	}
	n.told(batch)
	return nil
}

// told notes touches that were written.
func (n *node) told(batch []Touch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range batch {
		if u := n.uses[t.ID]; u != nil {
			u.stored = latest(u.stored, t.At)
		}
		delete(n.due, t.ID)
	}
}

// watch sets the timer for a session's limits.
func (m *Manager) watch(u *use) *time.Timer {
	end, _ := m.policy.end(u.session.Created, u.seen)
	return time.AfterFunc(time.Until(end), func() { m.limit(u) })
}

// limit is called when a session may have reached a limit. A session without a
// running request is forgotten here; the next request judges it. Otherwise the
// store is asked, since another node may have seen it meanwhile.
func (m *Manager) limit(u *use) {
	if !m.reached(u) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	fresh, v, err := m.expire(ctx, u.session.ID)
	m.expiries.note(ctx, m, err)
	if err == nil && v == valid {
		m.node.learn([]Session{fresh})
		if !m.reached(u) {
			return
		}
	}
	cause := ErrExpired // also where nothing could be written
	if v == revoked {
		cause = ErrRevoked
	}
	m.node.end(ctx, cause, u.session.ID)
}

// reached reports whether requests run in a session that has come to its end, or
// that lies ahead of a clock which was set back: by that clock it would not end in
// time. If the end lies ahead it sets the timer anew.
func (m *Manager) reached(u *use) bool {
	n, now := &m.node, stamp(time.Now())
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.uses[u.session.ID] != u {
		return false
	}
	end, _ := m.policy.end(u.session.Created, u.seen)
	if now.Before(end) && !early(u.session.Created, u.seen, now) {
		u.timer.Reset(max(end.Sub(now), time.Millisecond))
		return false
	}
	if u.first == nil {
		n.drop(u)
		return false
	}
	return true
}
