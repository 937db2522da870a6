package keyring

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	mine, others, alone := r.reads.claim(cold, r.TTL())
	found, err := r.finish(ctx, tenant, mine)
	if err != nil {
		return nil, err
	}
	if len(others)+len(alone) > 0 {
		found = maps.Clone(found) // those who waited read it
	}
	again, err := others.wait(ctx, found)
	if err != nil {
		return nil, err
	}
	if again = append(again, alone...); len(again) > 0 { // whoever read them failed, or is slow
		if err := r.fetch(ctx, tenant, again, found); err != nil {
			return nil, err
		}
	}
	for i, k := range keys {
		if out[i] == nil {
			out[i] = found[k]
		}
	}
	return out, nil
}

// finish reads what this goroutine has claimed, and tells those who wait.
func (r *Ring) finish(ctx context.Context, tenant uuid.UUID, mine []ref) (found map[ref]*entry, err error) {
	found = make(map[ref]*entry, len(mine))
	done := false
	defer func() { r.reads.publish(mine, found, done) }()
	if len(mine) > 0 {
		err = r.fetch(ctx, tenant, mine, found)
	}
	done = err == nil
	return found, err
}

// fetch reads keys with the tenant's KEK unless that is warm, opens them and
// adds them to found.
func (r *Ring) fetch(ctx context.Context, tenant uuid.UUID, keys []ref, found map[ref]*entry) error {
	kekRef, asked := ref{tenant: tenant, name: nameTenant}, time.Now()
	kek := r.cache.get(kekRef)
	records, err := r.store.Get(ctx, tenant, recordNames(keys, kek == nil))
	if err != nil {
		return err
	}
	all := byName(records)
	if kek == nil {
		list := all.of(nameTenant)
		if len(list) == 0 {
			return fmt.Errorf("%w: %s", ErrNoTenant, tenant)
		}
		if kek, err = r.openKEK(ctx, kekRef, list, asked); err != nil {
			return err
		}
	}
	return r.openAll(ctx, kek, keys, all, asked, found)
}

// openAll opens those of keys that records hold and adds them to found.
func (r *Ring) openAll(ctx context.Context, kek *entry, keys []ref, records versions, asked time.Time, found map[ref]*entry) error {
	kek, err := r.kekFor(ctx, kek, records.all)
	if err != nil {
		return err
	}
	opened, errs := make([]*entry, len(keys)), make([]error, len(keys))
	spread(len(keys), func(i int) {
		if keys[i] != kek.ref {
			opened[i], errs[i] = r.open(kek, keys[i], records.of(keys[i].record()), asked)
		}
	})
	for i, k := range keys {
		switch {
		case k == kek.ref:
			found[k] = kek
		case opened[i] != nil:
			found[k] = r.cache.put(opened[i])
		}
	}
	return cmp.Or(errs...)
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
