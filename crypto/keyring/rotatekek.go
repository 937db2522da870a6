package keyring

import (
	"context"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/aead"
)

// rewrap wraps all keys anew that retired versions of the KEK have wrapped: at
// once, and again when nobody uses such a version any more, since others may
// have created keys under it meanwhile.
func (j *rotation) rewrap(ctx context.Context) error {
	began, due := time.Now(), j.done.Left
	wait, left, err := j.rewrapAll(ctx)
	if wait > 0 && err == nil {
		if err = j.wait(ctx, wait-time.Since(began)); err == nil {
			_, left, err = j.rewrapAll(ctx)
		}
	}
	for try := 1; left > 0 && err == nil && try < attempts; try++ { // others were at it too
		_, left, err = j.rewrapAll(ctx)
	}
	j.done.Left = due + left
	return err
}

// rewrapAll returns how long others may go on wrapping with what is retired, and
// how many keys were found and not wrapped anew. A damaged one does not keep the
// others from it.
func (j *rotation) rewrapAll(ctx context.Context) (wait time.Duration, left int64, err error) {
	kek, retired, wait, err := j.keks(ctx)
	if err != nil || len(retired) == 0 {
		return 0, 0, err
	}
	var broken error
	err = j.pages(ctx, "", func(keys versions) error {
		var list []Rewrap
		for _, rec := range keys {
			under, _ := aead.KeyVersion(rec.Wrapped)
			if rootWrapped(rec.Name) || !rec.hasBytes() || !retired[under] {
				continue
			}
			w, err := j.wrapAnew(kek, under, rec)
			if left++; err != nil {
				broken = err
				continue
			}
			list = append(list, w)
		}
		n, err := j.store.Rewrap(ctx, j.tenant, list)
		j.done.Rewrapped += n
		left -= n
		return err
	})
	if err == nil {
		err = broken
	}
	return wait, left, err
}

// keks returns the tenant's KEK as the keystore has it, and which of its
// versions wrap nothing new any more.
func (j *rotation) keks(ctx context.Context) (kek *entry, retired map[uint32]bool, wait time.Duration, err error) {
	records, _, err := j.store.Page(ctx, j.tenant, nameTenant, "", j.r.page)
	if err != nil {
		return nil, nil, 0, err
	}
	retired = make(map[uint32]bool)
	for _, rec := range records {
		if rec.State == Retired {
			retired[rec.Version] = true
			wait = max(wait, j.r.unknown(rec.Changed))
		}
	}
	kek, err = j.r.kek(ctx, ref{tenant: j.tenant, name: nameTenant})
	if err == nil {
		kek, err = j.r.readKEK(ctx, kek)
	}
	if err == nil && kek.erased {
		err = ErrErased
	}
	return kek, retired, wait, err
}

// wrapAnew opens a key with the version of the KEK that has wrapped it and wraps
// it with the one that everybody wraps with.
func (j *rotation) wrapAnew(kek *entry, under uint32, rec Record) (Rewrap, error) {
	a := kek.kek(under)
	if a == nil {
		return Rewrap{}, damaged(j.tenant, rec)
	}
	t, n, v := place(j.tenant, rec.Name, rec.Version)
	key, err := a.Open(make([]byte, 0, field.KeySize), rec.Wrapped, t, n, v)
	defer clear(key)
	if err != nil {
		return Rewrap{}, damaged(j.tenant, rec)
	}
	wrapped, err := kek.wrap(key, j.tenant, rec.Name, rec.Version)
	return Rewrap{Name: rec.Name, Version: rec.Version, Old: rec.Wrapped, New: wrapped}, err
}
