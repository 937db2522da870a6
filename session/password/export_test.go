package password

import "context"

// Canonical parses a stored text and writes it again.
func Canonical(text string) (string, error) {
	s, err := parse(text)
	return s.String(), err
}

// Usable tells whether a stored text can be used, without the work that Verify
// does in either case.
func (h *Hasher) Usable(text string) error {
	_, err := h.load(text)
	return err
}

// Gate is the gate of a Hasher.
type Gate struct{ g *gate }

// NewGate returns a gate of its own.
func NewGate(budget int64, queue int) Gate { return Gate{&gate{free: budget, limit: queue}} }

// Gate returns the gate of h.
func (h *Hasher) Gate() Gate { return Gate{&h.gate} }

// Acquire takes need bytes.
func (g Gate) Acquire(ctx context.Context, need int64) error { return g.g.acquire(ctx, need) }

// Release gives need bytes back.
func (g Gate) Release(need int64) { g.g.release(need) }

// Free is what is left of the budget.
func (g Gate) Free() int64 {
	g.g.mu.Lock()
	defer g.g.mu.Unlock()
	return g.g.free
}

// Waiting is how many queue.
func (g Gate) Waiting() int {
	g.g.mu.Lock()
	defer g.g.mu.Unlock()
	return g.g.queue.Len()
}
