package tenancy

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/migrate"
)

// Repository gives the rows of one table as values of the struct T, each verb
// scoped to the tenant of the context. It is declared once per table and is
// safe for concurrent use.
type Repository[T any] struct {
	t        *table
	postgres texts
	sqlite   texts
	pages    sync.Pool // *[]T: room for a page of a list
}

var _ Table = (*Repository[struct{}])(nil)

// NewRepository checks the tags of T and returns the repository of the table,
// or an error that lists all that is wrong. The name may carry a schema
// ("billing.invoices"), which SQLite reads as a prefix of the name.
func NewRepository[T any](table string) (*Repository[T], error) {
	t, err := parseTable(table, reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return &Repository[T]{t: t, postgres: t.texts(migrate.Postgres), sqlite: t.texts(migrate.SQLite)}, nil
}

// MustRepository is [NewRepository] for declarations; it panics on error.
func MustRepository[T any](table string) *Repository[T] {
	r, err := NewRepository[T](table)
	if err != nil {
		panic(err)
	}
	return r
}

// Name is the table's name as declared.
func (r *Repository[T]) Name() string { return r.t.name }

func (r *Repository[T]) describe() *table { return r.t }

func (r *Repository[T]) texts(d migrate.Dialect) *texts {
	if d == migrate.SQLite {
		return &r.sqlite
	}
	return &r.postgres
}

// open prepares a verb: the unit of work, refused where the table is not part
// of the database's schema.
func (r *Repository[T]) open(c Conn, u *unit) error {
	if !u.tx.db.schema.holds(r.t) {
		return fmt.Errorf("tenancy: table %s is not in the schema that the %T was opened with", r.t.name, c)
	}
	return nil
}

// subjectOf reads the data subject of a row; nil if the table has none.
func (t *table) subjectOf(row reflect.Value) uuid.UUID {
	if t.subject < 0 {
		return uuid.Nil
	}
	return t.cols[t.subject].uuidAt(row)
}

// versionOf reads how often a row was written; 0 if the table does not count.
func (t *table) versionOf(row reflect.Value) int64 {
	if t.version < 0 {
		return 0
	}
	return row.Field(t.cols[t.version].field).Int()
}

// counted is a row of the caller's that has a new version, which it keeps only if the
// transaction commits: else the row could not be written again.
type counted struct {
	t        *table
	row      reflect.Value
	key      uuid.UUID
	was, now int64
}

// setVersion writes the version of a row, to be taken back if tx does not commit.
func (t *table) setVersion(tx *Tx, row reflect.Value, n int64) {
	if t.version >= 0 {
		tx.counted = append(tx.counted, counted{t, row, t.keyOf(row), t.versionOf(row), n})
		row.Field(t.cols[t.version].field).SetInt(n)
	}
}

// takeBack gives the row its old version, if it is still the same row.
func (c counted) takeBack() {
	if c.t.versionOf(c.row) == c.now && c.t.keyOf(c.row) == c.key {
		c.row.Field(c.t.cols[c.t.version].field).SetInt(c.was)
	}
}

// uncount takes all versions back that were written since the first n.
func (tx *Tx) uncount(n int) {
	for _, c := range slices.Backward(tx.counted[n:]) {
		c.takeBack()
	}
	tx.counted = tx.counted[:n]
}

func (c *column) uuidAt(row reflect.Value) uuid.UUID {
	f := row.Field(c.field)
	if f.CanAddr() { // spares a copy on the heap
		return uuid.UUID(f.Bytes())
	}
	u, _ := reflect.TypeAssert[uuid.UUID](f.Convert(uuidType))
	return u
}
