package tenancy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// pageSize is the number of rows that a list holds in memory at once.
const pageSize = 500

// mostExpected bounds the rows for which a page makes room before it is read:
// a long list must not make each short one behind it dear.
const mostExpected = 128

// maxValues bounds the values of one filter.
const maxValues = 32000

// List yields the rows for which all filters hold, in the order that clauses ask
// for, else in that of their keys. It reads pages of 500 rows into memory, so that
// the loop's body may query; outside a transaction each page is a statement of its
// own, and a row that moves in the order meanwhile may be missed or seen twice. An
// error ends the list.
func (r *Repository[T]) List(ctx context.Context, c Conn, clauses ...Clause) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q, err := selectionOf(r.t, clauses)
		var at position
		for left := q.limit; ; {
			var p page[T]
			if err == nil {
				p, err = r.page(ctx, c, &q, at, left)
			}
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for i := range p.rows {
				if !yield(p.rows[i], nil) {
					return
				}
			}
			n := len(p.rows)
			r.putPage(&p)
			if left -= n; !p.more || q.limit > 0 && left <= 0 {
				return
			}
			at = p.last
		}
	}
}

// Count counts the rows for which all filters hold. A filter by a narrow blind
// index reads and decrypts the rows that it finds.
func (r *Repository[T]) Count(ctx context.Context, c Conn, filters ...Filter) (int, error) {
	q, err := filtersOf(r.t, filters)
	if err != nil {
		return 0, err
	}
	if exact(filters) {
		return r.count(ctx, c, &q)
	}
	n := 0
	q.keeps = true
	for at, more := position(nil), true; more; {
		p, err := r.page(ctx, c, &q, at, 0)
		if err != nil {
			return 0, err
		}
		n += len(p.rows)
		r.putPage(&p)
		at, more = p.last, p.more
	}
	return n, nil
}

// exact reports whether the database alone can decide all filters.
func exact(filters []Filter) bool {
	for _, f := range filters {
		if f.c != nil && f.c.sealed() && f.op == isOneOf { // nil: of no column
			return false
		}
	}
	return true
}

