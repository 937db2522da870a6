package keyring

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// RestoreCopy reads a copy that [Ring.CheckCopy] accepts into the keystore, of
// either engine, once all of it is known to be whole. It may be an empty one or
// one that is used: states only ever move forward. A tombstone in the keystore
// stands against a key in the copy, and one in the copy erases the key in the
// keystore; of a tenant whose KEK the copy says is erased, all keys are then
// destroyed, as [Ring.ShredTenant] does. What the keystore holds otherwise stays
// as it is. It is idempotent. After an error it must be repeated.
//
// Restore the newest copy alone. After an older one, a newer one does not retire
// or destroy what it says is retired or destroyed: those versions stay as the
// older one has them, seal or open on, and go into every new copy.
//
// Nobody may use the keystore meanwhile, or a warm key may be used for
// [Ring.TTL] longer. Who was erased after the copy was made must be erased again
// before anything is served: the copy does not know them. Messages that were
// sealed since with a tenant's data key are not counted: have it rotated.
//
// It returns [ErrCopyRefused], also for the copy of another keystore and where
// this one, or a key of the copy, was begun anew since, and [ErrRoot] when the
// keystore is of another root. It needs a store that is a [Copier], and a
// [Destroyer] for a copy that holds an erased tenant.
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
	if len(stand) > 0 {
		if err := r.noneAnew(ctx, in, c.sums); err != nil {
			return Restored{}, err
		}
	}
	var gone []uuid.UUID
	for _, first := range []bool{true, false} { // no key is taken before its KEK
		if err := r.restorePass(ctx, in, store, c.sums, first, &done, &gone); err != nil {
			return done, err
		}
	}
	for _, tenant := range gone { // its other keys would stay under a KEK that is erased
		if err := r.ShredTenant(ctx, tenant); err != nil {
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
	a, err := r.checkValue(ctx, stand)
	if err != nil {
		return err
	}
	defer clear(a)
	b, err := r.checkValue(ctx, copied)
	if err != nil {
		return err
	}
	defer clear(b)
	if subtle.ConstantTimeCompare(a, b) != 1 {
		return fmt.Errorf("%w: it is of another keystore, or this one was begun anew and must be emptied first", ErrCopyRefused)
	}
	return nil
}

// noneAnew refuses a keystore in which keys were made since under names of the
// copy: what was sealed with those of the copy would not open any more.
func (r *Ring) noneAnew(ctx context.Context, in io.ReadSeeker, sums [][]byte) error {
	others, first := 0, ""
	err := r.again(ctx, in, sums, func(part []CopiedRecord) error {
		for tenant, records := range byTenant(part) {
			other, err := r.others(ctx, tenant, records)
			if err != nil {
				return err
			}
			if len(other) > 0 && others == 0 {
				first = fmt.Sprintf("tenant %s, key %s", tenant, other[0])
			}
			others += len(other)
		}
		return nil
	})
	if err == nil && others > 0 {
		err = fmt.Errorf("%w: the keystore has other keys than the copy under %d of its names, the first: %s: "+
			"they were made since an older copy was restored; to have those of the copy, restore it into an empty keystore", ErrCopyRefused, others, first)
	}
	return err
}

func byTenant(part []CopiedRecord) map[uuid.UUID][]Record {
	out := map[uuid.UUID][]Record{}
	for _, rec := range part {
		if rec.hasBytes() && rec.Name != nameRoot {
			out[rec.Tenant] = append(out[rec.Tenant], rec.Record)
		}
	}
	return out
}

// others names those keys of records under whose name and version the keystore
// has another key. What either side cannot open is not compared.
func (r *Ring) others(ctx context.Context, tenant uuid.UUID, records []Record) (names []string, err error) {
	ask := make([]string, len(records))
	for i := range records {
		ask[i] = records[i].Name
	}
	got, err := r.store.Get(ctx, tenant, slices.Compact(ask))
	if err != nil {
		return nil, err
	}
	stand := byName(got)
	for _, rec := range records {
		for _, s := range stand.of(rec.Name) {
			if s.Version != rec.Version || !s.hasBytes() || bytes.Equal(s.Wrapped, rec.Wrapped) {
				continue
			}
			same, err := r.sameKey(ctx, s, rec)
			if err != nil {
				return nil, err
			}
			if !same {
				names = append(names, rec.Name)
			}
		}
	}
	return names, nil
}

func (r *Ring) sameKey(ctx context.Context, stand, copied Record) (bool, error) {
	a, err := r.bytesOf(ctx, stand)
	if err != nil || a == nil {
		return true, err
	}
	defer clear(a)
	b, err := r.bytesOf(ctx, copied)
	if err != nil || b == nil {
		return true, err
	}
	defer clear(b)
	return subtle.ConstantTimeCompare(a, b) == 1, nil
}

// bytesOf unwraps a key by the root, or by the KEK that stands; nil where it does
// not open.
func (r *Ring) bytesOf(ctx context.Context, rec Record) ([]byte, error) {
	if rec.Name == nameTenant {
		key, err := r.root.Unwrap(ctx, rec.Wrapped, rootAAD(rec.Tenant, rec.Name, rec.Version))
		if errors.Is(err, ErrUnwrap) {
			return nil, nil
		}
		return key, err
	}
	kek, err := r.kek(ctx, ref{tenant: rec.Tenant, name: nameTenant})
	if errors.Is(err, ErrNoTenant) || errors.Is(err, ErrDamaged) || err == nil && kek.erased {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	under, _ := aead.KeyVersion(rec.Wrapped)
	a := kek.kek(under)
	if a == nil {
		return nil, nil
	}
	t, n, v := place(rec.Tenant, rec.Name, rec.Version)
	key, err := a.Open(nil, rec.Wrapped, t, n, v)
	if err != nil {
		return nil, nil //nolint:nilerr // damaged: nothing to compare
	}
	return key, nil
}

// again reads the copy once more. Each batch is compared with the one that was
// checked: the file may have changed since.
func (r *Ring) again(ctx context.Context, in io.ReadSeeker, sums [][]byte, each func([]CopiedRecord) error) error {
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("keyring: read copy: %w", err)
	}
	_, err := r.eachBatch(ctx, in, func(part []CopiedRecord, sum []byte) error {
		if len(sums) == 0 || !hmac.Equal(sum, sums[0]) {
			return fmt.Errorf("%w: it was changed while it was read", ErrCopyRefused)
		}
		sums = sums[1:]
		return each(part)
	})
	return err
}

// restorePass imports what the root wraps, or what the KEKs do. It adds tenants
// whose KEK is erased to gone.
func (r *Ring) restorePass(ctx context.Context, in io.ReadSeeker, store Copier, sums [][]byte, first bool, done *Restored, gone *[]uuid.UUID) error {
	return r.again(ctx, in, sums, func(part []CopiedRecord) error {
		part = slices.DeleteFunc(part, func(rec CopiedRecord) bool {
			return first != (rec.Name == nameRoot || rec.Name == nameTenant)
		})
		for _, rec := range part {
			if n := len(*gone); rec.Name == nameTenant && rec.State == Erased && (n == 0 || (*gone)[n-1] != rec.Tenant) {
				*gone = append(*gone, rec.Tenant)
			}
		}
		added, erased, err := store.Import(ctx, part)
		done.Added, done.Erased = done.Added+added, done.Erased+erased
		return err
	})
}
