package tenancytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
)

// beside lets tenant B work on each table, given the rows of tenant A and its
// own, and looks whether those of A are as they were. What refers to others is
// declared behind them, so the last table comes first.
func (t *trial) beside(work func(r rows, theirs, own []reflect.Value) error) error {
	for _, r := range slices.Backward(t.tables) {
		theirs, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		own, err := t.rows(r, t.b)
		if err != nil {
			return err
		}
		if err := work(r, theirs, own); err != nil {
			return err
		}
		after, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(theirs, after, same) {
			t.errorf("another tenant changed rows of %s", r.Name)
		}
	}
	return nil
}

func (t *trial) callersSQL() error {
	return t.beside(func(r rows, theirs, own []reflect.Value) error {
		name, tenant := t.sqlName(r), fmt.Sprintf("%q = '%s'", r.Tenant, t.a)
		row, mine := r.condition(theirs[0]), r.condition(own[0])
		t.hits("SELECT 1 FROM "+name, len(own))
		t.hits("SELECT 1 FROM "+name+" WHERE "+mine, 1)
		t.hits("SELECT 1 FROM "+name+" WHERE "+tenant, 0)
		t.hits("SELECT 1 FROM "+name+" WHERE "+row, 0)
		t.hits(fmt.Sprintf("UPDATE %s SET %[2]q = %[2]q WHERE %[3]s", name, r.keys[0], row), 0)
		t.hits("DELETE FROM "+name+" WHERE "+tenant+" OR "+row, 0)
		// PostgreSQL refuses it; in SQLite the row stays in the file of B.
		_, _ = t.sql(fmt.Sprintf("UPDATE %s SET %s WHERE %s", name, tenant, mine))
		return nil
	})
}

func (t *trial) callersConditions() error {
	return t.beside(func(r rows, theirs, own []reflect.Value) error {
		tenant := fmt.Sprintf("%q = '%s'", r.Tenant, t.a)
		for text, most := range map[string]int{
			tenant: 0, "1 = 1": len(own), "1 = 1) OR (1 = 1": len(own), "1 = 1) OR (" + tenant: len(own),
			r.condition(theirs[0]): 0, "1 = 1) OR 1 = 1 --": len(own),
		} {
			n, err := r.count(t.as(t.b), t.w.DB, tenancy.Where(text))
			if n > most || err == nil && n < most && !strings.Contains(text, ")") {
				t.errorf("%s where %s: %d rows (%v), want %d", r.Name, text, n, err, most)
			}
		}
		return nil
	})
}

// allRows changes and deletes all that B has.
func (t *trial) allRows() error {
	return t.beside(func(r rows, _, own []reflect.Value) error {
		page, err := r.page(t.as(t.b), t.w.DB)
		if err != nil {
			return err
		}
		for _, row := range page {
			if !slices.ContainsFunc(own, func(o reflect.Value) bool { return r.key(o).Interface() == r.key(row).Interface() }) {
				t.errorf("Page of %s yields a row of another tenant", r.Name)
			}
		}
		edited, err := r.editAll(t.as(t.b), t.w.DB, func(row reflect.Value) error { return t.change(r, row) })
		if err != nil || edited > len(own) || slices.ContainsFunc(r.Columns, r.plain) && edited != len(own) {
			t.errorf("EditAll of %s changed %d rows (%v), want %d", r.Name, edited, err, len(own))
		}
		// A constraint of the application's may keep rows.
		if n, err := r.removeAll(t.as(t.b), t.w.DB); err == nil && n != len(own) || err != nil && !errors.Is(err, tenancy.ErrConstraint) {
			t.errorf("DeleteAll of %s deleted %d rows (%v), want %d", r.Name, n, err, len(own))
		}
		return nil
	})
}

// hits notes a statement of tenant B that reads or changes another number of
// rows; one that is refused hits none.
func (t *trial) hits(text string, want int) {
	if n, err := t.sql(text); n != want || err != nil && !errors.Is(err, tenancy.ErrForbidden) {
		t.errorf("%s: hit %d rows (%v), want %d", text, n, err, want)
	}
}

// sql runs a statement of tenant B's own.
func (t *trial) sql(text string) (n int, err error) {
	err = t.w.DB.InSQL(t.as(t.b), func(ctx context.Context, tx *tenancy.SQLTx) error {
		if strings.HasPrefix(text, "SELECT") {
			var ones []int
			err := tx.SQLX().SelectContext(ctx, &ones, text)
			n = len(ones)
			return err
		}
		res, err := tx.SQLX().ExecContext(ctx, text)
		if err != nil {
			return err
		}
		hit, err := res.RowsAffected()
		n = int(hit)
		return err
	})
	return n, err
}
