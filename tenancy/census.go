package tenancy

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// Census counts what one tenant has: the upper bound of what an incident can
// have touched.
type Census struct {
	Tables   []TableCensus // in the order of the schema
	Records  int           // rows of all of them
	Subjects int           // distinct data subjects of all of them
}

// TableCensus counts one table.
type TableCensus struct {
	Table    string   // as declared
	Records  int      // rows
	Subjects int      // 0 where the table names no data subject
	Columns  []string // those of class encrypted or personal: the categories of data
}

// Census counts the rows and data subjects of the context's tenant in the named
// tables; none means all. A name that is not in the schema is an error. Rows of
// people who were erased count too.
func (db *DB) Census(ctx context.Context, tables ...string) (Census, error) {
	var c Census
	of, err := db.schema.named(tables)
	if err != nil {
		return c, err
	}
	err = db.In(ctx, func(ctx context.Context, tx *Tx) error {
		for _, d := range of {
			n, err := tx.tableCensus(ctx, d)
			if err != nil {
				return err
			}
			c.Tables, c.Records = append(c.Tables, n), c.Records+n.Records
		}
		query, args := tx.subjectQuery(of)
		if query == "" {
			return nil
		}
		return tx.count(ctx, "SELECT count(*) FROM ("+query+") s", args, &c.Subjects)
	})
	if err != nil {
		return Census{}, err // no figure that looks whole
	}
	return c, nil
}

// named gives the tables of these names in the order of the schema; none means
// all.
func (s Schema) named(names []string) ([]*table, error) {
	var of []*table
	for _, t := range s {
		if d := t.describe(); len(names) == 0 || slices.Contains(names, d.name) {
			of = append(of, d)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(of, func(t *table) bool { return t.name == name }) {
			return nil, fmt.Errorf("tenancy: count rows: table %q is not in the schema of this database", name)
		}
	}
	return of, nil
}

func (tx *Tx) tableCensus(ctx context.Context, t *table) (TableCensus, error) {
	n := TableCensus{Table: t.name}
	for i := range t.cols {
		if t.cols[i].class != Open {
			n.Columns = append(n.Columns, t.cols[i].name)
		}
	}
	subjects := "0"
	if t.subject >= 0 {
		subjects = "count(DISTINCT " + quote(t.cols[t.subject].name) + ")"
	}
	text := "SELECT count(*), " + subjects + " FROM " + t.qualified(tx.eng.Dialect()) + " WHERE " + t.ofTenant(tx.eng.Dialect())
	return n, tx.count(ctx, text, []any{tx.scope.Tenant}, &n.Records, &n.Subjects)
}

// count runs a query that yields one row of numbers.
func (tx *Tx) count(ctx context.Context, text string, args []any, into ...*int) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	dest := make([]any, len(into))
	for i, n := range into {
		dest[i] = n
	}
	_, err := tx.eng.Run(ctx, engine.Stmt{SQL: text, Args: args, Rows: 1}, engine.Continue, func(r engine.Row) error { return r.Scan(dest...) })
	return wrap("count", "rows", err)
}

// Subjects yields the data subjects of the context's tenant that the tables
// name, each once, erased ones included: for jobs that visit each.
func (db *DB) Subjects(ctx context.Context) iter.Seq2[uuid.UUID, error] {
	return func(yield func(uuid.UUID, error) bool) {
		var all []uuid.UUID
		err := db.In(ctx, func(ctx context.Context, tx *Tx) error {
			var of []*table
			for _, t := range db.schema {
				of = append(of, t.describe())
			}
			query, args := tx.subjectQuery(of)
			if query == "" {
				return nil
			}
			if err := tx.enter(); err != nil {
				return err
			}
			defer tx.leave()
			_, err := tx.eng.Run(ctx, engine.Stmt{SQL: query, Args: args}, engine.Continue, func(r engine.Row) error {
				var id uuid.UUID
				err := r.Scan(&id)
				all = append(all, id)
				return err
			})
			return wrap("list", "data subjects", err)
		})
		if err != nil {
			yield(uuid.Nil, err)
			return
		}
		for _, id := range all {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// subjectQuery selects the distinct data subjects of tables; "" where none names
// any.
func (tx *Tx) subjectQuery(of []*table) (string, []any) {
	var parts []string
	for _, t := range of {
		if t.subject < 0 {
			continue
		}
		col := quote(t.cols[t.subject].name)
		parts = append(parts, "SELECT DISTINCT "+col+" FROM "+t.qualified(tx.eng.Dialect())+
			" WHERE "+t.ofTenant(tx.eng.Dialect())+" AND "+col+" IS NOT NULL")
	}
	return strings.Join(parts, " UNION "), []any{tx.scope.Tenant}
}

// ofTenant is true for the rows of the tenant in $1. In SQLite that is all rows
// of the file, whatever callers' SQL wrote there.
func (t *table) ofTenant(d migrate.Dialect) string {
	if d == migrate.SQLite {
		return "$1 IS NOT NULL"
	}
	return quote(t.cols[t.tenant].name) + " = $1"
}
