package keyring

import (
	"context"
	"hash/maphash"
	"time"
)

// introduce gives a successor to every key that lacks one. It reports whether a
// successor is fresh, one since which this call has not waited, whatever its date
// says, and returns how many keys seal with a version that is due.
func (j *rotation) introduce(ctx context.Context) (fresh bool, due int64, err error) {
	kek, err := j.r.kek(ctx, ref{tenant: j.tenant, name: nameTenant})
	if err == nil {
		kek, err = j.r.readKEK(ctx, kek) // a version that is retired would have to be rewrapped
	}
	switch {
	case err != nil:
		return false, 0, err
	case kek.erased:
		return false, 0, ErrErased
	}
	err = j.pages(ctx, j.name, func(keys versions) error {
		var records []Record
		for key := range keys.each() {
			if !j.due(key) {
				continue
			}
			due++
			if next, ok := j.successor(key); ok {
				fresh = j.stands(next) || fresh
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
		n, err := j.store.Introduce(ctx, records)
		j.done.Introduced += n
		if err == nil && n == int64(len(records)) { // else some may come later, by another: the next attempt sees them
			for _, rec := range records {
				j.stands(rec)
			}
		}
		fresh = true
		return err
	})
	return fresh, due, err
}

// stands notes that a successor stands, before the wait, and reports whether that
// is news. A hash is enough of a name: a million of them are held.
func (j *rotation) stands(next Record) bool {
	n := len(j.stood)
	j.stood[j.hash(next)] = struct{}{}
	return len(j.stood) > n
}

func (j *rotation) hash(next Record) uint64 {
	return maphash.Comparable(j.seed, struct {
		name    string
		version uint32
	}{next.Name, next.Version})
}

// due reports whether everybody seals with a version that was created before
// the time of the rotation, or says to be of a time that is still to come: of such
// a one nobody knows the age.
func (j *rotation) due(key []Record) bool {
	serving := inUse(key)
	return !tombstone(key) && len(serving) > 0 && !j.since(serving[0])
}

// since reports whether a version was created since the time of the rotation.
func (j *rotation) since(rec Record) bool {
	return !rec.Created.Before(j.before) && !rec.Created.After(time.Now().Add(clockSkew))
}

// successor is the version with which everybody will seal once those are
// retired that are due.
func (j *rotation) successor(key []Record) (Record, bool) {
	for _, rec := range key {
		if rec.State == Active && j.since(rec) {
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
// stood before this call waited. It counts what is left.
func (j *rotation) retire(ctx context.Context) error {
	j.done.Left = 0
	return j.pages(ctx, j.name, func(keys versions) error {
		var records []Record
		for key := range keys.each() {
			if !j.due(key) {
				continue
			}
			next, ok := j.successor(key)
			if _, known := j.stood[j.hash(next)]; !ok || !known {
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
