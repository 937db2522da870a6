package session

import "net/http"

// Token makes the hidden type visible: a token drawn anew, its cookie's value,
// and its hash.
func Token() (any, string, Hash) {
	t := newToken()
	return t, t.reveal(), t.hash()
}

// Carried tells whether a request's header carries a well-formed token.
func Carried(h http.Header) (Hash, bool) {
	t, v := carried(h)
	return t.hash(), v == valid
}

// InUse is how many sessions this node remembers.
func (m *Manager) InUse() int {
	m.node.mu.Lock()
	defer m.node.mu.Unlock()
	return len(m.node.uses)
}
