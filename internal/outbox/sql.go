package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/art32/art32/internal/migrate"
)

// statements is the SQL of one dialect. Those that end in an attempt number
// touch the message only while that attempt is its last one.
type statements struct {
	asWorker string // "" where there is no row security
	asTenant string // tenant

	enqueue   string // tenant, id, kind, payload, created, due
	due       string // now, limit, kinds…
	claim     string // due, tenant, id, attempts
	delivered string // now, tenant, id, attempt
	retry     string // due, code, tenant, id, attempt
	dead      string // now, code, tenant, id, attempt
	back      string // due, tenant, id, attempt
	purge     string // before
	status    string

	time func(time.Time) any
}

const stampLayout = "2006-01-02T15:04:05.000000Z"

var dialects = map[migrate.Dialect]statements{
	migrate.Postgres: build("art32.outbox", func(s *statements) {
		s.asWorker = `SELECT set_config('art32.worker', 'outbox', true), set_config('art32.tenant', '', true)`
		s.asTenant = `SELECT set_config('art32.worker', '', true), set_config('art32.tenant', $1, true)`
		s.time = func(t time.Time) any { return t.UTC().Truncate(time.Microsecond) }
	}),
	migrate.SQLite: build("art32_outbox", func(s *statements) {
		s.time = func(t time.Time) any { return t.UTC().Format(stampLayout) } // sorts as text
	}),
}

func build(table string, own func(*statements)) statements {
	const open = ` AND delivered_at IS NULL AND dead_at IS NULL`
	s := statements{
		// Without a conflict target INSERT needs no right to read.
		enqueue: `INSERT INTO ` + table + ` (tenant_id, id, kind, payload, created_at, due_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		due: `SELECT tenant_id, id, kind, payload, created_at, due_at, attempts FROM ` + table + `
			WHERE due_at <= $1` + open + `%s ORDER BY due_at, tenant_id, id LIMIT $2`,
		claim: `UPDATE ` + table + ` SET due_at = $1, attempts = attempts + 1
			WHERE tenant_id = $2 AND id = $3 AND attempts = $4` + open,
		delivered: `UPDATE ` + table + ` SET delivered_at = $1
			WHERE tenant_id = $2 AND id = $3 AND attempts = $4` + open,
		retry: `UPDATE ` + table + ` SET due_at = $1, last_error = $2
			WHERE tenant_id = $3 AND id = $4 AND attempts = $5` + open,
		dead: `UPDATE ` + table + ` SET dead_at = $1, last_error = $2
			WHERE tenant_id = $3 AND id = $4 AND attempts = $5` + open,
		back: `UPDATE ` + table + ` SET due_at = $1, attempts = attempts - 1
			WHERE tenant_id = $2 AND id = $3 AND attempts = $4` + open,
		purge: `DELETE FROM ` + table + ` WHERE delivered_at < $1`,
		status: `SELECT (SELECT count(*) FROM ` + table + ` WHERE delivered_at IS NULL AND dead_at IS NULL),
			(SELECT count(*) FROM ` + table + ` WHERE dead_at IS NOT NULL),
			(SELECT min(created_at) FROM ` + table + ` WHERE delivered_at IS NULL AND dead_at IS NULL)`,
	}
	own(&s)
	return s
}

// dueOf is the query for due messages of some kinds; none means all.
func (s statements) dueOf(kinds int) string {
	if kinds == 0 {
		return fmt.Sprintf(s.due, "")
	}
	marks := make([]string, kinds)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+3)
	}
	return fmt.Sprintf(s.due, " AND kind IN ("+strings.Join(marks, ", ")+")")
}

// in runs fn in a transaction that begins with the statement set. When ctx ends
// meanwhile, drivers say so in words of their own: its cause is put before.
func in(ctx context.Context, db *sql.DB, set string, args []any, fn func(*sql.Tx) error) error {
	err := inTx(ctx, db, set, args, fn)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

func inTx(ctx context.Context, db *sql.DB, set string, args []any, fn func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if set != "" {
		_, err = tx.ExecContext(ctx, set, args...)
	}
	if err == nil {
		err = fn(tx)
	}
	if err != nil {
		if e := tx.Rollback(); e != nil && !errors.Is(e, sql.ErrTxDone) {
			err = errors.Join(err, e)
		}
		return err
	}
	return tx.Commit()
}

// stamp scans a time of either dialect; NULL is the zero time.
type stamp struct{ time.Time }

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) (err error) {
	switch v := src.(type) {
	case nil:
		s.Time = time.Time{}
	case time.Time:
		s.Time = v.UTC()
	case string:
		s.Time, err = time.Parse(stampLayout, v)
	default:
		err = fmt.Errorf("a time is stored as %T", src)
	}
	return err
}
