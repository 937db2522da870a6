package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// InsertAll is [Repository.Insert] for many rows: all of them or none, so that a
// transaction of the caller's in which it fails is rolled back. Keys of data
// subjects are made with one round trip, and the rows travel five hundred at a time.
// It fills ids and tenant of the rows of the slice.
func (r *Repository[T]) InsertAll(ctx context.Context, c Conn, rows []T) (err error) {
	u, err := r.writer(ctx, c)
	if err != nil {
		return err
	}
	err = errPanic
	defer u.finishAll(ctx, &err)
	for first := 0; first < len(rows); first += pageSize {
		last := min(first+pageSize, len(rows))
		if err = r.insertPart(ctx, u, rows[first:last], first, last == len(rows)); err != nil {
			return err
		}
	}
	err = nil
	return err
}

// insertPart inserts rows, of which first is the number of the first, with one round
// trip beside those of the keystore.
func (r *Repository[T]) insertPart(ctx context.Context, u *unit, rows []T, first int, last bool) error {
	if err := r.warmKeys(ctx, u.tx, rows); err != nil {
		return wrap("insert", r.t.name, u.tx.unknown(ctx, err))
	}
	each := unit{tx: u.tx, queues: true}
	for i := range rows {
		if err := r.insert(ctx, &each, &rows[i]); err != nil {
			return fmt.Errorf("row %d: %w", first+i, err)
		}
	}
	return r.flushPart(ctx, u, "insert", r.subjectsOf(rows), last)
}

// flushPart runs what was queued, with the commit if it is the last of the verb.
func (r *Repository[T]) flushPart(ctx context.Context, u *unit, verb string, subjects []uuid.UUID, last bool) error {
	if err := u.tx.enter(); err != nil {
		return err
	}
	defer u.tx.leave()
	c := r.change(verb, uuid.Nil, uuid.Nil)
	part := unit{tx: u.tx, own: u.own && last}
	return wrap(c.Action, "rows", u.tx.ofGuard(ctx, part.flush(ctx, c), subjects...))
}

// warmKeys makes or reads the keys of all data subjects at once; the rows find them
// in the cache.
func (r *Repository[T]) warmKeys(ctx context.Context, tx *Tx, rows []T) error {
	var subjects []uuid.UUID
	for i := range rows {
		v := reflect.ValueOf(&rows[i]).Elem()
		r.t.drawKey(v)
		if s := r.t.subjectOf(v); s != uuid.Nil && r.t.anySealed(v) {
			subjects = append(subjects, s)
		}
	}
	if len(subjects) < 2 {
		return nil
	}
	_, err := tx.db.keys.CreateCiphers(ctx, tx.scope.Tenant, subjects)
	return err
}

