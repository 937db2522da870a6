package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/art32/art32/crypto/field"
)

// Column is one column of a table, with the Go type V of its values. It is
// declared beside the repository, where its name and type are checked.
type Column[V any] struct {
	t *table
	c *column
}

// NewColumn checks that the table has the column and that V is the type of its
// field, or of what the field encrypts.
func NewColumn[V, T any](r *Repository[T], name string) (Column[V], error) {
	for i := range r.t.cols {
		if c := &r.t.cols[i]; c.name == name {
			want := reflect.TypeFor[V]()
			if c.typ == want || c.sealed() && c.typ == reflect.TypeFor[field.Encrypted[V]]() ||
				c.typ.Kind() == reflect.Pointer && c.typ.Elem() == want {
				return Column[V]{t: r.t, c: c}, nil
			}
			return Column[V]{}, fmt.Errorf("tenancy: column %s.%s is of type %s, not %s", r.t.name, name, c.typ, want)
		}
	}
	return Column[V]{}, fmt.Errorf("tenancy: table %s declares no column %q", r.t.name, name)
}

// Migration counts the reads of plaintext of an encrypted column whose tag says
// plaintext=DATE; nil for any other column. Its count should be exported and
// watched, see [field.Migration].
func (c Column[V]) Migration() *field.Migration {
	if c.c == nil {
		return nil
	}
	return c.c.migration
}

// MustColumn is [NewColumn] for declarations; it panics on error.
func MustColumn[V, T any](r *Repository[T], name string) Column[V] {
	c, err := NewColumn[V](r, name)
	if err != nil {
		panic(err)
	}
	return c
}

// Filter is a condition on the rows of one table.
type Filter struct {
	t      *table
	c      *column
	values []reflect.Value
	texts  []string // the values of an encrypted column, for its blind index
	err    error
	null   bool
}

// Eq holds for rows whose column equals v. On an encrypted column it needs a
// blind index and compares as the index does (an e-mail index ignores case);
// without one the verb returns [ErrNotIndexed].
func (c Column[V]) Eq(v V) Filter { return c.In(v) }

// In holds for rows whose column equals one of vs; for none if vs is empty.
func (c Column[V]) In(vs ...V) Filter {
	f := Filter{t: c.t, c: c.c}
	if c.c == nil { // the zero Column belongs to no table, and no verb takes it
		return f
	}
	for i := range vs {
		if c.c.sealed() {
			e := field.New(vs[i])
			text, _, err := e.IndexText()
			f.texts, f.err = append(f.texts, text), errors.Join(f.err, err)
			continue
		}
		f.values = append(f.values, reflect.ValueOf(&vs[i]).Elem())
	}
	return f
}

// IsNull holds for rows whose column is NULL.
func (c Column[V]) IsNull() Filter { return Filter{t: c.t, c: c.c, null: true} }

// compiled is a filter ready for one statement.
type compiled struct {
	text string
	args []any
	// keep decides on a decrypted row where the index is too narrow to.
	keep func(row reflect.Value) (bool, error)
}

// compile turns f into text whose parameters start at $n.
func (f Filter) compile(ctx context.Context, tx *Tx, t *table, n int) (compiled, error) {
	if f.t != t {
		return compiled{}, fmt.Errorf("tenancy: filter on another table than %s", t.name)
	}
	switch {
	case f.null:
		return compiled{text: quote(f.c.name) + " IS NULL"}, nil
	case f.c.sealed():
		return f.compileSealed(ctx, tx, n)
	}
	out := compiled{text: isOneOf(f.c.name, len(f.values), n)}
	for _, v := range f.values {
		a, err := argument(v)
		if err != nil {
			return compiled{}, err
		}
		out.args = append(out.args, a)
	}
	return out, nil
}

func (f Filter) compileSealed(ctx context.Context, tx *Tx, n int) (compiled, error) {
	if f.c.index == nil {
		return compiled{}, fmt.Errorf("tenancy: %s.%s: %w", f.t.name, f.c.name, ErrNotIndexed)
	}
	if f.err != nil {
		return compiled{}, f.err
	}
	versions, err := tx.indexes(ctx, f.t, f.c)
	if err != nil {
		return compiled{}, err
	}
	out, x := compiled{text: isOneOf(f.c.index.name, len(f.texts)*len(versions), n)}, versions[0]
	wanted := map[string]bool{}
	for _, text := range f.texts {
		for _, v := range versions {
			out.args = append(out.args, v.Sum(text))
		}
		wanted[x.Normalize(text)] = true
	}
	out.keep = func(row reflect.Value) (bool, error) {
		text, ok, err := sealable(row, f.c).IndexText()
		return err == nil && ok && wanted[x.Normalize(text)], err
	}
	return out, nil
}

// isOneOf is "col IN ($n, …)"; of no values it is false.
func isOneOf(col string, values, n int) string {
	if values == 0 {
		return "1 = 0"
	}
	params := make([]string, values)
	for i := range params {
		params[i] = fmt.Sprintf("$%d", n+i)
	}
	if values == 1 {
		return quote(col) + " = " + params[0]
	}
	return quote(col) + " IN (" + strings.Join(params, ", ") + ")"
}
