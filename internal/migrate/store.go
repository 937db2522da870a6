package migrate

import (
	"context"
	"errors"
	"time"
)

// store is the SQL of the table of migrations in one dialect.
type store struct {
	found  string // one row if the table exists
	begin  string
	lock   string // held to the end of the transaction; "" where begin locks
	create string
	sel    string
	insert string
	time   func(time.Time) any
}

// row is a migration that the database holds.
type row struct {
	line     string
	version  int
	name     string
	checksum string
}

var stores = map[Dialect]store{
	Postgres: {
		found: `SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = 'art32' AND c.relname = 'migrations'`,
		begin: `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`,
		lock:  `LOCK TABLE art32.migrations IN EXCLUSIVE MODE`,
		// CREATE SCHEMA demands the right to create one even if it exists.
		create: `DO $$ BEGIN
				IF to_regnamespace('art32') IS NULL THEN CREATE SCHEMA art32; END IF;
			END $$;
			CREATE TABLE art32.migrations (
				line       text        NOT NULL,
				version    integer     NOT NULL CHECK (version > 0),
				name       text        NOT NULL,
				checksum   text        NOT NULL,
				applied_at timestamptz NOT NULL,
				PRIMARY KEY (line, version)
			);
			GRANT USAGE ON SCHEMA art32 TO art32_library;
			GRANT SELECT ON art32.migrations TO art32_library;`,
		sel:    `SELECT line, version, name, checksum FROM art32.migrations WHERE line = $1 ORDER BY version`,
		insert: `INSERT INTO art32.migrations (line, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)`,
		time:   func(t time.Time) any { return t },
	},
	SQLite: {
		found: `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'art32_migrations'`,
		begin: `BEGIN IMMEDIATE`,
		create: `CREATE TABLE IF NOT EXISTS art32_migrations (
				line       TEXT    NOT NULL,
				version    INTEGER NOT NULL CHECK (version > 0),
				name       TEXT    NOT NULL,
				checksum   TEXT    NOT NULL,
				applied_at TEXT    NOT NULL,
				PRIMARY KEY (line, version)
			) STRICT, WITHOUT ROWID`,
		sel:    `SELECT line, version, name, checksum FROM art32_migrations WHERE line = $1 ORDER BY version`,
		insert: `INSERT INTO art32_migrations (line, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)`,
		time:   func(t time.Time) any { return t.Format("2006-01-02T15:04:05.000000Z07:00") },
	},
}

// CreateTable is the statement that makes the table of migrations, for scripts
// that a person runs without this package.
func CreateTable(d Dialect) string { return stores[d].create }

// held returns what the database holds of a line, also if it has no table yet.
func (s store) held(ctx context.Context, q Querier, line string) ([]row, error) {
	there, err := s.exists(ctx, q)
	if err != nil || !there {
		return nil, err
	}
	return s.rows(ctx, q, line)
}

func (s store) exists(ctx context.Context, q Querier) (there bool, err error) {
	rows, err := q.QueryContext(ctx, s.found)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return rows.Next(), rows.Err()
}

func (s store) rows(ctx context.Context, q Querier, line string) (out []row, err error) {
	rows, err := q.QueryContext(ctx, s.sel, line)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.line, &r.version, &r.name, &r.checksum); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
