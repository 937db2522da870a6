package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// holdPatience bounds a sealing for which somebody waits: it goes on when the one
// who began it has given up, since others wait too.
const holdPatience = 30 * time.Second

// holder seals for those who wait. The log has one for each database that it
// writes to, so that no class can ask for a sealer that nobody has made.
type holder struct {
	sealer  *Sealer
	mu      sync.Mutex
	flights map[uuid.UUID]*flights // by tenant
}

// flights are the sealings of one tenant's log: who comes while one runs waits for
// the next, since that one may have read before its event was committed.
type flights struct{ running, next *flight }

type flight struct {
	done chan struct{}
	err  error
}

// hold waits until a checkpoint covers the event, sealing if need be. The event is
// committed, so that an error says nothing of why in a form by which callers
// decide: [tenancy.ErrUnavailable] would tell them that nothing was written.
func (l *Log) hold(ctx context.Context, db *tenancy.DB, tenant, event uuid.UUID) error {
	covered, err := l.covered(ctx, db, tenant, event)
	if err == nil && !covered {
		if err = l.sealNow(ctx, db, tenant); err == nil {
			covered, err = l.covered(ctx, db, tenant, event)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("audit: event %s: %w: %s", event, ErrUnsealed, err.Error())
	case !covered:
		return fmt.Errorf("audit: event %s: %w: it was rejected", event, ErrUnsealed)
	}
	return nil
}

func (l *Log) covered(ctx context.Context, db *tenancy.DB, tenant, event uuid.UUID) (bool, error) {
	r, err := readEvent(ctx, db, tenant, event)
	if err == nil && r == nil {
		err = errors.New("it is gone")
	}
	return err == nil && r.at >= 0, err
}

// sealNow seals all that was committed when it was called.
func (l *Log) sealNow(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) error {
	h, err := l.holderOf(db)
	if err != nil {
		return err
	}
	f := h.board(ctx, tenant)
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) holderOf(db *tenancy.DB) (*holder, error) {
	l.holdMu.Lock()
	defer l.holdMu.Unlock()
	if h := l.holders[db]; h != nil {
		return h, nil
	}
	s, err := NewSealer(l, db, &SealerOptions{Logger: l.logger, Period: -1})
	if err != nil {
		return nil, err
	}
	h := &holder{sealer: s, flights: make(map[uuid.UUID]*flights)}
	l.holders[db] = h
	return h, nil
}

// board gives the sealing that begins after the call.
func (h *holder) board(ctx context.Context, tenant uuid.UUID) *flight {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.flights[tenant]
	switch {
	case t == nil:
		f := &flight{done: make(chan struct{})}
		h.flights[tenant] = &flights{running: f}
		go h.fly(context.WithoutCancel(ctx), tenant, f)
		return f
	case t.next == nil:
		t.next = &flight{done: make(chan struct{})}
	}
	return t.next
}

// fly seals for f, and then for those who came meanwhile.
func (h *holder) fly(ctx context.Context, tenant uuid.UUID, f *flight) {
	for f != nil {
		f.err = h.seal(ctx, tenant)
		h.mu.Lock()
		t := h.flights[tenant]
		close(f.done)
		if f = t.next; f == nil {
			delete(h.flights, tenant)
		}
		t.running, t.next = f, nil
		h.mu.Unlock()
	}
}

func (h *holder) seal(ctx context.Context, tenant uuid.UUID) (err error) {
	defer func() {
		if recover() != nil { // whoever waits would wait for ever
			err = errors.New("panic while sealing")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	_, err = h.sealer.seal(ctx, tenant)
	return err
}

// holdAfter holds the answer of tx for e, if its class is sealed synchronously.
func (l *Log) holdAfter(tx *tenancy.Tx, e *event) {
	if !l.classOf(e.leaf.Action).Sealed {
		return
	}
	tenant, id := e.leaf.Tenant, e.leaf.Event
	tx.AfterCommit(engine.Library, func(ctx context.Context, db *tenancy.DB) error { return l.hold(ctx, db, tenant, id) })
}
