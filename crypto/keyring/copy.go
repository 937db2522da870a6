package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
)

// ErrCopyRefused says that a copy of the keystore is refused. The error around
// it says why.
var ErrCopyRefused = errors.New("keyring: copy of the keystore refused")

// Contents are what a copy of the keystore holds.
type Contents struct {
	At         time.Time // when it was begun, to the millisecond
	Records    int64     // versions of keys
	Tombstones int64     // of these, of erased keys
}

// Restored is what [Ring.RestoreCopy] did.
type Restored struct {
	Contents

	Added  int64 // versions that the keystore did not hold, tombstones among them
	Erased int64 // versions that the keystore held, and that the copy says are erased
}

// WriteCopy writes a copy of the keystore to w, apart from every copy of the
// data: a JSON line for each version of a key, with its bytes as the root and
// the KEKs have wrapped them, and at the end a code under a key that the root
// wraps (docs/formats/keystore-copy.md). It opens in both engines.
//
// Whoever has the copy and the root has all keys, also of those who are erased
// later: a copy must not live longer than is declared. [Ring.KeepCopy] sees to
// that. What is written while WriteCopy runs may be in the copy or not. It needs
// a store that is a [Copier].
func (r *Ring) WriteCopy(ctx context.Context, w io.Writer) (Contents, error) {
	store, err := r.copier()
	if err != nil {
		return Contents{}, err
	}
	c := Contents{At: time.Now().UTC().Truncate(time.Millisecond)}
	key := randomKey()
	defer clear(key)
	wrapped, err := r.root.Wrap(ctx, key, rootAAD(uuid.Nil, copyName, firstVersion))
	if err != nil {
		return Contents{}, fmt.Errorf("keyring: wrap with root: %w", err)
	}
	out, err := newCopyWriter(w, key, copyHeader{Format: copyTitle, At: c.At.Format(copyTime), Key: wrapped})
	if err != nil {
		return Contents{}, fmt.Errorf("keyring: write copy: %w", err)
	}
	if err := c.pour(ctx, store, out); err != nil {
		return Contents{}, err
	}
	if err := out.end(); err != nil {
		return Contents{}, fmt.Errorf("keyring: write copy: %w", err)
	}
	return c, nil
}

func (c *Contents) pour(ctx context.Context, store Copier, out *copyWriter) error {
	var last CopiedRecord
	for {
		page, err := store.Export(ctx, last, batch)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, rec := range page {
			if err := out.record(rec); err != nil {
				return fmt.Errorf("keyring: write copy: %w", err)
			}
			c.count(rec)
		}
		last = page[len(page)-1]
	}
}

func (c *Contents) count(r CopiedRecord) {
	c.Records++
	if r.State == Erased {
		c.Tombstones++
	}
}

func (r *Ring) copier() (Copier, error) {
	store, ok := r.store.(Copier)
	if !ok {
		return nil, errors.New("keyring: copy: the store cannot be copied")
	}
	return store, nil
}

// CheckCopy reads a whole copy and returns what it holds. It refuses with
// [ErrCopyRefused] one that was cut off or changed, and one of another root,
// which is [ErrRoot] too. It does not judge the copy's age, and does not open
// its keys.
func (r *Ring) CheckCopy(ctx context.Context, in io.Reader) (Contents, error) {
	c, err := r.checkCopy(ctx, in)
	return c.Contents, err
}

// checkedCopy is what was read of a whole copy.
type checkedCopy struct {
	Contents

	sums [][]byte // the code as it stands after each batch of records
	root []Record // its check value
}

func (r *Ring) checkCopy(ctx context.Context, in io.Reader) (c checkedCopy, err error) {
	at, err := r.eachBatch(ctx, in, func(part []CopiedRecord, sum []byte) error {
		for _, rec := range part {
			c.count(rec)
			if rec.Tenant == uuid.Nil && rec.Name == nameRoot {
				c.root = append(c.root, rec.Record)
			}
		}
		c.sums = append(c.sums, sum)
		return nil
	})
	if err != nil {
		return checkedCopy{}, err
	}
	c.At = at
	return c, nil
}

// eachBatch hands out what a copy holds in batches, with the code over all until
// there. Only when it returns nil was the one at the end right.
func (r *Ring) eachBatch(ctx context.Context, in io.Reader, each func([]CopiedRecord, []byte) error) (time.Time, error) {
	c, at, err := r.openCopy(ctx, in)
	if err != nil {
		return at, err
	}
	for done := false; !done; {
		part := make([]CopiedRecord, 0, batch)
		for len(part) < batch && !done {
			rec, err := c.next()
			switch done = errors.Is(err, io.EOF); {
			case done:
			case err != nil:
				return at, fmt.Errorf("%w: %w", ErrCopyRefused, err)
			default:
				part = append(part, rec)
			}
		}
		if ctx.Err() != nil {
			return at, context.Cause(ctx)
		}
		if err := each(part, c.mac.Sum(nil)); err != nil {
			return at, err
		}
	}
	return at, nil
}

func (r *Ring) openCopy(ctx context.Context, in io.Reader) (*copyReader, time.Time, error) {
	c, h, at, err := newCopyReader(in)
	if err != nil {
		return nil, at, fmt.Errorf("%w: %w", ErrCopyRefused, err)
	}
	key, err := r.root.Unwrap(ctx, h.Key, rootAAD(uuid.Nil, copyName, firstVersion))
	switch {
	case errors.Is(err, ErrUnwrap):
		return nil, at, fmt.Errorf("%w: its first line was changed, or %w", ErrCopyRefused, ErrRoot)
	case err != nil:
		return nil, at, fmt.Errorf("keyring: unwrap with root: %w", err)
	}
	defer clear(key)
	c.authenticate(key)
	return c, at, nil
}
