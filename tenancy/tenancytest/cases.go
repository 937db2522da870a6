package tenancytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

func (t *trial) noTenant() error {
	t.refusedVerbs(tenancy.WithActor(t.ctx, t.w.Actor), tenancy.ErrNoTenant)
	return nil
}

func (t *trial) unknownTenant() error {
	t.refusedVerbs(t.as(tenancy.NewID()), tenancy.ErrUnknownTenant)
	return nil
}

// refusedVerbs calls everything in a context in which nothing may work.
func (t *trial) refusedVerbs(ctx context.Context, due error) {
	for _, r := range t.tables {
		row, err := r.made(uuid.New(), int(t.w.filled.Add(1)))
		if err != nil {
			t.errorf("%w", err)
			continue
		}
		for verb, err := range t.verbs(ctx, r, r.key(row)) {
			t.want(err, due, verb+" of "+r.Name)
		}
		t.want(t.w.DB.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "SELECT count(*) FROM "+t.sqlName(r))
			return err
		}), due, "InSQL on "+r.Name)
	}
	t.want(t.w.DB.Erase(ctx, uuid.New()), due, "Erase")
}

// sqlName is how the application's own SQL names a table.
func (t *trial) sqlName(r rows) string {
	if t.w.Engine == SQLite {
		return strings.ReplaceAll(r.Name, ".", "_")
	}
	return r.Name
}

func (t *trial) foreignRow() error {
	return t.beside(func(r rows, theirs, _ []reflect.Value) error {
		for _, row := range theirs {
			if err := t.foreign(r, r.key(row)); err != nil {
				return err
			}
		}
		return nil
	})
}

// foreign tries as tenant B to reach the row of tenant A with this key.
func (t *trial) foreign(r rows, key reflect.Value) error {
	own, err := t.rows(r, t.b)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(own, func(row reflect.Value) bool { return r.key(row).Interface() == key.Interface() }) {
		t.errorf("List of %s yields a row of another tenant", r.Name)
	}
	n, err := r.count(t.as(t.b), t.w.DB)
	if err != nil {
		return err
	}
	if n != len(own) {
		t.errorf("Count of %s is %d, List yields %d", r.Name, n, len(own))
	}
	ctx := t.as(t.b)
	_, err = r.get(ctx, t.w.DB, key)
	t.want(err, tenancy.ErrNotFound, "Get of "+r.Name)
	t.want(r.edit(ctx, t.w.DB, key, func(row reflect.Value) error { return t.change(r, row) }), tenancy.ErrNotFound, "Edit of "+r.Name)
	t.want(r.remove(ctx, t.w.DB, key), tenancy.ErrNotFound, "Delete of "+r.Name)
	return nil
}

// same compares two rows as they print, but for what was encrypted by the
// ciphertext.
func same(a, b reflect.Value) bool {
	for i := range a.NumField() {
		x, y := a.Field(i), b.Field(i)
		if s, ok := reflect.TypeAssert[interface{ RevealAny() (any, error) }](x); ok {
			o, _ := reflect.TypeAssert[interface{ RevealAny() (any, error) }](y)
			v, errV := s.RevealAny()
			w, errW := o.RevealAny()
			if !reflect.DeepEqual(v, w) || !errors.Is(errV, errW) {
				return false
			}
			continue
		}
		if x.CanInterface() && !reflect.DeepEqual(x.Interface(), y.Interface()) {
			return false
		}
	}
	return true
}

func (t *trial) foreignInsert() error {
	for _, r := range t.tables {
		row, err := r.made(uuid.New(), int(t.w.filled.Add(1)))
		if err != nil {
			return err
		}
		id, err := r.object(row)
		if err != nil {
			return err
		}
		r.field(row, r.Tenant).Set(reflect.ValueOf(t.a))
		t.want(r.insert(t.as(t.b), t.w.DB, row), tenancy.ErrOtherTenant, "Insert into "+r.Name)
		events, err := t.events(t.b)
		if err != nil {
			return err
		}
		if n := traces(events, r.Name+".insert", id, tenancy.Refused); n != 1 {
			t.errorf("%d events of the refused insert into %s, want 1", n, r.Name)
		}
	}
	return nil
}

func (t *trial) libraryTables() error {
	before, err := t.events(t.b)
	if err != nil {
		return err
	}
	all := []string{"events", "event_parts", "erased"}
	for _, table := range all {
		name := engine.Table(t.w.DB.Engine(engine.Library).Dialect(), table)
		_, err := t.sql("DELETE FROM " + name)
		t.want(err, tenancy.ErrForbidden, "DELETE FROM "+name)
	}
	after, err := t.events(t.b)
	if err != nil {
		return err
	}
	if n := traces(after, "sql.refused", uuid.Nil, tenancy.Refused); n != len(all) || len(after) != len(before)+n {
		t.errorf("%d events before, %d after, of them %d of the %d refusals", len(before), len(after), n, len(all))
	}
	return nil
}

