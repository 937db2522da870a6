package password

import (
	"container/list"
	"context"
	"sync"
)

// gate hands out bytes of a budget, first come, first served. It is safe for
// concurrent use.
type gate struct {
	mu    sync.Mutex
	free  int64
	limit int       // places in the queue
	queue list.List // of *waiter
}

type waiter struct {
	need  int64
	ready chan struct{} // closed once need has been taken off free
}

// acquire takes need, waiting for it where others hold it. It returns ErrBusy
// if the queue is full, and the error of ctx if that ends first.
func (g *gate) acquire(ctx context.Context, need int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := g.enter(need)
	if w == nil {
		return err
	}
	select {
	case <-w.Value.(*waiter).ready: //nolint:forcetypeassert // enter puts nothing else in
		return nil
	case <-ctx.Done():
		g.leave(w)
		return ctx.Err()
	}
}

// enter takes need at once, where w is nil, or queues for it. Nobody overtakes:
// else small hashes would keep a large one waiting for ever.
func (g *gate) enter(need int64) (w *list.Element, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queue.Len() == 0 && g.free >= need {
		g.free -= need
		return nil, nil //nolint:nilnil // taken at once, no place needed
	}
	if g.queue.Len() >= g.limit {
		return nil, ErrBusy
	}
	return g.queue.PushBack(&waiter{need: need, ready: make(chan struct{})}), nil
}

// leave gives up a place in the queue, or what was granted meanwhile.
func (g *gate) leave(e *list.Element) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := e.Value.(*waiter) //nolint:forcetypeassert // enter puts nothing else in
	select {
	case <-w.ready:
		g.free += w.need
	default:
		g.queue.Remove(e)
	}
	g.grant()
}

// release gives back what acquire took.
func (g *gate) release(need int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += need
	g.grant()
}

// grant serves the head of the queue as far as the budget goes.
func (g *gate) grant() {
	for e := g.queue.Front(); e != nil; e = g.queue.Front() {
		w := e.Value.(*waiter) //nolint:forcetypeassert // enter puts nothing else in
		if w.need > g.free {
			return
		}
		g.free -= w.need
		g.queue.Remove(e)
		close(w.ready)
	}
}
