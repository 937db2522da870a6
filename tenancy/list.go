package tenancy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
)

// pageSize is the number of rows that a list holds in memory at once.
const pageSize = 500

// mostExpected bounds the rows for which a page makes room before it is read:
// a long list must not make each short one behind it dear.
const mostExpected = 128

// maxParameters bounds the values in one statement, below the limits of both
// databases (SQLite 32,766; PostgreSQL 65,535).
const maxParameters = 32000

// List yields the rows for which all filters hold, in the order of their keys.
// It reads pages of 500 rows into memory, so that the loop's body may query;
// outside a transaction each page is a statement of its own. An error ends the
// list.
func (r *Repository[T]) List(ctx context.Context, c Conn, filters ...Filter) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		after := uuid.Nil
		for {
			page, err := r.page(ctx, c, after, filters)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for i := range page.rows {
				if !yield(page.rows[i], nil) {
					return
				}
			}
			r.putPage(&page)
			if !page.more {
				return
			}
			after = page.last
		}
	}
}

// Count counts the rows for which all filters hold. A filter by a narrow blind
// index reads and decrypts the rows that it finds.
func (r *Repository[T]) Count(ctx context.Context, c Conn, filters ...Filter) (int, error) {
	if exact(filters) {
		return r.count(ctx, c, filters)
	}
	n := 0
	for _, err := range r.List(ctx, c, filters...) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// exact reports whether the database alone can decide all filters.
func exact(filters []Filter) bool {
	for _, f := range filters {
		if f.c == nil || f.c.sealed() && !f.null { // nil: of no column, refused later
			return false
		}
	}
	return true
}

func (r *Repository[T]) count(ctx context.Context, c Conn, filters []Filter) (n int, err error) {
	u, err := c.unit(ctx, false)
	if err != nil {
		return 0, err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	err = r.query(ctx, u, "count(*)", filters, "", nil, func(row engine.Row) error { return row.Scan(&n) })
	return n, err
}

// page is one bounded piece of a list.
type page[T any] struct {
	rows []T // those that the filters keep
	read int // how many there were
	last uuid.UUID
	more bool
}

func (r *Repository[T]) page(ctx context.Context, c Conn, after uuid.UUID, filters []Filter) (p page[T], err error) {
	u, err := c.unit(ctx, false)
	if err != nil {
		return p, err
	}
	err = errPanic
	defer u.finish(ctx, &err)
	return r.readPage(ctx, u, after, filters)
}

func (r *Repository[T]) readPage(ctx context.Context, u *unit, after uuid.UUID, filters []Filter) (page[T], error) {
	p := page[T]{rows: r.getPage()}
	l := newLoader(r.t)
	key := quote(r.t.cols[r.t.key].name)
	tail := fmt.Sprintf(" ORDER BY %s LIMIT %d", key, pageSize)
	var args []any
	if after != uuid.Nil {
		tail = " AND " + key + " > $2" + tail
		args = append(args, after)
	}
	keep, err := r.scanPage(ctx, u, l, &p, filters, tail, args)
	if err != nil {
		return p, err
	}
	p.read = len(p.rows)
	r.t.expected.Store(int32(min(p.read, mostExpected)))
	if p.more = p.read == pageSize; p.more {
		p.last = r.t.keyOf(reflect.ValueOf(&p.rows[pageSize-1]).Elem())
	}
	if err := r.attachPage(ctx, u.tx, p.rows); err != nil {
		return p, wrap("list", r.t.name, err)
	}
	p.rows, err = sift(p.rows, keep)
	return p, wrap("list", r.t.name, err)
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

func (r *Repository[T]) scanPage(
	ctx context.Context, u *unit, l *loader, p *page[T], filters []Filter, tail string, args []any,
) ([]keeper, error) {
	var keep []keeper
	compiledFilters := func(c compiled) {
		if c.keep != nil {
			keep = append(keep, c.keep)
		}
	}
	err := r.query(ctx, u, r.texts(u.tx.eng.Dialect()).columns, filters, tail, args, func(row engine.Row) error {
		p.rows = append(p.rows, *new(T))
		return l.scan(row, reflect.ValueOf(&p.rows[len(p.rows)-1]).Elem())
	}, compiledFilters)
	return keep, err
}

// query runs SELECT what over the tenant's rows. The parameters of tail, in
// args, start at $2; those of the filters follow.
func (r *Repository[T]) query(
	ctx context.Context, u *unit, what string, filters []Filter, tail string, args []any,
	row func(engine.Row) error, seen ...func(compiled),
) error {
	if err := u.tx.enter(); err != nil {
		return err
	}
	defer u.tx.leave()
	if !u.tx.db.schema.holds(r.t) {
		return fmt.Errorf("tenancy: table %s is not in the schema of this database", r.t.name)
	}
	all := append([]any{u.tx.scope.Tenant}, args...)
	var where strings.Builder
	once := false
	for _, f := range filters {
		c, err := f.compile(ctx, u.tx, r.t, len(all)+1)
		if err != nil {
			return u.tx.unknown(ctx, err)
		}
		where.WriteString(" AND " + c.text)
		all = append(all, c.args...)
		once = once || len(c.args) > 1
		if len(all) > maxParameters {
			return fmt.Errorf("tenancy: list %s: more than %d values in the filters: %w", r.t.name, maxParameters, ErrBadValue)
		}
		for _, s := range seen {
			s(c)
		}
	}
	t := r.texts(u.tx.eng.Dialect())
	text := "SELECT " + what + " FROM " + t.from + " WHERE " + quote(r.t.cols[r.t.tenant].name) + " = $1" + where.String() + tail
	s := engine.Stmt{SQL: text, Args: all, Once: once}
	c := Change{Action: r.t.name + ".read", Table: r.t.name}
	return wrap("list", r.t.name, u.tx.run(ctx, s, u.last(), c, row))
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