func (t *trial) trace() error {
	others, err := t.events(t.b)
	if err != nil {
		return err
	}
	err = t.apart(func() error {
		return errors.Join(t.w.fill(t.as(t.a)), t.traceInsert(), t.traceEdit(), t.traceDelete())
	})
	if err != nil {
		return err
	}
	now, err := t.events(t.b)
	if err == nil && len(now) != len(others) {
		t.errorf("%d events stand in the log of another tenant", len(now)-len(others))
	}
	return err
}

// traced wants events of an action on a row.
func (t *trial) traced(verb string, r rows, row reflect.Value, want int) error {
	id, err := r.object(row)
	if err != nil {
		return err
	}
	events, err := t.events(t.a)
	if err != nil {
		return err
	}
	if n := traces(events, r.Name+"."+verb, id, tenancy.Done); n != want {
		t.errorf("%d events %s.%s of a row, want %d", n, r.Name, verb, want)
	}
	wrong := func(e audit.Entry) bool { return e.Object == id && e.Actor != t.w.Actor.String() }
	if slices.ContainsFunc(events, wrong) {
		t.errorf("an event of %s names another actor", r.Name)
	}
	return nil
}

func (t *trial) traceInsert() error {
	for _, r := range t.tables {
		all, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		for _, row := range all {
			if err := t.traced("insert", r, row, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// traceEdit edits each column of one row; what the database refuses must leave
// no event.
func (t *trial) traceEdit() error {
	for _, r := range t.tables {
		all, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		done := 0
		for _, c := range r.Columns {
			if !r.plain(c) {
				continue
			}
			changed := false
			err := r.edit(t.as(t.a), t.w.DB, r.key(all[0]), func(row reflect.Value) error {
				old := reflect.New(r.typ).Elem()
				old.Set(row.Elem())
				err := put(r.field(row, c.Name), int(t.w.filled.Add(1)))
				changed = !same(old, row.Elem())
				return err
			})
			if err == nil && changed {
				done++
			}
			if err := t.traced("update", r, all[0], done); err != nil {
				return err
			}
		}
	}
	return nil
}

// traceDelete deletes the rows, those first that refer to others.
func (t *trial) traceDelete() error {
	for _, r := range slices.Backward(t.tables) {
		all, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		for _, row := range all {
			want := 1
			if err := r.remove(t.as(t.a), t.w.DB, r.key(row)); err != nil {
				want = 0
			}
			if err := t.traced("delete", r, row, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// quitter is a log that is full after some entries.
type quitter struct {
	tenancy.ChangeRecorder

	left int
}

var errFull = errors.New("the log is full")

func (q *quitter) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if q.left--; q.left < 0 {
		return errFull
	}
	return q.ChangeRecorder.Change(ctx, tx, c)
}

func (t *trial) noEntry() error {
	log := &quitter{ChangeRecorder: t.w.Log}
	db, err := tenancy.New(t.w.DB.Engine(engine.Library), t.w.schema, t.w.Keys, log, nil)
	if err != nil {
		return err
	}
	before, err := t.state()
	if err != nil {
		return err
	}
	for _, r := range t.tables {
		all, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		t.want(r.remove(t.as(t.a), db, r.key(all[0])), errFull, "Delete of "+r.Name)
		err = r.edit(t.as(t.a), db, r.key(all[0]), func(row reflect.Value) error { return t.change(r, row) })
		if slices.ContainsFunc(r.Columns, r.plain) {
			t.want(err, errFull, "Edit of "+r.Name)
		}
	}
	log.left = 1
	t.want(db.In(t.as(t.a), func(ctx context.Context, tx *tenancy.Tx) error {
		return errors.Join(t.w.fillIn(ctx, tx), t.w.fillIn(ctx, tx))
	}), errFull, "In")
	after, err := t.state()
	if err == nil && before != after {
		t.errorf("rows and events were %s, and are %s", before, after)
	}
	return err
}

// state counts rows and events of tenant A.
func (t *trial) state() (string, error) {
	var s strings.Builder
	for _, r := range t.tables {
		n, err := r.count(t.as(t.a), t.w.DB)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&s, "%s %d, ", r.Name, n)
	}
	events, err := t.events(t.a)
	fmt.Fprintf(&s, "events %d", len(events))
	return s.String(), err
}
