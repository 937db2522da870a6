package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/art32/art32/internal/engine"
)

// writtenCode is the SQLSTATE of what art32.report_write tells.
const writtenCode = "Z3202"

// noticed keeps what callers' text has written, and hands every other notice to other.
// It comes while the statement is being answered that wrote.
func (w *wire) noticed(other pgconn.NoticeHandler) pgconn.NoticeHandler {
	return func(c *pgconn.PgConn, n *pgconn.Notice) {
		switch {
		case n.Code != writtenCode:
			if other != nil {
				other(c, n)
			}
		case w.callers:
			if one, ok := parseWritten(n); ok {
				w.written = engine.AddWritten(w.written, one)
			}
		}
	}
}

// parseWritten reads a report; the detail of one is the verb and the number of rows.
func parseWritten(n *pgconn.Notice) (engine.Written, bool) {
	verb, rows, _ := strings.Cut(n.Detail, " ")
	out := engine.Written{Table: n.TableName, Verb: verb}
	if n.SchemaName != "public" {
		out.Table = n.SchemaName + "." + n.TableName
	}
	var err error
	out.Rows, err = strconv.ParseInt(rows, 10, 64)
	return out, err == nil && out.Rows > 0 && (verb == "insert" || verb == "update" || verb == "delete")
}

var _ engine.Netter = (*pgEngine)(nil)

// Netted implements [engine.Netter].
func (e *pgEngine) Netted(ctx context.Context, tables []string) (have []string, err error) {
	rows, err := e.platform.QueryContext(ctx, `SELECT d.t FROM unnest($1::text[]) d(t)
		JOIN pg_catalog.pg_class c ON c.oid = to_regclass(CASE WHEN strpos(d.t, '.') = 0 THEN 'public.' ELSE '' END || d.t)
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger p WHERE p.tgrelid = 'art32.pattern'::regclass AND NOT `+hasTrigger+`)`, tables)
	if err != nil {
		return nil, translate(err, false)
	}
	defer rows.Close()
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, fmt.Errorf("postgres: look for nets: %w", err)
		}
		have = append(have, t)
	}
	return have, translate(rows.Err(), false)
}
