package keyring

import (
	"context"
	"sync"
	"time"
)

// flights lets one goroutine read a key that many want. The zero value is ready.
type flights struct {
	mu      sync.Mutex
	pending map[ref]*flight
}

// flight is one read of many keys.
type flight struct {
	landed chan struct{}
	began  time.Time
	found  map[ref]*entry // nil: the read has failed
}

type waiting map[ref]*flight

// claim divides keys into those that the caller must read and publish, those
// that another is reading, and those whose read began so long ago that its
// answer would be older than ttl: the caller must read them for itself.
func (f *flights) claim(keys []ref, ttl time.Duration) (mine []ref, others waiting, alone []ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil {
		f.pending = make(map[ref]*flight)
	}
	own := &flight{landed: make(chan struct{}), began: time.Now()}
	for _, k := range keys {
		switch fl := f.pending[k]; {
		case fl == nil:
			f.pending[k] = own
			mine = append(mine, k)
		case fl == own:
		case own.began.Sub(fl.began) >= ttl:
			alone = append(alone, k)
		default:
			if others == nil {
				others = make(waiting)
			}
			others[k] = fl
		}
	}
	return mine, others, alone
}

// publish ends the flights of keys. An error is not handed on: it may be that
// of a context which ended for the reader alone.
func (f *flights) publish(keys []ref, found map[ref]*entry, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	fl := f.pending[keys[0]]
	for _, k := range keys {
		delete(f.pending, k)
	}
	if ok {
		fl.found = found
	}
	close(fl.landed)
}

// wait adds to found what the others have read, and returns what they could
// not read.
func (w waiting) wait(ctx context.Context, found map[ref]*entry) (again []ref, err error) {
	for k, fl := range w {
		select {
		case <-fl.landed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if fl.found == nil {
			again = append(again, k)
		} else if e := fl.found[k]; e != nil {
			found[k] = e
		}
	}
	return again, nil
}
