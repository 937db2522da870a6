package tenancy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// resealTexts are the statements of a run on one table in one dialect. They are
// made of declared names alone. In all of them $1 is the tenant.
type resealTexts struct {
	dialect     migrate.Dialect
	count       string
	first, next string // the heads of a page; of next, after the key from $2 on
	odd         string // counts rows with keys that nobody writes; "" where there can be none
	fetch       string // rows whole, by the list of keys from $2 on
	one         string // writes the row with the key from $2 on
	batch       string // PostgreSQL: writes many
}

// columns of a table that a run reads and writes.
func (t *table) sealedColumns() []*column {
	var cols []*column
	for i := range t.cols {
		if t.cols[i].sealed() {
			cols = append(cols, &t.cols[i])
		}
	}
	return cols
}

func (t *table) resealTexts(d migrate.Dialect) resealTexts {
	from := " FROM " + t.qualified(d) + " WHERE " + t.ofTenant(d)
	subject := "''"
	if t.subject >= 0 {
		subject = "COALESCE(CAST(" + quote(t.cols[t.subject].name) + " AS TEXT), '')"
	}
	headList := append(t.selectKey(), subject)
	cellList := slices.Clone(headList)
	for _, c := range t.sealedColumns() {
		headList = append(headList, headOf(d, c))
		cellList = append(cellList, bytesOf(d, quote(c.name)), indexOf(d, c))
	}
	heads, cells := strings.Join(headList, ", "), strings.Join(cellList, ", ")
	x := resealTexts{dialect: d, count: "SELECT count(*)" + from}
	ids := ""
	if d == migrate.SQLite {
		ids = " AND " + t.writtenKeys()
		x.odd = x.count + " AND " + t.writtenKeys() + " IS NOT TRUE"
	}
	page := fmt.Sprintf(" ORDER BY %s LIMIT %d", t.keyOrder(), surveyRows)
	x.first = "SELECT " + heads + from + ids + page
	x.next = "SELECT " + heads + from + ids + " AND " + t.keyTuple() + " > " + tuple(t.keyParams(d, 2)) + page
	x.fetch = "SELECT " + cells + from + " AND " + t.among(d, 2)
	x.one, x.batch = t.resealOne(d), t.resealBatch()
	return x
}

// headOf selects length, first bytes and whether there is an index value.
func headOf(d migrate.Dialect, c *column) string {
	name, indexed := quote(c.name), "FALSE"
	if c.index != nil {
		indexed = quote(c.index.name) + " IS NOT NULL"
	}
	if d == migrate.SQLite {
		b := bytesOf(d, name)
		return "COALESCE(length(" + b + "), -1), substr(" + b + ", 1, " + strconv.Itoa(headSize) + "), " + indexed
	}
	return "COALESCE(octet_length(" + name + "), -1), substring(" + name + " FROM 1 FOR " + strconv.Itoa(headSize) + "), " + indexed
}

// bytesOf reads a cell as bytes, whatever a SQLite file holds there.
func bytesOf(d migrate.Dialect, name string) string {
	if d == migrate.SQLite {
		return "CAST(" + name + " AS BLOB)"
	}
	return name
}

func indexOf(d migrate.Dialect, c *column) string {
	if c.index == nil {
		return "NULL"
	}
	return bytesOf(d, quote(c.index.name))
}

// notErased refuses a row about somebody who was erased since it was read. The
// statement waits for the lock of an erasure before it looks.
func notErased(d migrate.Dialect, subject string) string {
	return " AND NOT EXISTS (SELECT 1 FROM " + engine.Table(d, "erased") + " e WHERE e.tenant_id = $1 AND e.subject = " + subject + ")"
}

// resealOne writes one row: of each column whether the cell is written, the old
// cell and the new, and the same of the index value.
func (t *table) resealOne(d migrate.Dialect) string {
	same, n := " IS NOT DISTINCT FROM ", 1+len(t.keys)
	if d == migrate.SQLite {
		same = " IS "
	}
	param := func() string { n++; return "$" + strconv.Itoa(n) }
	var sets, where []string
	for _, c := range t.sealedColumns() {
		cell, write, old, fresh := quote(c.name), param(), param(), param()
		sets = append(sets, cell+" = CASE WHEN "+write+" THEN "+fresh+" ELSE "+cell+" END")
		either := write
		if c.index != nil {
			value, writeIndex, oldIndex, freshIndex := quote(c.index.name), param(), param(), param()
			sets = append(sets, value+" = CASE WHEN "+writeIndex+" THEN "+freshIndex+" ELSE "+value+" END")
			where = append(where, "(NOT "+writeIndex+" OR "+bytesOf(d, value)+same+oldIndex+")")
			either = "(" + write + " OR " + writeIndex + ")"
		}
		where = append(where, "(NOT "+either+" OR "+bytesOf(d, cell)+same+old+")")
	}
	text := "UPDATE " + t.qualified(d) + " SET " + strings.Join(sets, ", ") + " WHERE " + t.ofTenant(d) +
		" AND " + t.keyTuple() + " = " + tuple(t.keyParams(d, 2)) + " AND " + strings.Join(where, " AND ")
	if t.subject >= 0 {
		text += notErased(d, param())
	}
	return text
}

