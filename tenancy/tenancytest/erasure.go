package tenancytest

import (
	"errors"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

func (t *trial) erasure() error {
	if err := t.w.fill(t.as(t.a)); err != nil {
		return err
	}
	for _, r := range t.tables {
		if r.Subject == "" {
			continue
		}
		all, err := t.rows(r, t.a)
		if err != nil {
			return err
		}
		return t.apart(func() error { return t.erase(r.id(all[0], r.Subject)) })
	}
	return nil // no table tells of people
}

func (t *trial) erase(subject uuid.UUID) error {
	kept, err := t.about(subject, false)
	if err != nil {
		return err
	}
	if err := t.w.DB.Erase(t.as(t.a), subject); err != nil {
		return err
	}
	gone, err := t.about(subject, true)
	if err != nil {
		return err
	}
	for i, r := range t.tables {
		for _, row := range gone[i] {
			if left := r.erased(row); left != "" {
				t.errorf("after the erasure %s still holds: %s", r.Name, left)
			}
			t.writeAbout(r, r.key(row), subject)
		}
	}
	still, err := t.about(subject, false)
	if err != nil {
		return err
	}
	for i, r := range t.tables {
		if !slices.EqualFunc(kept[i], still[i], same) {
			t.errorf("the erasure of one person changed rows of %s about others", r.Name)
		}
	}
	return t.forgotten(gone)
}

// about lists for each table the rows of tenant A about a person, or all
// others.
func (t *trial) about(subject uuid.UUID, yes bool) ([][]reflect.Value, error) {
	out, err := t.all(t.a)
	if err != nil {
		return nil, err
	}
	for i, r := range t.tables {
		out[i] = slices.DeleteFunc(out[i], func(row reflect.Value) bool { return (r.id(row, r.Subject) == subject) != yes })
	}
	return out, nil
}

// writeAbout tries to write something about an erased person.
func (t *trial) writeAbout(r rows, key reflect.Value, subject uuid.UUID) {
	for _, c := range r.Columns {
		if c.Class == tenancy.Open {
			continue
		}
		changed := false
		err := r.edit(t.as(t.a), t.w.DB, key, func(row reflect.Value) error {
			f := r.field(row, c.Name)
			err := put(f, int(t.w.filled.Add(1)))
			changed = c.Class == tenancy.Encrypted || !empty(f)
			return err
		})
		if changed {
			t.refusedAbout(err, "Edit of "+r.Name)
		}
	}
	row, err := r.made(subject, int(t.w.filled.Add(1)))
	if err == nil {
		t.refusedAbout(r.insert(t.as(t.a), t.w.DB, row), "Insert into "+r.Name)
	}
}

// refusedAbout wants a write refused, if not for the erasure then for a
// constraint.
func (t *trial) refusedAbout(err error, what string) {
	if !errors.Is(err, tenancy.ErrErased) && !errors.Is(err, tenancy.ErrExists) && !errors.Is(err, tenancy.ErrConstraint) {
		t.errorf("%s about an erased person: error %v, want %v", what, err, tenancy.ErrErased)
	}
}

// forgotten wants nothing in the log about what the rows of an erased person
// held, and the erasure itself.
func (t *trial) forgotten(gone [][]reflect.Value) error {
	events, err := t.events(t.a)
	if err != nil {
		return err
	}
	if traces(events, "audit.erase", uuid.Nil, tenancy.Done) == 0 {
		t.errorf("the log does not tell of the erasure")
	}
	for i, r := range t.tables {
		for _, row := range gone[i] {
			id, err := r.object(row)
			if err != nil {
				return err
			}
			for _, e := range events {
				for _, f := range e.Fields {
					if e.Object == id && slices.ContainsFunc(r.Columns, func(c tenancy.ColumnInfo) bool {
						return c.Name == f.Column && c.Class != tenancy.Open && (nonNull(f.Old) || nonNull(f.New))
					}) {
						t.errorf("the log still tells %s.%s of an erased person", r.Name, f.Column)
					}
				}
			}
		}
	}
	return nil
}

func nonNull(text []byte) bool { return len(text) > 0 && string(text) != "null" }
