package blob

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// Sweep removes the objects of the context's tenant that no row refers to and that are
// more than a day old, and returns how many: what is left of calls of [Store.Put] whose
// row did not commit, of rows that were deleted by the repository, and of people who
// were erased, whose references nobody can read; after [tenancy.DB.EraseTenant] all of
// them. Call it for each tenant, daily. Repeating it is safe.
//
// It removes nothing where a reference cannot be read for another reason. db must be
// the database of all rows: after a restore of an older one, contents that were put
// since are removed, whose keys are lost with their rows. It holds the ids of all the
// tenant's objects.
func (s *Store[T]) Sweep(ctx context.Context, db *tenancy.DB) (removed int, err error) {
	lost, err := s.old(ctx, time.Now().Add(-s.grace))
	if err != nil || len(lost) == 0 {
		return 0, err
	}
	if err := s.keep(ctx, db, lost); err != nil {
		return 0, fmt.Errorf("blob: sweep: nothing is removed: %w", err)
	}
	for id := range lost {
		name, err := s.name(ctx, id)
		if err == nil {
			err = s.place.Remove(ctx, name)
		}
		if err != nil {
			return removed, fmt.Errorf("blob: sweep: %w", err)
		}
		removed++
	}
	return removed, nil
}

// keep takes those out of lost that a row refers to. An erased tenant has none.
func (s *Store[T]) keep(ctx context.Context, db *tenancy.DB, lost map[uuid.UUID]struct{}) error {
	for row, err := range s.rows.List(ctx, db) {
		if errors.Is(err, tenancy.ErrErased) {
			if gone, eerr := db.TenantErased(ctx); eerr == nil && gone {
				return nil
			}
		}
		if err != nil {
			return err
		}
		p, err := s.ref(ctx, &row)
		switch {
		case errors.Is(err, field.ErrErased) || errors.Is(err, tenancy.ErrNotFound): // of nobody, or none
		case err != nil:
			return err
		default:
			clear(p.key)
			delete(lost, p.id)
		}
	}
	return nil
}

// old are the tenant's objects that were written before a time. Names that Put does
// not give are nobody's to remove.
func (s *Store[T]) old(ctx context.Context, before time.Time) (map[uuid.UUID]struct{}, error) {
	prefix, err := tenancy.Key(ctx, s.folder())
	if err != nil {
		return nil, err
	}
	prefix += "/"
	young, old := map[uuid.UUID]bool{}, map[uuid.UUID]struct{}{}
	for o, err := range s.place.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("blob: sweep: %w", err)
		}
		text, ok := strings.CutPrefix(o.Name, prefix)
		id, err := uuid.Parse(text)
		if !ok || err != nil || id.String() != text {
			continue
		}
		if o.Written.Before(before) && !o.Written.IsZero() && !young[id] { // zero: the place did not say
			old[id] = struct{}{}
		} else { // any part of it that is young keeps it
			young[id] = true
			delete(old, id)
		}
	}
	return old, nil
}
