package keyring

import (
	"context"
	"time"
)

// introduce gives a successor to every key that lacks one. It returns how long
// to wait until the last of the successors is known to everybody, and how many
// keys seal with a version that is due.
func (j *rotation) introduce(ctx context.Context) (wait time.Duration, due int64, err error) {
	kek, err := j.r.kek(ctx, ref{tenant: j.tenant, name: nameTenant})
	if err == nil {
		kek, err = j.r.readKEK(ctx, kek) // a version that is retired would have to be rewrapped
	}
	switch {
	case err != nil:
		return 0, 0, err
	case kek.erased:
		return 0, 0, ErrErased
	}
	err = j.pages(ctx, j.name, func(keys versions) error {
		var records []Record
		for key := range keys.each() {
			if !j.due(key) {
				continue
			}
			due++
			if next, ok := j.successor(key); ok {
				wait = max(wait, j.r.unknown(next.Created))
				continue
			}
			rec, err := j.successorOf(ctx, kek, key[len(key)-1])
			if err != nil {
				return err
			}
			records = append(records, rec)
		}
		if len(records) == 0 {
			return nil
		}
		wait = j.r.known()
		n, err := j.store.Introduce(ctx, records)
		j.done.Introduced += n
		return err
	})
	return wait, due, err
}

// due reports whether everybody seals with a version that was created before
// the time of the rotation.
func (j *rotation) due(key []Record) bool {
	serving := inUse(key)
	return !tombstone(key) && len(serving) > 0 && serving[0].Created.Before(j.before)
}

// successor is the version with which everybody will seal once those are
// retired that are due.
func (j *rotation) successor(key []Record) (Record, bool) {
	for _, rec := range key {
		if rec.State == Active && !rec.Created.Before(j.before) {
			return rec, true
		}
	}
	return Record{}, false
}

// successorOf returns a new version after last. It is created no earlier than
// the time of the rotation, whatever the clock says, so that the rotation finds
// it done.
func (j *rotation) successorOf(ctx context.Context, kek *entry, last Record) (rec Record, err error) {
	if last.Name == nameTenant {
		key := randomKey()
		defer clear(key)
		rec, err = j.r.wrapKEK(ctx, key, j.tenant, last.Version+1)
	} else {
		rec, err = wrapNew(kek, j.tenant, last.Name, last.Version+1)
	}
	if rec.Created.Before(j.before) {
		rec.Created = j.before
	}
	rec.Created = rec.Created.Add(time.Millisecond - 1) // the keystore cuts to milliseconds
	return rec, err
}

// retire retires what is due and has a successor that everybody knows: one that
// stood at the time known, since which this process has waited. It counts what
// is left.
func (j *rotation) retire(ctx context.Context, known time.Time) error {
	j.done.Left = 0
	return j.pages(ctx, j.name, func(keys versions) error {
		var records []Record
		for key := range keys.each() {
			if !j.due(key) {
				continue
			}
			next, ok := j.successor(key)
			if !ok || meanwhile(next, known) {
				j.done.Left++
				continue
			}
			for _, rec := range key {
				if rec.State == Active && rec.Version < next.Version {
					records = append(records, rec)
				}
			}
		}
		if len(records) == 0 {
			return nil
		}
		n, err := j.store.Retire(ctx, j.tenant, records, time.Now())
		j.done.Retired += n
		return err
	})
}

// meanwhile reports whether another instance says to have introduced next since.
func meanwhile(next Record, since time.Time) bool {
	return next.Created.After(since.Add(time.Millisecond)) && !next.Created.After(time.Now())
}
