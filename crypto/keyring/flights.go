package keyring

import (
	"context"
	"sync"
	"time"
)

// flights lets one goroutine read a key that many want. The zero value is ready.
type flights struct {
	mu      sync.Mutex
	pending map[ref]seat
}

// flight is one read of many keys.
type flight struct {
	landed chan struct{}
	began  time.Time
	keys   []ref
	found  []*entry // parallel to keys; nil: the read has failed
}

// seat is where an answer will be: in a flight, or nowhere, for a key that the
// caller must read for itself.
type seat struct {
	*flight

	i int
}

// claim divides keys into those that the caller must read and publish, which is
// own, nil where there are none, those that another is reading, and those whose
// read began so long ago that its answer would be older than ttl: the caller must
// read them for itself. The seats are parallel to keys.
func (f *flights) claim(keys []ref, ttl time.Duration) (own *flight, seats []seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil {
		f.pending = make(map[ref]seat)
	}
	own = &flight{landed: make(chan struct{}), began: time.Now(), keys: make([]ref, 0, len(keys))}
	seats = make([]seat, len(keys))
	for i, k := range keys {
		switch s := f.pending[k]; {
		case s.flight == nil:
			seats[i] = seat{own, len(own.keys)}
			f.pending[k] = seats[i]
			own.keys = append(own.keys, k)
		case s.flight == own || own.began.Sub(s.began) < ttl:
			seats[i] = s
		}
	}
	if len(own.keys) == 0 {
		own = nil
	}
	return own, seats
}

// publish ends a flight. An error is not handed on, found is nil then: it may be
// that of a context which ended for the reader alone.
func (f *flights) publish(own *flight, found []*entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range own.keys {
		delete(f.pending, k)
	}
	own.found = found
	close(own.landed)
}

// wait returns what the flight has read, or false when the caller must read for
// itself.
func (s seat) wait(ctx context.Context) (e *entry, ok bool, err error) {
	if s.flight == nil {
		return nil, false, nil
	}
	select {
	case <-s.landed:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if s.found == nil {
		return nil, false, nil
	}
	return s.found[s.i], true, nil
}
