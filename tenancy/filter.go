package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
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
	op     operator
	values []reflect.Value
	texts  []string // the values of an encrypted column, for its blind index
	parts  []Filter // of Not and Any
	raw    string   // the caller's text
	args   []any    // its parameters
	err    error
}

// operator says how a filter decides.
type operator int

const (
	isOneOf operator = iota
	isNull
	isLess
	isAtMost
	isGreater
	isAtLeast
	isNot
	isAny
	isRaw
)

// Eq holds for rows whose column equals v. On an encrypted column it needs a
// blind index and compares as the index does (an e-mail index ignores case);
// without one the verb returns [ErrNotIndexed].
func (c Column[V]) Eq(v V) Filter { return c.In(v) }

// In holds for rows whose column equals one of vs; for none if vs is empty.
func (c Column[V]) In(vs ...V) Filter {
	vs = slices.Clone(vs) // a list reads them later
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
func (c Column[V]) IsNull() Filter { return Filter{t: c.t, c: c.c, op: isNull} }

// Less holds for rows whose column is less than v, as [Order] compares, and not
// NULL. On an encrypted column the verb returns [ErrNotIndexed].
func (c Column[V]) Less(v V) Filter { return c.compare(isLess, v) }

// AtMost is [Column.Less] or equal.
func (c Column[V]) AtMost(v V) Filter { return c.compare(isAtMost, v) }

// Greater holds for rows whose column is greater than v, and not NULL.
func (c Column[V]) Greater(v V) Filter { return c.compare(isGreater, v) }

// AtLeast is [Column.Greater] or equal.
func (c Column[V]) AtLeast(v V) Filter { return c.compare(isAtLeast, v) }

func (c Column[V]) compare(op operator, v V) Filter {
	f := Filter{t: c.t, c: c.c, op: op}
	if c.c != nil && c.c.sealed() {
		f.err = fmt.Errorf("tenancy: compare %s.%s: %w", c.t.name, c.c.name, ErrNotIndexed)
		return f
	}
	f.values = []reflect.Value{reflect.ValueOf(&v).Elem()}
	return f
}

// Not holds for rows for which f does not, also where f is unknown because a column
// is NULL. f must not be about an encrypted column's value, nor text of the caller.
func Not(f Filter) Filter { return Filter{t: f.t, op: isNot, parts: []Filter{f}} }

// Any holds for rows for which one of fs does; for none if fs is empty. They must
// not be about an encrypted column's value, nor text of the caller.
func Any(fs ...Filter) Filter {
	f := Filter{op: isAny, parts: slices.Clone(fs)}
	if len(fs) > 0 {
		f.t = fs[0].t
	}
	return f
}

// Where holds for rows for which text, a condition in the database's own SQL, is
// true; its parameters are $1, $2 and so on, and go with the text's values. A number
// that has no value is refused, wherever in the text it stands. It is for what the
// other filters cannot say. The text must be fixed in the program: it runs under the
// role of callers' text, which the database confines to the tenant, but within the
// tenant it can read whatever it likes.
//
// A call takes one Where. It runs in a transaction of its own, in which nothing can
// be written, or in that of [DB.InSQL]; not in that of [DB.In], whose role is another.
func Where(text string, args ...any) Filter {
	return Filter{op: isRaw, raw: text, args: slices.Clone(args)}
}

// builder writes one statement.
type builder struct {
	tx   *Tx
	t    *table
	text strings.Builder
	args []any
	keep []keeper // what decides on a decrypted row where an index is too narrow to
}

// param adds a parameter.
func (b *builder) param(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

// rawText gives the caller's text and binds its parameters, which are the first.
func (b *builder) rawText(q *selection) (string, error) {
	text := ""
	for _, f := range q.filters {
		if f.op != isRaw {
			continue
		}
		if text != "" {
			return "", fmt.Errorf("tenancy: list %s: a second Where: %w", b.t.name, ErrBadValue)
		}
		if err := f.checkRaw(); err != nil {
			return "", fmt.Errorf("tenancy: list %s: %w", b.t.name, err)
		}
		for _, a := range f.args {
			v, err := rawArgument(a)
			if err != nil {
				return "", err
			}
			b.args = append(b.args, v)
		}
		text = "(" + f.raw + "\n/**/) AND " // the text may end in a comment
	}
	return text, nil
}

var placeholder = regexp.MustCompile(`[$?]([0-9]+)`)

// checkRaw refuses the number of a parameter that the text does not come with: it
// would be one of the library's.
func (f Filter) checkRaw() error {
	for _, m := range placeholder.FindAllStringSubmatch(f.raw, -1) {
		if n, err := strconv.Atoi(m[1]); err != nil || n < 1 || n > len(f.args) {
			return fmt.Errorf("a Where with %d values says %s: %w", len(f.args), m[0], ErrBadValue)
		}
	}
	return checkText(f.raw)
}

func rawArgument(a any) (any, error) {
	if a == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	return argument(reflect.ValueOf(a))
}

// where writes a condition.
func (b *builder) where(ctx context.Context, f Filter) error {
	switch {
	case f.op == isNot || f.op == isAny:
		return b.combined(ctx, f)
	case f.t != b.t:
		return fmt.Errorf("tenancy: filter on another table than %s", b.t.name)
	case f.err != nil:
		return f.err
	case f.op == isNull:
		b.text.WriteString(quote(f.c.name) + " IS NULL")
		return nil
	case f.c.sealed():
		return b.indexed(ctx, f)
	}
	args := make([]any, len(f.values))
	for i, v := range f.values {
		var err error
		if args[i], err = argument(v); err != nil {
			return err
		}
	}
	if f.op == isOneOf {
		return b.oneOf(f.c.name, args)
	}
	sign := map[operator]string{isLess: " < ", isAtMost: " <= ", isGreater: " > ", isAtLeast: " >= "}[f.op]
	b.text.WriteString(quote(f.c.name) + sign + b.param(args[0]))
	return nil
}

// combined writes Not and Any.
func (b *builder) combined(ctx context.Context, f Filter) error {
	b.text.WriteString("(")
	for i, p := range f.parts {
		if p.op == isRaw || p.op == isOneOf && p.c != nil && p.c.sealed() {
			return fmt.Errorf("tenancy: Not and Any take no filter by an encrypted value, and no Where: %w", ErrBadValue)
		}
		if i > 0 {
			b.text.WriteString(" OR ")
		}
		if err := b.where(ctx, p); err != nil {
			return err
		}
	}
	if len(f.parts) == 0 {
		b.text.WriteString("1 = 0")
	}
	b.text.WriteString(")")
	if f.op == isNot {
		b.text.WriteString(" IS NOT TRUE")
	}
	return nil
}

// indexed finds an encrypted value by its blind index.
func (b *builder) indexed(ctx context.Context, f Filter) error {
	if f.c.index == nil {
		return fmt.Errorf("tenancy: %s.%s: %w", f.t.name, f.c.name, ErrNotIndexed)
	}
	versions, err := b.tx.indexes(ctx, f.t, f.c)
	if err != nil {
		return err
	}
	x, wanted := versions[0], map[string]bool{}
	var sums []any
	for _, text := range f.texts {
		for _, v := range versions {
			sums = append(sums, v.Sum(text))
		}
		wanted[x.Normalize(text)] = true
	}
	b.keep = append(b.keep, func(row reflect.Value) (bool, error) {
		text, ok, err := sealable(row, f.c).IndexText()
		return err == nil && ok && wanted[x.Normalize(text)], err
	})
	return b.oneOf(f.c.index.name, sums)
}

// oneOf is "col = $n", or the same with a list of values in one parameter, so that
// the text does not depend on their number; of no values it is false. NULL equals
// nothing.
func (b *builder) oneOf(col string, values []any) error {
	values = slices.DeleteFunc(values, func(v any) bool { return v == nil })
	switch {
	case len(values) == 0:
		b.text.WriteString("1 = 0")
	case len(values) == 1:
		b.text.WriteString(quote(col) + " = " + b.param(values[0]))
	case len(values) > maxValues:
		return fmt.Errorf("tenancy: list %s: more than %d values in a filter: %w", b.t.name, maxValues, ErrBadValue)
	default:
		list, err := engine.List(b.tx.eng.Dialect(), values)
		if err != nil {
			return err
		}
		b.text.WriteString(quote(col) + fmt.Sprintf(oneOfList(b.tx.eng.Dialect(), values[0]), b.param(list)))
	}
	return nil
}

// oneOfList is the form of a list in one parameter.
func oneOfList(d migrate.Dialect, first any) string {
	if d == migrate.Postgres {
		return " = ANY (%s)"
	}
	if _, bytes := first.([]byte); bytes {
		return " IN (SELECT unhex(value) FROM json_each(%s))"
	}
	return " IN (SELECT value FROM json_each(%s))"
}
