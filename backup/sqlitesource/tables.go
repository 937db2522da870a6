package sqlitesource

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/rowsum"
)

// countTables counts and fingerprints all tables of a file.
func countTables(ctx context.Context, path string) (tables []backup.Table, err error) {
	err = with(ctx, path, readOnly, func(c *sql.Conn) error {
		names, err := tableNames(ctx, c)
		if err != nil {
			return err
		}
		for _, name := range names {
			t, err := countTable(ctx, c, name)
			if err != nil {
				return err
			}
			tables = append(tables, t)
		}
		return nil
	})
	if err != nil {
		err = unreadable(ctx, path, err)
	}
	return tables, err
}

// tableNames are the tables that hold rows themselves, SQLite's own apart.
func tableNames(ctx context.Context, c *sql.Conn) ([]string, error) {
	return texts(ctx, c, `SELECT name FROM pragma_table_list WHERE "schema" = 'main'
		AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
}

func texts(ctx context.Context, c *sql.Conn, query string, args ...any) (out []string, err error) {
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// countTable reads every stored value. The unary plus keeps the driver from
// reading a value as what its column was declared.
func countTable(ctx context.Context, c *sql.Conn, name string) (backup.Table, error) {
	t := backup.Table{Name: name}
	columns, err := texts(ctx, c, "SELECT name FROM pragma_table_info(?) ORDER BY cid", name)
	if err != nil {
		return t, err
	}
	for i, col := range columns {
		columns[i] = "+" + quote(col)
	}
	rows, err := c.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+quote(name)) //nolint:gosec // names of the file itself, quoted
	if err != nil {
		return t, err
	}
	defer rows.Close()
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	var sum rowsum.Sum
	var row []byte
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return t, err
		}
		if row, err = appendRow(row[:0], values); err != nil {
			return t, err
		}
		sum.Add(row)
	}
	t.Rows, t.Fingerprint = sum.Rows(), sum.String()
	return t, rows.Err()
}

// appendRow writes each value with its storage class and length.
func appendRow(b []byte, values []any) ([]byte, error) {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'r'), math.Float64bits(v))
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 't'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 'b'), uint64(len(v))), v...)
		default:
			return nil, fmt.Errorf("a value of unknown kind %T", v)
		}
	}
	return b, nil
}