func (t *tablePass) oneArgs(r *rowChange) []any {
	args := append([]any{t.p.scope.Tenant}, r.key.args(t.texts.dialect)...)
	for i := range r.cells {
		c := &r.cells[i]
		args = append(args, c.write, c.compared(), c.fresh)
		if t.cols[i].c.index != nil {
			args = append(args, c.writeIndex, c.oldIndex, c.freshIndex)
		}
	}
	if t.t.subject >= 0 {
		args = append(args, r.subject)
	}
	return args
}

// resealBatch is resealOne for many rows, whose values come as arrays. Rows that
// others hold are left out. It returns the numbers of those that it has written.
func (t *table) resealBatch() string {
	tab, tenant := t.qualified(migrate.Postgres)+" AS t", "t."+quote(t.cols[t.tenant].name)+" = $1"
	n, arrays, names := 1, []string(nil), []string(nil)
	column := func(kind string) string {
		n++
		arrays, names = append(arrays, "$"+strconv.Itoa(n)+"::"+kind+"[]"), append(names, "c"+strconv.Itoa(n))
		return "v." + names[len(names)-1]
	}
	number, subject := column("int"), column("uuid")
	own := []string{tenant} // is the row that v names
	for i, key := range t.keyNames() {
		own = append(own, "t."+key+" = "+column(t.cols[t.keys[i]].key.postgres()))
	}
	row := strings.Join(own, " AND ")
	var sets, where []string
	for _, c := range t.sealedColumns() {
		cell, write, old, fresh := quote(c.name), column("bool"), column("bytea"), column("bytea")
		sets = append(sets, cell+" = CASE WHEN "+write+" THEN "+fresh+" ELSE t."+cell+" END")
		either := write
		if c.index != nil {
			value, writeIndex, oldIndex, freshIndex := quote(c.index.name), column("bool"), column("bytea"), column("bytea")
			sets = append(sets, value+" = CASE WHEN "+writeIndex+" THEN "+freshIndex+" ELSE t."+value+" END")
			where = append(where, "(NOT "+writeIndex+" OR t."+value+" IS NOT DISTINCT FROM "+oldIndex+")")
			either = "(" + write + " OR " + writeIndex + ")"
		}
		where = append(where, "(NOT "+either+" OR t."+cell+" IS NOT DISTINCT FROM "+old+")")
	}
	text := "WITH v AS (SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ") AS v(" + strings.Join(names, ", ") + "))," +
		" l AS (SELECT " + number + " AS n FROM v JOIN " + tab + " ON " + row + " FOR UPDATE OF t SKIP LOCKED)" +
		" UPDATE " + tab + " SET " + strings.Join(sets, ", ") + " FROM v JOIN l ON l.n = " + number +
		" WHERE " + row + " AND " + strings.Join(where, " AND ")
	if t.subject >= 0 {
		text += notErased(migrate.Postgres, subject)
	}
	return text + " RETURNING " + number
}

func (t *tablePass) batchArgs(rows []*rowChange) ([]any, error) {
	keys := make([]keyTexts, len(rows))
	arrays := []array{nil, nil}
	for n, r := range rows {
		keys[n] = r.key
		arrays[0].text(strconv.Itoa(n))
		arrays[1].text(r.subject.String())
	}
	list, err := t.t.keyList(migrate.Postgres, keys)
	if err != nil {
		return nil, err
	}
	args := append([]any{t.p.scope.Tenant, arrays[0].whole(), arrays[1].whole()}, list...)
	for i := range t.cols {
		cell, index := make([]array, 3), make([]array, 3)
		for _, r := range rows {
			c := &r.cells[i]
			cell[0].flag(c.write)
			cell[1].bytes(c.compared())
			cell[2].bytes(c.fresh)
			index[0].flag(c.writeIndex)
			index[1].bytes(c.oldIndex)
			index[2].bytes(c.freshIndex)
		}
		if t.cols[i].c.index == nil {
			index = nil
		}
		for _, a := range slices.Concat(cell, index) {
			args = append(args, a.whole())
		}
	}
	return args, nil
}

// array is the text form of an array of PostgreSQL (manual, 8.15.6). No element
// of it needs an escape but the backslash of bytes.
type array []byte

func (a *array) text(s string) {
	if len(*a) > 0 {
		*a = append(*a, ',')
	}
	*a = append(*a, s...)
}

func (a *array) flag(on bool) {
	if on {
		a.text("t")
	} else {
		a.text("f")
	}
}

func (a *array) bytes(b []byte) {
	if b == nil {
		a.text("NULL")
		return
	}
	a.text(`"\\x`)
	*a = append(hex.AppendEncode(*a, b), '"')
}

// whole is the array as a parameter.
func (a *array) whole() string { return "{" + string(*a) + "}" }
