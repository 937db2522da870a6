package keyring

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
)

// load returns the entries of keys, which are of one tenant, nil where none
// exists. All that are cold come with one round trip; what another goroutine is
// reading already is waited for.
func (r *Ring) load(ctx context.Context, tenant uuid.UUID, keys []ref) ([]*entry, error) {
	out := make([]*entry, len(keys))
	cold := r.cache.getAll(keys, out)
	if len(cold) == 0 {
		return out, nil
	}
	own, seats := r.reads.claim(cold, r.TTL())
	if err := r.finish(ctx, tenant, own); err != nil {
		return nil, err
	}
	found := make([]*entry, len(cold))
	var again []ref // whoever read them failed, or is slow
	for i, s := range seats {
		e, ok, err := s.wait(ctx)
		if err != nil {
			return nil, err
		}
		if found[i] = e; !ok {
			again = append(again, cold[i])
		}
	}
	more, err := r.fetch(ctx, tenant, again)
	if err != nil {
		return nil, err
	}
	for i, c := 0, 0; i < len(keys); i++ {
		if out[i] != nil {
			continue
		}
		if out[i] = found[c]; len(more) > 0 && again[0] == cold[c] {
			out[i], more, again = more[0], more[1:], again[1:]
		}
		c++
	}
	return out, nil
}

// finish reads what this goroutine has claimed, and tells those who wait.
func (r *Ring) finish(ctx context.Context, tenant uuid.UUID, own *flight) error {
	if own == nil {
		return nil
	}
	var found []*entry
	defer func() { r.reads.publish(own, found) }()
	got, err := r.fetch(ctx, tenant, own.keys)
	if err == nil {
		found = got
	}
	return err
}

// fetch reads keys, with the tenant's KEK unless that is warm, and opens them.
func (r *Ring) fetch(ctx context.Context, tenant uuid.UUID, keys []ref) ([]*entry, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kekRef, asked := ref{tenant: tenant, name: nameTenant}, time.Now()
	kek := r.cache.get(kekRef)
	records, err := r.store.Get(ctx, tenant, recordNames(keys, kek == nil))
	if err != nil {
		return nil, err
	}
	all := byName(records)
	if kek == nil {
		list := all.of(nameTenant)
		if len(list) == 0 {
			return nil, fmt.Errorf("%w: %s", ErrNoTenant, tenant)
		}
		if kek, err = r.openKEK(ctx, kekRef, list, asked); err != nil {
			return nil, err
		}
	}
	return r.openAll(ctx, kek, keys, all, asked)
}

// openAll opens those of keys that records hold, nil for the others.
func (r *Ring) openAll(ctx context.Context, kek *entry, keys []ref, records versions, asked time.Time) ([]*entry, error) {
	kek, err := r.kekFor(ctx, kek, records)
	if err != nil {
		return nil, err
	}
	found, errs := make([]*entry, len(keys)), make([]error, len(keys))
	spread(len(keys), func(i int) {
		if keys[i] != kek.ref {
			found[i], errs[i] = r.open(kek, keys[i], records.of(keys[i].record()), asked)
		}
	})
	r.cache.putAll(found)
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	for i, k := range keys {
		if k == kek.ref {
			found[i] = kek
		}
	}
	return found, nil
}

// spreadFrom is how many keys are worth a goroutine: each takes microseconds.
const spreadFrom = 32

// spread calls do with each number below n, on several goroutines where there are
// many.
func spread(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/spreadFrom)
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				do(i)
			}
		})
	}
	wg.Wait()
}

func recordNames(keys []ref, kek bool) []string {
	names := make([]string, 0, len(keys)+1)
	for _, k := range keys {
		if k.name != nameTenant {
			names = append(names, k.record())
		}
	}
	if kek {
		names = append(names, nameTenant)
	}
	return names
}

// open unwraps all versions of a key of the tenant; nil when there are none. Safe
// for concurrent use.
func (r *Ring) open(kek *entry, k ref, records []Record, asked time.Time) (*entry, error) {
	if kek.erased || tombstone(records) {
		return &entry{ref: k, erased: true, asked: asked}, nil
	}
	if len(records) == 0 {
		return nil, nil //nolint:nilnil // no key is no error
	}
	serving := inUse(records)
	if len(serving) == 0 {
		return nil, damaged(k.tenant, records[0])
	}
	o := opened{entry: &entry{ref: k, asked: asked, versions: make([]uint32, 0, len(serving))}}
	for _, rec := range serving {
		if err := r.add(&o, kek, rec); err != nil {
			return nil, err
		}
	}
	return o.finish(), nil
}
