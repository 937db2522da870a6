package tenancy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/art32/art32/internal/migrate"
)

// texts are the statements of one table in one dialect. They are made of
// declared names alone; every value is a parameter. In all of them $1 is the
// tenant, and the columns of the key follow.
type texts struct {
	from    string // the table, qualified and quoted
	columns string
	get     string
	lock    string
	insert  string
	update  string
	delete  string
	// rows is what update and delete must hit. In PostgreSQL their texts fail by
	// themselves, so that the commit can travel with them.
	rows int64
}

func (t *table) texts(d migrate.Dialect) texts {
	from := t.qualified(d)
	var where strings.Builder
	where.WriteString(" WHERE " + quote(t.cols[t.tenant].name) + " = $1")
	for i, name := range t.keyNames() {
		fmt.Fprintf(&where, " AND %s = $%d", name, i+2)
	}
	cols := t.columnList()
	get := "SELECT " + cols + " FROM " + from + where.String()
	lock := get
	if d == migrate.Postgres {
		lock += " FOR UPDATE"
	}
	x := texts{
		from: from, columns: cols, get: get, lock: lock,
		insert: t.insertText(from), update: t.updateText(from, where.String()), delete: "DELETE FROM " + from + where.String(), rows: 1,
	}
	if d == migrate.Postgres {
		x.update, x.delete, x.rows = mustHit(x.update), mustHit(x.delete), 0
	}
	return x
}

// mustHit makes a statement fail that changes no row, as one does that a
// trigger suppresses: by a division by zero.
func mustHit(text string) string {
	return "WITH hit AS (" + text + " RETURNING 1) SELECT 1 / count(*) FROM hit"
}

// qualified names the table with its schema, so that no search_path and no
// temporary table can stand in for it.
func (t *table) qualified(d migrate.Dialect) string {
	schema, name, ok := strings.Cut(t.name, ".")
	switch {
	case d == migrate.SQLite:
		return "main." + quote(strings.ReplaceAll(t.name, ".", "_"))
	case !ok:
		return "public." + quote(t.name)
	}
	return quote(schema) + "." + quote(name)
}

func (t *table) columnList() string {
	names := make([]string, len(t.cols))
	for i := range t.cols {
		names[i] = quote(t.cols[i].name)
	}
	return strings.Join(names, ", ")
}

// keyNames are the columns of the key, quoted.
func (t *table) keyNames() []string {
	names := make([]string, len(t.keys))
	for i, n := range t.keys {
		names[i] = quote(t.cols[n].name)
	}
	return names
}

// written lists the columns that insert and update bind behind the key: all but
// tenant and key, then the blind indexes.
func (t *table) written() []string {
	var names []string
	for i := range t.cols {
		if i != t.tenant && t.cols[i].key == "" {
			names = append(names, quote(t.cols[i].name))
		}
	}
	for i := range t.cols {
		if x := t.cols[i].index; x != nil {
			names = append(names, quote(x.name))
		}
	}
	return names
}

func (t *table) insertText(from string) string {
	names := slices.Concat([]string{quote(t.cols[t.tenant].name)}, t.keyNames(), t.written())
	params := make([]string, len(names))
	for i := range names {
		params[i] = fmt.Sprintf("$%d", i+1)
	}
	return "INSERT INTO " + from + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(params, ", ") + ")"
}

func (t *table) updateText(from, where string) string {
	sets := t.written()
	for i, n := range sets {
		sets[i] = fmt.Sprintf("%s = $%d", n, i+2+len(t.keys))
	}
	return "UPDATE " + from + " SET " + strings.Join(sets, ", ") + where
}

// quote quotes a name that matched identifier; it holds no quotation mark.
func quote(name string) string { return `"` + name + `"` }
