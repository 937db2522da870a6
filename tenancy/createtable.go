package tenancy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// CreateTable writes the statements that create a declared table, for the engines:
// users call CreateTable of package postgres or sqlite.
func CreateTable(_ engine.Key, t Table, d migrate.Dialect) (string, error) {
	if t == nil || required("table", t) != nil {
		return "", errors.New("tenancy: create table: no table")
	}
	if _, ok := t.(described); ok {
		return "", fmt.Errorf("tenancy: create table %s: it has no struct that tells the types", t.Name())
	}
	c := creation{t.describe(), d}
	return c.table() + c.indexes() + c.protection(), nil
}

// undecided stands where a type is not known: no database takes it.
const undecided = "??? /* the type of %s: decide */"

type creation struct {
	t *table
	d migrate.Dialect
}

func (c creation) table() string {
	var lines []string
	for i := range c.t.cols {
		lines = append(lines, "\t"+quote(c.t.cols[i].name)+" "+c.column(i))
	}
	for i := range c.t.cols {
		if x := c.t.cols[i].index; x != nil {
			lines = append(lines, "\t"+quote(x.name)+" "+c.bytes())
		}
	}
	if key := c.t.keyOrder(); c.d == migrate.Postgres {
		lines = append(lines, fmt.Sprintf("\tPRIMARY KEY (%s, %s)", quote(c.t.cols[c.t.tenant].name), key))
	} else if len(c.t.keys) > 1 {
		lines = append(lines, "\tPRIMARY KEY ("+key+")")
	}
	return "CREATE TABLE " + c.name() + " (\n" + strings.Join(lines, ",\n") + "\n);\n"
}

func (c creation) name() string {
	name := c.t.qualified(c.d)
	return strings.TrimPrefix(name, "main.")
}

func (c creation) bytes() string {
	if c.d == migrate.SQLite {
		return "BLOB"
	}
	return "bytea"
}

// column is the type of a column and what holds for it.
func (c creation) column(i int) string {
	typ := c.t.cols[i].typ
	switch {
	case c.t.cols[i].sealed():
		return c.bytes()
	case i == c.t.tenant && c.d == migrate.Postgres:
		return "uuid NOT NULL REFERENCES art32.tenants (id)"
	case c.t.cols[i].key != "" && len(c.t.keys) == 1 && c.d == migrate.SQLite:
		return c.typeOf(typ) + " NOT NULL PRIMARY KEY"
	case typ.Kind() == reflect.Pointer:
		return c.typeOf(typ.Elem())
	case typ.Kind() == reflect.Slice: // nil is NULL
		return c.typeOf(typ)
	}
	return c.typeOf(typ) + " NOT NULL"
}

// typeOf names the type of the database, those of PostgreSQL and SQLite side by
// side.
func (c creation) typeOf(t reflect.Type) string {
	pg, lite := fmt.Sprintf(undecided, t), fmt.Sprintf(undecided, t)
	switch {
	case t == timeType:
		pg, lite = "timestamptz", "TIMESTAMP"
	case uuidLike(t):
		pg, lite = "uuid", "TEXT"
	case t == jsonType:
		pg, lite = "jsonb", "TEXT"
	case t.Implements(valuerType):
	default:
		pg, lite = basicTypes(t.Kind(), pg)
	}
	if c.d == migrate.SQLite {
		return lite
	}
	return pg
}

func basicTypes(k reflect.Kind, unknown string) (pg, lite string) {
	switch k {
	case reflect.String:
		return "text", "TEXT"
	case reflect.Bool:
		return "boolean", "INTEGER"
	case reflect.Int8, reflect.Int16, reflect.Uint8:
		return "smallint", "INTEGER"
	case reflect.Int32, reflect.Uint16:
		return "integer", "INTEGER"
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return "bigint", "INTEGER"
	case reflect.Float32, reflect.Float64:
		return "double precision", "REAL"
	case reflect.Slice:
		return "bytea", "BLOB"
	}
	return unknown, unknown
}

// indexes serve blind indexes and the search for a data subject.
func (c creation) indexes() string {
	var b strings.Builder
	tenant := ""
	if c.d == migrate.Postgres {
		tenant = quote(c.t.cols[c.t.tenant].name) + ", "
	}
	_, plain, ok := strings.Cut(c.t.name, ".")
	if !ok || c.d == migrate.SQLite {
		plain = strings.ReplaceAll(c.t.name, ".", "_")
	}
	add := func(kind, column string) {
		index := plain + "_" + column
		fmt.Fprintf(&b, "CREATE %sINDEX %s ON %s (%s%s);\n", kind, quote(index[:min(len(index), 63)]), c.name(), tenant, quote(column))
	}
	if c.t.subject >= 0 && c.t.subject != c.t.keys[0] { // which leads the primary key
		add("", c.t.cols[c.t.subject].name)
	}
	for i := range c.t.cols {
		switch x := c.t.cols[i].index; {
		case x == nil:
		case x.unique:
			add("UNIQUE ", x.name)
		default:
			add("", x.name)
		}
	}
	return b.String()
}

// protection puts the table under the policies of PostgreSQL.
func (c creation) protection() string {
	if c.d == migrate.SQLite {
		return ""
	}
	args := "'" + c.name() + "'"
	if column := c.t.cols[c.t.tenant].name; column != "tenant_id" {
		args += ", '" + column + "'"
	}
	return "SELECT art32.protect(" + args + ");\n"
}
