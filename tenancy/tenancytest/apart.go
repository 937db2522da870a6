package tenancytest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/art32/art32/tenancy"
)

// apart runs fn, which acts for tenant A alone, and wants the rows of tenant B
// as they were: no trigger or rule of the application may carry over what A
// does.
func (t *trial) apart(fn func() error) error {
	before, err := t.all(t.b)
	if err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	after, err := t.all(t.b)
	if err != nil {
		return err
	}
	for i, r := range t.tables {
		if !slices.EqualFunc(before[i], after[i], same) {
			t.errorf("what one tenant did changed rows of %s that belong to another", r.Name)
		}
	}
	return nil
}

// all lists a tenant's rows of each table.
func (t *trial) all(of tenancy.ID) ([][]reflect.Value, error) {
	out := make([][]reflect.Value, len(t.tables))
	for i, r := range t.tables {
		var err error
		if out[i], err = r.list(t.as(of), t.w.DB); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// equalRows gives an empty tenant the rows of tenant A. What A's own constraints
// allowed they allow again; a refusal would tell what another tenant has.
func (t *trial) equalRows() error {
	of, err := t.w.tenant(t.ctx)
	if err != nil {
		return err
	}
	all, err := t.all(t.a)
	if err != nil {
		return err
	}
	left, failed := all, []error(nil)
	for n := -1; n != len(failed); { // until all that rows refer to is there
		n = len(failed)
		if left, failed, err = t.insertEqual(of, left); err != nil {
			return err
		}
	}
	for _, err := range failed {
		// The order in which Options.Fill wrote is not known.
		if t.w.options.Fill == nil || !errors.Is(err, tenancy.ErrConstraint) {
			t.errorf("%w, though its tenant has none: another's is in the way", err)
		}
	}
	return nil
}

// insertEqual inserts the rows of each table, those that are referred to first,
// and returns those that could not be, each with its error.
func (t *trial) insertEqual(of tenancy.ID, all [][]reflect.Value) (left [][]reflect.Value, failed []error, err error) {
	left = make([][]reflect.Value, len(all))
	for i, r := range t.tables {
		for _, row := range all[i] {
			again, err := r.equal(row)
			if err != nil {
				return nil, nil, err
			}
			if err := r.insert(t.as(of), t.w.DB, again); err != nil {
				left[i] = append(left[i], row)
				failed = append(failed, fmt.Errorf("a row of %s that equals one of another tenant is refused: %w", r.Name, err))
			}
		}
	}
	return left, failed, nil
}

// equal is a row of no tenant yet with the same key and values, a pointer.
func (r rows) equal(row reflect.Value) (reflect.Value, error) {
	again := reflect.New(r.typ)
	again.Elem().Set(row)
	r.field(again, r.Tenant).SetZero()
	for _, c := range r.Columns {
		f := r.field(again, c.Name)
		s, ok := reflect.TypeAssert[sealed](f.Addr())
		if !ok {
			continue
		}
		v, err := s.RevealAny()
		if err == nil {
			err = s.SetAny(v)
		}
		if err != nil {
			return again, fmt.Errorf("column %s.%s: %w", r.Name, c.Name, err)
		}
	}
	return again, nil
}