func (r *Repository[T]) count(ctx context.Context, c Conn, q *selection) (n int, err error) {
	u, err := r.reader(ctx, c, q)
	if err != nil {
		return 0, err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	if err = u.tx.enter(); err != nil {
		return 0, err
	}
	defer u.tx.leave()
	b, err := r.selecting(ctx, u, "count(*)", q)
	if err != nil {
		return 0, err
	}
	err = r.query(ctx, u, b, u.last(), q.raw, func(row engine.Row) error { return row.Scan(&n) })
	return n, err
}

// reader is the unit of work of a list.
func (r *Repository[T]) reader(ctx context.Context, c Conn, q *selection) (*unit, error) {
	if q.raw {
		return c.unit(ctx, readsRaw)
	}
	return c.unit(ctx, reads)
}

// page is one bounded piece of a list.
type page[T any] struct {
	rows []T // those that the filters keep
	read int // how many there were
	last position
	more bool
}

func (r *Repository[T]) page(ctx context.Context, c Conn, q *selection, at position, most int) (p page[T], err error) {
	u, err := r.reader(ctx, c, q)
	if err != nil {
		return p, err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.readPage(ctx, u, q, at, most, r.t.ends(u))
}

// readPage reads at most that many rows behind at, 0 for no bound of the caller's.
func (r *Repository[T]) readPage(ctx context.Context, u *unit, q *selection, at position, most int, end engine.End) (page[T], error) {
	if err := u.tx.enter(); err != nil {
		return page[T]{}, err
	}
	defer u.tx.leave()
	p := page[T]{rows: r.getPage()}
	b, err := r.selecting(ctx, u, r.texts(u.tx.eng.Dialect()).columns, q)
	if err != nil {
		return p, err
	}
	if at != nil {
		q.behind(b, at)
	}
	q.orderText(b)
	size := pageSize
	if most > 0 && len(b.keep) == 0 {
		size = min(size, most)
	}
	b.text.WriteString(" LIMIT " + strconv.Itoa(size) + q.lockText(b))
	if err := r.scanPage(ctx, u, b, &p, end, q.raw); err != nil {
		return p, err
	}
	if err := r.beyond(q, at, p.rows); err != nil {
		return p, err
	}
	p.read = len(p.rows)
	r.t.expected.Store(int32(min(p.read, mostExpected)))
	if p.more = p.read == size; p.more {
		if p.last, err = q.positionOf(reflect.ValueOf(&p.rows[size-1]).Elem()); err != nil {
			return p, wrap("list", r.t.name, err)
		}
	}
	if err := r.attachPage(ctx, u.tx, p.rows); err != nil {
		return p, wrap("list", r.t.name, err)
	}
	p.rows, err = sift(p.rows, b.keep)
	if most > 0 && len(p.rows) > most {
		p.rows, p.more = p.rows[:most], true
	}
	if err != nil {
		return p, wrap("list", r.t.name, err)
	}
	return p, r.tellRows(ctx, u, p.rows[:q.handed(len(p.rows))])
}

// beyond refuses a page that shows the row behind whose place it was to begin: the
// list would never end.
func (r *Repository[T]) beyond(q *selection, at position, rows []T) error {
	if len(at) == 0 {
		return nil
	}
	for n := range rows {
		v := reflect.ValueOf(&rows[n]).Elem()
		if !q.sameKey(v, at) {
			continue
		}
		if again, err := q.positionOf(v); err != nil || reflect.DeepEqual(again, at) {
			return fmt.Errorf("tenancy: list %s: a column of its order holds values in another form than the library writes them: %w",
				r.t.name, errors.Join(ErrBadValue, err))
		}
	}
	return nil
}

// getPage gives room for a page: that of a list which has ended, or for as many
// rows as the last one had.
func (r *Repository[T]) getPage() []T {
	if rows, ok := r.pages.Get().(*[]T); ok {
		return *rows
	}
	return make([]T, 0, r.t.expected.Load())
}

// putPage takes the room back once the caller has its copies.
func (r *Repository[T]) putPage(p *page[T]) {
	clear(p.rows[:p.read])
	rows := p.rows[:0]
	r.pages.Put(&rows)
}

type keeper func(reflect.Value) (bool, error)

func (r *Repository[T]) scanPage(ctx context.Context, u *unit, b *builder, p *page[T], end engine.End, raw bool) error {
	l := newLoader(r.t)
	return r.query(ctx, u, b, end, raw, func(row engine.Row) error {
		p.rows = append(p.rows, *new(T))
		return l.scan(row, reflect.ValueOf(&p.rows[len(p.rows)-1]).Elem())
	})
}

// selecting begins SELECT what over the tenant's rows for which the filters hold.
func (r *Repository[T]) selecting(ctx context.Context, u *unit, what string, q *selection) (*builder, error) {
	if !u.tx.db.schema.holds(r.t) {
		return nil, fmt.Errorf("tenancy: table %s is not in the schema of this database", r.t.name)
	}
	if err := u.tx.tell(ctx, r.t.name); err != nil {
		return nil, err
	}
	b := &builder{tx: u.tx, t: r.t}
	raw, err := b.rawText(q)
	if err != nil {
		return nil, err
	}
	b.text.WriteString("SELECT " + what + " FROM " + r.texts(u.tx.eng.Dialect()).from +
		" WHERE " + raw + b.ofTenant(q.raw))
	for _, f := range q.filters {
		if f.op == isRaw {
			continue
		}
		b.text.WriteString(" AND ")
		if err := b.where(ctx, f); err != nil {
			return nil, u.tx.unknown(ctx, err)
		}
	}
	return b, nil
}

// ofTenant names the tenant of the rows. Beside text of a caller's, which could undo
// it, it would be no defence: in PostgreSQL the policy names the tenant alone then,
// since planning for both takes as long as all the rest.
func (b *builder) ofTenant(raw bool) string {
	if raw && b.tx.eng.Dialect() == migrate.Postgres {
		return "true"
	}
	return quote(b.t.cols[b.t.tenant].name) + " = " + b.param(b.tx.scope.Tenant)
}

// query runs what b has built.
func (r *Repository[T]) query(
	ctx context.Context, u *unit, b *builder, end engine.End, raw bool, row func(engine.Row) error,
) error {
	s := engine.Stmt{SQL: b.text.String(), Args: b.args, Once: raw, Caller: raw}
	c := Change{Action: r.t.name + ".read", Table: r.t.name}
	return wrap("list", r.t.name, u.tx.run(ctx, s, end, c, row))
}

// attachPage fetches the keys of a page's data subjects at once.
func (r *Repository[T]) attachPage(ctx context.Context, tx *Tx, rows []T) error {
	subjects := make([]uuid.UUID, 0, len(rows))
	sealed := false
	for i := range rows {
		v := reflect.ValueOf(&rows[i]).Elem()
		if !r.t.anySealed(v) {
			continue
		}
		sealed = true
		if s := r.t.subjectOf(v); s != uuid.Nil && (len(subjects) == 0 || s != subjects[len(subjects)-1]) {
			subjects = append(subjects, s)
		}
	}
	if !sealed {
		return nil
	}
	return r.attachAll(ctx, tx, rows, subjects)
}

func (r *Repository[T]) attachAll(ctx context.Context, tx *Tx, rows []T, subjects []uuid.UUID) error {
	var own *field.Cipher
	var err error
	if r.t.subject < 0 {
		if own, err = tx.db.keys.TenantCipher(ctx, tx.scope.Tenant); err != nil {
			return err
		}
	}
	ciphers, err := tx.db.keys.Ciphers(ctx, tx.scope.Tenant, subjects)
	if err != nil {
		return err
	}
	tenant := tx.Tenant().String()
	for i := range rows {
		v := reflect.ValueOf(&rows[i]).Elem()
		cipher := own
		if own == nil {
			var known bool
			cipher, known = ciphers[r.t.subjectOf(v)]
			if !known && r.t.anySealed(v) {
				return errors.New("the keystore holds no key for a data subject of this page")
			}
		}
		r.t.attach(v, cipher, tenant)
	}
	return nil
}

// sift drops the rows that a narrow index found by coincidence.
func sift[T any](rows []T, keep []keeper) ([]T, error) {
	if len(keep) == 0 {
		return rows, nil
	}
	kept := rows[:0]
	for i := range rows {
		ok := true
		for _, k := range keep {
			yes, err := k(reflect.ValueOf(&rows[i]).Elem())
			if err != nil && !errors.Is(err, field.ErrErased) {
				return nil, err
			}
			ok = ok && yes
		}
		if ok {
			kept = append(kept, rows[i])
		}
	}
	return kept, nil
}