// subjectsOf are the data subjects of rows, each once.
func (r *Repository[T]) subjectsOf(rows []T) []uuid.UUID {
	out := []uuid.UUID{uuid.Nil} // the tenant itself may have been erased
	for i := range rows {
		if s := r.t.subjectOf(reflect.ValueOf(&rows[i]).Elem()); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// EditAll is [Repository.Edit] for all rows for which the filters hold, in the order
// of their keys, and returns how many changed: all of them or, when fn or a row
// fails, none; a transaction of the caller's is then rolled back. Each has its event.
// The rows are read and written five hundred at a time, and locked meanwhile: fn must
// not write them by another way. The filters must not hold a [Where].
func (r *Repository[T]) EditAll(ctx context.Context, c Conn, fn func(row *T) error, filters ...Filter) (n int, err error) {
	if fn == nil {
		return 0, fmt.Errorf("tenancy: edit %s: no function: %w", r.t.name, ErrBadValue)
	}
	return r.forAll(ctx, c, "update", filters, func(u *unit, row reflect.Value) (bool, error) {
		return r.changed(ctx, u, row, fn)
	})
}

// DeleteAll is [Repository.Delete] for all rows for which the filters hold, and
// returns how many there were: all of them or none; a transaction of the caller's in
// which it fails is rolled back. The filters must not hold a [Where].
func (r *Repository[T]) DeleteAll(ctx context.Context, c Conn, filters ...Filter) (n int, err error) {
	return r.forAll(ctx, c, "delete", filters, func(u *unit, row reflect.Value) (bool, error) {
		if err := u.tx.enter(); err != nil {
			return false, err
		}
		defer u.tx.leave()
		return true, r.removeRow(ctx, u, row)
	})
}

var errRawWrites = errors.New("tenancy: a Where cannot choose the rows of a bulk change, whose events the library writes under its own role: list the rows, and pass their keys")

// forAll locks the rows page by page and counts those that do says it changed.
func (r *Repository[T]) forAll(
	ctx context.Context, c Conn, verb string, filters []Filter, do func(u *unit, row reflect.Value) (bool, error),
) (n int, err error) {
	q, err := filtersOf(r.t, filters)
	if err != nil {
		return 0, err
	}
	if q.raw {
		return 0, errRawWrites
	}
	q.lock, q.keeps = true, true // each row has an event of its own
	u, err := r.writer(ctx, c)
	if err != nil {
		return 0, err
	}
	err = errPanic
	defer u.finishAll(ctx, &err)
	for at, more := position(nil), true; more; {
		p, perr := r.readPage(ctx, u, &q, at, 0, engine.Continue)
		if perr != nil {
			err = perr
			return 0, err
		}
		done, derr := r.doPage(ctx, u, verb, &p, do)
		if derr != nil {
			err = derr
			return 0, err
		}
		n += done
		at, more = p.last, p.more
		r.putPage(&p)
	}
	err = nil
	return n, err
}

func (r *Repository[T]) doPage(
	ctx context.Context, u *unit, verb string, p *page[T], do func(u *unit, row reflect.Value) (bool, error),
) (n int, err error) {
	each := unit{tx: u.tx, queues: true}
	for i := range p.rows {
		changed, err := do(&each, reflect.ValueOf(&p.rows[i]).Elem())
		if err != nil {
			return 0, err
		}
		if changed {
			n++
		}
	}
	return n, r.flushPart(ctx, u, verb, r.subjectsOf(p.rows), !p.more)
}

// Upsert inserts *row, or where a row with its key exists, writes all of *row over
// it as [Repository.Update] does, with the event of the one or the other. Inside a
// transaction of the caller's it returns [ErrExists] if somebody inserts the row at
// the same moment, or a unique value exists; the transaction must then be repeated.
func (r *Repository[T]) Upsert(ctx context.Context, c Conn, row *T) error {
	if row == nil {
		return fmt.Errorf("tenancy: upsert %s: no row: %w", r.t.name, ErrBadValue)
	}
	raced, err := r.upsert(ctx, c, row)
	if raced && errors.Is(err, ErrExists) { // in a transaction of its own: once more
		_, err = r.upsert(ctx, c, row)
	}
	return err
}

func (r *Repository[T]) upsert(ctx context.Context, c Conn, row *T) (raced bool, err error) {
	u, err := r.writer(ctx, c)
	if err != nil {
		return false, err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	v := reflect.ValueOf(row).Elem()
	key, err := r.t.checkedKey(v)
	if err != nil {
		return false, err
	}
	if key.id == uuid.Nil {
		err = r.insert(ctx, u, row)
		return false, err
	}
	if err = r.claim(u.tx, v, r.change("upsert", key.id, r.t.subjectOf(v))); err != nil {
		return false, err
	}
	var old T
	err = r.fetch(ctx, u, r.texts(u.tx.eng.Dialect()).lock, key, engine.Continue, &old)
	switch {
	case errors.Is(err, ErrNotFound):
		err = r.insert(ctx, u, row)
		return u.own, err
	case err == nil:
		err = r.over(ctx, u, reflect.ValueOf(&old).Elem(), v)
	}
	return false, err
}
