package keyring

import (
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
)

// RestoreCopy reads a copy that [Ring.CheckCopy] accepts into the keystore, of
// either engine, once all of it is known to be whole. It may be an empty one or
// one that is used: states only ever move forward. A tombstone in the keystore
// stands against a key in the copy, and one in the copy erases the key in the
// keystore; what the keystore holds otherwise stays as it is. It is idempotent.
// After an error it must be repeated.
//
// Nobody may use the keystore meanwhile, or a warm key may be used for
// [Ring.TTL] longer. Who was erased after the copy was made must be erased again
// before anything is served: the copy does not know them. Messages that were
// sealed since with a tenant's data key are not counted: have it rotated.
//
// It returns [ErrCopyRefused], also for the copy of another keystore and where
// this one was begun anew since, and [ErrRoot] when the keystore is of another
// root. It needs a store that is a [Copier].
func (r *Ring) RestoreCopy(ctx context.Context, in io.ReadSeeker) (Restored, error) {
	store, err := r.copier()
	if err != nil {
		return Restored{}, err
	}
	stand, err := r.store.Get(ctx, uuid.Nil, []string{nameRoot})
	if err != nil {
		return Restored{}, err
	}
	if len(stand) > 0 {
		if err := r.rootFits(ctx, stand); err != nil {
			return Restored{}, err
		}
	}
	c, err := r.checkCopy(ctx, in)
	if err != nil {
		return Restored{}, err
	}
	if err := r.sameKeystore(ctx, stand, c.root); err != nil {
		return Restored{}, err
	}
	done := Restored{Contents: c.Contents}
	defer r.cache.dropAll()
	for _, first := range []bool{true, false} { // no key is taken before its KEK
		if err := r.restorePass(ctx, in, store, c.sums, first, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// sameKeystore refuses a keystore that has a check value of another copy: it was
// begun anew, and its keys stand where those of the copy belong. An empty one
// takes the copy's.
func (r *Ring) sameKeystore(ctx context.Context, stand, copied []Record) error {
	if len(stand) == 0 {
		return nil
	}
	values := make([][]byte, 0, 2)
	for _, records := range [][]Record{stand, copied} {
		value, err := r.checkValue(ctx, records)
		if err != nil {
			return err
		}
		defer clear(value)
		values = append(values, value)
	}
	if subtle.ConstantTimeCompare(values[0], values[1]) != 1 {
		return fmt.Errorf("%w: it is of another keystore, or this one was begun anew and must be emptied first", ErrCopyRefused)
	}
	return nil
}

// restorePass imports what the root wraps, or what the KEKs do. Each batch is
// compared with the one that was checked: the file may have changed since.
func (r *Ring) restorePass(ctx context.Context, in io.ReadSeeker, store Copier, sums [][]byte, first bool, done *Restored) error {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("keyring: read copy: %w", err)
	}
	_, err := r.eachBatch(ctx, in, func(part []CopiedRecord, sum []byte) error {
		if len(sums) == 0 || !hmac.Equal(sum, sums[0]) {
			return fmt.Errorf("%w: it was changed while it was read", ErrCopyRefused)
		}
		sums = sums[1:]
		part = slices.DeleteFunc(part, func(rec CopiedRecord) bool {
			return first != (rec.Name == nameRoot || rec.Name == nameTenant)
		})
		added, erased, err := store.Import(ctx, part)
		done.Added, done.Erased = done.Added+added, done.Erased+erased
		return err
	})
	return err
}
