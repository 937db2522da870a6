package tenancy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/art32/art32/internal/migrate"
)

// Clause says which rows a list gives, in which order, and how many: a [Filter],
// an [Order] or a [Limit].
type Clause interface{ addTo(q *selection) }

var (
	_ Clause = Filter{}
	_ Clause = Order{}
	_ Clause = Limit(0)
)

// Order is a column by which a list is ordered. Later ones decide between rows that
// are equal by the earlier ones, and the key at last, in the direction of the one
// before it. NULL counts as greater than every value. Texts are ordered as the
// column's collation has it: in SQLite, by their bytes.
type Order struct {
	t    *table
	c    *column
	desc bool
}

// Asc orders by the column, the smallest value first. An encrypted column has no
// order that the database knows, and the verb returns [ErrNotIndexed].
func (c Column[V]) Asc() Order { return Order{t: c.t, c: c.c} }

// Desc is [Column.Asc] with the greatest value first.
func (c Column[V]) Desc() Order { return Order{t: c.t, c: c.c, desc: true} }

// Limit bounds the number of rows; it must be positive.
type Limit int

// selection is what the clauses of one call ask for.
type selection struct {
	filters []Filter
	orders  []Order
	limit   int  // 0: none
	lock    bool // the rows are written next
	raw     bool // a filter holds text of the caller
	keeps   bool // no row is handed over, or
	hands   int  // at most that many; 0: all
	err     error
}

// handed is how many of n rows that were read are handed over.
func (q *selection) handed(n int) int {
	switch {
	case q.keeps:
		return 0
	case q.hands > 0:
		return min(n, q.hands)
	}
	return n
}

func (f Filter) addTo(q *selection) { q.filters = append(q.filters, f) }

func (o Order) addTo(q *selection) { q.orders = append(q.orders, o) }

func (l Limit) addTo(q *selection) {
	switch {
	case l <= 0:
		q.err = errors.Join(q.err, fmt.Errorf("tenancy: limit of %d rows: %w", int(l), ErrBadValue))
	case q.limit != 0:
		q.err = errors.Join(q.err, fmt.Errorf("tenancy: two limits: %w", ErrBadValue))
	}
	q.limit = int(l)
}

// selectionOf reads the clauses of a call on t.
func selectionOf(t *table, clauses []Clause) (selection, error) {
	var q selection
	for _, c := range clauses {
		if c == nil {
			return q, fmt.Errorf("tenancy: list %s: a clause is nil: %w", t.name, ErrBadValue)
		}
		c.addTo(&q)
	}
	return q, q.complete(t)
}

func filtersOf(t *table, filters []Filter) (selection, error) {
	q := selection{filters: filters}
	return q, q.complete(t)
}

// complete checks the clauses and adds the order that makes each position in the list
// one row's: the key's.
func (q *selection) complete(t *table) error {
	for i, o := range q.orders {
		switch {
		case o.c == nil || o.t != t:
			q.err = errors.Join(q.err, fmt.Errorf("tenancy: order by a column of another table than %s", t.name))
		case o.c.sealed():
			q.err = errors.Join(q.err, fmt.Errorf("tenancy: order by %s.%s: %w", t.name, o.c.name, ErrNotIndexed))
		case slices.ContainsFunc(q.orders[:i], func(p Order) bool { return p.c == o.c }):
			q.err = errors.Join(q.err, fmt.Errorf("tenancy: order by %s.%s twice: %w", t.name, o.c.name, ErrBadValue))
		}
	}
	for _, f := range q.filters {
		q.raw = q.raw || f.op == isRaw
	}
	asked := q.orders
	desc := len(asked) > 0 && asked[len(asked)-1].desc
	q.orders = slices.Clip(asked)
	for _, n := range t.keys {
		key := &t.cols[n]
		if !slices.ContainsFunc(asked, func(o Order) bool { return o.c == key }) {
			q.orders = append(q.orders, Order{t: t, c: key, desc: desc})
		}
	}
	return q.err
}

// sameKey reports whether a row has the key that the position names.
func (q *selection) sameKey(row reflect.Value, at position) bool {
	for i, o := range q.orders {
		if o.c.key != "" && !o.c.is(row, at[i]) {
			return false
		}
	}
	return true
}

// nullable reports whether the column may hold NULL, as its Go type says: a Valuer
// of any kind may write one.
func (c *column) nullable() bool {
	return c.typ.Kind() == reflect.Pointer || c.typ.Kind() == reflect.Slice ||
		c.typ.Implements(valuerType) && !uuidLike(c.typ)
}

// orderText is the ORDER BY of a selection.
func (q *selection) orderText(b *builder) {
	b.text.WriteString(" ORDER BY ")
	for i, o := range q.orders {
		if i > 0 {
			b.text.WriteString(", ")
		}
		b.text.WriteString(quote(o.c.name))
		switch {
		case o.desc && o.c.nullable():
			b.text.WriteString(" DESC NULLS FIRST")
		case o.desc:
			b.text.WriteString(" DESC")
		case o.c.nullable():
			b.text.WriteString(" ASC NULLS LAST")
		}
	}
}

// lockText locks the rows where others could write them meanwhile.
func (q *selection) lockText(b *builder) string {
	if q.lock && b.tx.eng.Dialect() == migrate.Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// position is where a row stands in the order of a list: its value of each order.
type position []any

// positionOf is where a row stands.
func (q *selection) positionOf(row reflect.Value) (position, error) {
	at := make(position, len(q.orders))
	for i, o := range q.orders {
		var err error
		if at[i], err = argument(row.Field(o.c.field)); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// behind writes the condition that a row stands behind at. Where all orders go one
// way and none may be NULL, it is a comparison of rows, which an index serves.
func (q *selection) behind(b *builder, at position) {
	way, plain := q.orders[0].desc, true
	for _, o := range q.orders {
		plain = plain && o.desc == way && !o.c.nullable()
	}
	if !plain {
		q.behindEach(b, at)
		return
	}
	names, params := make([]string, len(at)), make([]string, len(at))
	for i, o := range q.orders {
		names[i], params[i] = quote(o.c.name), b.param(at[i])
	}
	b.text.WriteString(" AND " + tuple(names) + map[bool]string{false: " > ", true: " < "}[way] + tuple(params))
}

// behindEach spells the comparison out: behind by the first order, or equal by it
// and behind by the second, and so on.
func (q *selection) behindEach(b *builder, at position) {
	b.text.WriteString(" AND (")
	for i := range q.orders {
		if i > 0 {
			b.text.WriteString(" OR ")
		}
		b.text.WriteString("(")
		for j, o := range q.orders[:i] {
			b.text.WriteString(equal(o.c, b, at[j]) + " AND ")
		}
		b.text.WriteString(further(q.orders[i], b, at[i]) + ")")
	}
	b.text.WriteString(")")
}

func equal(c *column, b *builder, v any) string {
	if v == nil {
		return quote(c.name) + " IS NULL"
	}
	return quote(c.name) + " = " + b.param(v)
}

// further is the condition that the column's value comes after v, NULL being the
// greatest.
func further(o Order, b *builder, v any) string {
	name := quote(o.c.name)
	switch {
	case v == nil && o.desc:
		return name + " IS NOT NULL"
	case v == nil:
		return "1 = 0"
	case o.desc:
		return name + " < " + b.param(v)
	case o.c.nullable():
		return "(" + name + " > " + b.param(v) + " OR " + name + " IS NULL)"
	}
	return name + " > " + b.param(v)
}

func tuple(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
