package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/art32/art32/internal/engine"
)

// Edit reads the row under a lock, lets fn change it, and writes what changed
// with its event: no update of another is lost. If fn changes nothing, nothing
// is written. Tenant, key and data subject of a row cannot be changed.
func (r *Repository[T]) Edit(ctx context.Context, c Conn, id any, fn func(row *T) error) (err error) {
	key, err := r.rowKey(id)
	if err != nil {
		return err
	}
	if fn == nil {
		return fmt.Errorf("tenancy: edit %s: no function: %w", r.t.name, ErrBadValue)
	}
	u, err := r.writer(ctx, c)
	if err != nil {
		return err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.edit(ctx, u, key, fn)
}

func (r *Repository[T]) edit(ctx context.Context, u *unit, key rowKey, fn func(row *T) error) error {
	var old T
	if err := r.fetch(ctx, u, r.texts(u.tx.eng.Dialect()).lock, key, engine.Continue, &old); err != nil {
		return err
	}
	_, err := r.changed(ctx, u, reflect.ValueOf(&old).Elem(), fn)
	return err
}

// changed lets fn change a copy of the locked row, and stores what differs.
func (r *Repository[T]) changed(ctx context.Context, u *unit, old reflect.Value, fn func(row *T) error) (bool, error) {
	row := r.t.clone(old)
	err := fn(row.Addr().Interface().(*T)) //nolint:forcetypeassert // clone of a T
	if err == nil && r.t.versionOf(row) != r.t.versionOf(old) {
		err = fmt.Errorf("tenancy: %s.update: the version of a row cannot be changed: %w", r.t.name, ErrBadValue)
	}
	differs := false
	if err == nil {
		differs, err = r.store(ctx, u, old, row)
	}
	if r.t.reads && !differs { // fn has seen the row, and no event of a change says so
		rd := Read{Action: r.t.name + ".read", Object: r.t.keyOf(old)}
		rd.add(r.t, old, nil)
		err = errors.Join(err, u.tx.noteRead(ctx, rd))
	}
	return differs, err
}

// clone copies a row, also what its pointers and slices hold, so that changing
// the copy leaves the original for the comparison.
func (t *table) clone(row reflect.Value) reflect.Value {
	n := reflect.New(t.typ).Elem()
	n.Set(row)
	for i := range t.cols {
		f := n.Field(t.cols[i].field)
		switch {
		case f.Kind() == reflect.Pointer && !f.IsNil():
			p := reflect.New(f.Type().Elem())
			p.Elem().Set(f.Elem())
			f.Set(p)
		case f.Kind() == reflect.Slice && !f.IsNil():
			f.Set(reflect.AppendSlice(reflect.MakeSlice(f.Type(), 0, f.Len()), f))
		}
	}
	return n
}

// Update writes all of *row over the row with its key, which must exist, with
// the event of what differs. It reads the old row under a lock first, as
// [Repository.Edit] does; where the new values depend on the old, use Edit. Where a
// column says version, the row must have that of the stored one, else it was changed
// by another since it was read: [ErrConflict].
func (r *Repository[T]) Update(ctx context.Context, c Conn, row *T) (err error) {
	if row == nil {
		return fmt.Errorf("tenancy: update %s: no row: %w", r.t.name, ErrBadValue)
	}
	v := reflect.ValueOf(row).Elem()
	u, err := r.writer(ctx, c)
	if err != nil {
		return err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.replace(ctx, u, v)
}

func (r *Repository[T]) replace(ctx context.Context, u *unit, v reflect.Value) error {
	key, err := r.t.checkedKey(v)
	if err != nil {
		return err
	}
	if err := r.claim(u.tx, v, r.change("update", key.id, r.t.subjectOf(v))); err != nil {
		return err
	}
	var old T
	if err := r.fetch(ctx, u, r.texts(u.tx.eng.Dialect()).lock, key, engine.Continue, &old); err != nil {
		return err
	}
	return r.over(ctx, u, reflect.ValueOf(&old).Elem(), v)
}

// over writes v over the locked row, if v has its version.
func (r *Repository[T]) over(ctx context.Context, u *unit, old, v reflect.Value) error {
	if r.t.versionOf(v) != r.t.versionOf(old) {
		return fmt.Errorf("tenancy: %s.update: %w", r.t.name, ErrConflict)
	}
	_, err := r.store(ctx, u, old, v)
	return err
}

// store writes the difference between the locked row and the new one, if there is
// one, under the next version.
func (r *Repository[T]) store(ctx context.Context, u *unit, old, row reflect.Value) (differs bool, err error) {
	if err := u.tx.enter(); err != nil {
		return false, err
	}
	defer u.tx.leave()
	c, err := r.difference(u.tx, old, row)
	if err != nil || len(c.Fields) == 0 {
		return false, err
	}
	n := len(u.tx.counted)
	r.t.setVersion(u.tx, row, r.t.versionOf(old)+1)
	if err := r.storeRow(ctx, u, c, row); err != nil {
		u.tx.uncount(n)
		return false, err
	}
	if u.queues { // the row is a copy, one of many
		u.tx.counted = u.tx.counted[:n]
	}
	return true, nil
}

// difference is the change from the locked row to the new one.
func (r *Repository[T]) difference(tx *Tx, old, row reflect.Value) (Change, error) {
	key, subject := r.t.keyOf(old), r.t.subjectOf(old)
	c := r.change("update", key, subject)
	if r.t.keyOf(row) != key || r.t.subjectOf(row) != subject {
		return c, fmt.Errorf("tenancy: %s: key and data subject of a row cannot be changed: %w", c.Action, ErrBadValue)
	}
	if err := r.claim(tx, row, c); err != nil {
		return c, err
	}
	var err error
	c.Fields, err = r.t.diff(old, row)
	return c, wrap("update", r.t.name, err)
}

func (r *Repository[T]) storeRow(ctx context.Context, u *unit, c Change, row reflect.Value) error {
	args, err := r.seal(ctx, u.tx, row)
	if err != nil {
		return wrap("update", r.t.name, err)
	}
	if err := r.free(ctx, u.tx, row); err != nil {
		return wrap(c.Action, "row", err)
	}
	x := r.texts(u.tx.eng.Dialect())
	stmt := engine.Stmt{SQL: x.update, Args: args, Rows: x.rows}
	if aboutPerson(c.Fields) {
		return r.writeAbout(ctx, u, c, stmt)
	}
	return r.write(ctx, u, c, stmt)
}

// Delete removes the row with the given id and records what it held.
func (r *Repository[T]) Delete(ctx context.Context, c Conn, id any) (err error) {
	key, err := r.rowKey(id)
	if err != nil {
		return err
	}
	u, err := r.writer(ctx, c)
	if err != nil {
		return err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.remove(ctx, u, key)
}

func (r *Repository[T]) remove(ctx context.Context, u *unit, key rowKey) error {
	var old T
	if err := r.fetch(ctx, u, r.texts(u.tx.eng.Dialect()).lock, key, engine.Continue, &old); err != nil {
		return err
	}
	if err := u.tx.enter(); err != nil {
		return err
	}
	defer u.tx.leave()
	return r.removeRow(ctx, u, reflect.ValueOf(&old).Elem())
}

// removeRow deletes a locked row.
func (r *Repository[T]) removeRow(ctx context.Context, u *unit, v reflect.Value) error {
	key := r.t.keyAt(v)
	c := r.change("delete", key.id, r.t.subjectOf(v))
	var err error
	if c.Fields, err = r.t.diff(v, reflect.Value{}); err != nil {
		return wrap("delete", r.t.name, err)
	}
	x := r.texts(u.tx.eng.Dialect())
	return r.write(ctx, u, c, engine.Stmt{SQL: x.delete, Args: key.params(u.tx.scope.Tenant), Rows: x.rows})
}
