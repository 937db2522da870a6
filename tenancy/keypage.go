package tenancy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// keyTexts is the key of a row as the database writes it, column by column. It serves
// walks through a table, which must also pass rows whose keys the library would not
// have written.
type keyTexts []string

// selectKey lists the columns of the key as texts.
func (t *table) selectKey() []string {
	out := make([]string, len(t.keys))
	for i, name := range t.keyNames() {
		out[i] = "CAST(" + name + " AS TEXT) AS k" + strconv.Itoa(i+1) // ORDER BY would else mean the text
	}
	return out
}

// scanKey gives destinations for what selectKey lists.
func (t *table) scanKey() (keyTexts, []any) {
	k := make(keyTexts, len(t.keys))
	dest := make([]any, len(k))
	for i := range k {
		dest[i] = &k[i]
	}
	return k, dest
}

// keyParams are the parameters from $first on that hold a key of texts, in the types
// of its columns: PostgreSQL takes them from the statement.
func (t *table) keyParams(d migrate.Dialect, first int) []string {
	out := make([]string, len(t.keys))
	for i, n := range t.keys {
		out[i] = "$" + strconv.Itoa(first+i)
		switch kind := t.cols[n].key; {
		case d == migrate.SQLite && kind == integerKey:
			out[i] = "CAST(" + out[i] + " AS INTEGER)"
		case d == migrate.SQLite:
			out[i] = "CAST(" + out[i] + " AS TEXT)" // of bytes: a file may hold texts that are not UTF-8
		}
	}
	return out
}

// args are the values of keyParams.
func (k keyTexts) args(d migrate.Dialect) []any {
	out := make([]any, len(k))
	for i := range k {
		out[i] = k[i]
		if d == migrate.SQLite {
			out[i] = []byte(k[i])
		}
	}
	return out
}

// keyOrder lists the columns of the key for ORDER BY, and keyTuple for a comparison.
func (t *table) keyOrder() string { return strings.Join(t.keyNames(), ", ") }

func (t *table) keyTuple() string { return tuple(t.keyNames()) }

// idOf is the UUID that names the row with this key; nil where the key is none that
// the library writes.
func (t *table) idOf(k keyTexts) uuid.UUID {
	values := make([]any, len(k))
	for i, n := range t.keys {
		switch t.cols[n].key {
		case textKey:
			values[i] = k[i]
		case integerKey:
			v, err := strconv.ParseInt(k[i], 10, 64)
			if err != nil {
				return uuid.Nil
			}
			values[i] = v
		default:
			values[i] = parseOrNil(k[i])
		}
	}
	switch {
	case t.checkKey(values) != nil:
		return uuid.Nil
	case !t.derives():
		return parseOrNil(k[0])
	}
	return t.rowID(values)
}

// writtenKeys holds for keys of the form that the library writes. A SQLite file may hold
// anything else.
func (t *table) writtenKeys() string {
	parts := make([]string, len(t.keys))
	for i, name := range t.keyNames() {
		switch t.cols[t.keys[i]].key {
		case integerKey:
			parts[i] = "typeof(" + name + ") = 'integer'"
		case textKey:
			parts[i] = "typeof(" + name + ") = 'text' AND instr(CAST(" + name + " AS BLOB), x'00') = 0"
		default:
			parts[i] = "typeof(" + name + ") = 'text' AND length(CAST(" + name + " AS BLOB)) = 36 AND instr(CAST(" + name + " AS BLOB), x'00') = 0" +
				" AND " + name + " NOT GLOB '*[^0-9a-fA-F-]*'"
		}
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}

// postgres is the type in which PostgreSQL is given a column of a key.
func (k keyKind) postgres() string {
	if k == integerKey {
		return "bigint"
	}
	return string(k)
}

// among holds for the keys of a list, whose parameters begin at $first: in PostgreSQL
// an array for each column, in SQLite one JSON array.
func (t *table) among(d migrate.Dialect, first int) string {
	names := t.keyNames()
	if d == migrate.SQLite {
		if len(names) == 1 {
			return fmt.Sprintf("%s IN (SELECT value FROM json_each($%d))", names[0], first)
		}
		parts := make([]string, len(names))
		for i := range parts {
			parts[i] = fmt.Sprintf("json_extract(value, '$[%d]')", i)
		}
		return fmt.Sprintf("%s IN (SELECT %s FROM json_each($%d))", tuple(names), strings.Join(parts, ", "), first)
	}
	arrays := make([]string, len(names))
	for i, n := range t.keys {
		arrays[i] = fmt.Sprintf("$%d::%s[]", first+i, t.cols[n].key.postgres())
	}
	if len(names) == 1 {
		return names[0] + " = ANY(" + arrays[0] + ")"
	}
	return tuple(names) + " IN (SELECT * FROM unnest(" + strings.Join(arrays, ", ") + "))"
}

// keyList are the parameters of among.
func (t *table) keyList(d migrate.Dialect, keys []keyTexts) ([]any, error) {
	if d == migrate.SQLite {
		text, err := t.keyJSON(keys)
		return []any{text}, err
	}
	out := make([]any, len(t.keys))
	for i := range t.keys {
		values := make([]any, len(keys))
		for n, k := range keys {
			values[n] = k[i]
		}
		var err error
		if out[i], err = engine.List(d, values); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keyJSON writes keys as a JSON array, of arrays where a key has several columns.
func (t *table) keyJSON(keys []keyTexts) (string, error) {
	rows := make([]any, len(keys))
	for n, k := range keys {
		values := make([]any, len(k))
		for i, c := range t.keys {
			values[i] = k[i]
			if t.cols[c].key == integerKey {
				values[i] = json.Number(k[i])
			}
		}
		if rows[n] = values; len(values) == 1 {
			rows[n] = values[0]
		}
	}
	text, err := json.Marshal(rows)
	return string(text), err
}
