package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/insist"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	// formats are those in which rows are written and read: whatever is set for
	// the login or the database, the text of a value is the same.
	formats = `SET LOCAL client_encoding = 'UTF8'; SET LOCAL standard_conforming_strings = on;
SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = 'content';
SET LOCAL array_nulls = on; SET LOCAL quote_all_identifiers = off; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL row_security = off;`
	qualified = "SET LOCAL search_path = pg_catalog;"
)

// snapshot is one transaction that sees the database as it was at one moment.
type snapshot struct {
	source    *source
	conn      *pgx.Conn
	position  string
	tenants   []tenancy.ID
	catalogue *catalogue
	files     []migrate.File
}

// open begins the transaction. The tables are locked against TRUNCATE and
// changes of their columns before the moment that it sees: both reach back into
// older transactions, where a table that was emptied would look empty. A backup
// that waits behind a change of a table holds up what comes after it.
func (s *source) open(ctx context.Context, conn *pgx.Conn) (snap *snapshot, err error) {
	var names []string
	if err := run(ctx, conn, begin, formats+qualified); err != nil {
		return nil, err
	}
	if names, err = readable(ctx, conn); err != nil {
		return nil, err
	}
	if err := run(ctx, conn, "COMMIT", begin, formats+qualified); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && !conn.IsClosed() {
			err = errors.Join(err, run(context.WithoutCancel(ctx), conn, "ROLLBACK"))
		}
	}()
	if err := lock(ctx, conn, names); err != nil {
		return nil, err
	}
	snap = &snapshot{source: s, conn: conn}
	return snap, snap.read(ctx, names)
}

// read looks at what the transaction sees, and refuses what could not be carried.
func (s *snapshot) read(ctx context.Context, locked []string) (err error) {
	if s.catalogue, err = readCatalogue(ctx, s.conn, s.source.exclude); err != nil {
		return err
	}
	found, err := s.source.look(ctx, s.conn, s.catalogue)
	if err != nil {
		return err
	}
	more, err := s.platform(ctx)
	if err != nil {
		return err
	}
	if found = append(found, more...); len(found) > 0 {
		return &refusal{found}
	}
	for _, t := range s.catalogue.tables {
		if !slices.Contains(locked, t.quoted()) {
			return errMoved
		}
	}
	return s.conn.QueryRow(ctx, `SELECT format('wal %s%s, PostgreSQL %s',
		CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
		CASE WHEN pg_is_in_recovery() THEN ' of a standby' ELSE '' END, current_setting('server_version'))`).Scan(&s.position)
}

// platform reads what the library knows of the database.
func (s *snapshot) platform(ctx context.Context) (found []finding, err error) {
	if !slices.ContainsFunc(s.catalogue.all, func(r relation) bool { return r.Schema == "art32" && r.Name == "migrations" }) {
		return []finding{{
			what: "this database was not set up by art32",
			mend: "give the DSN of the database that the application works with",
		}}, nil
	}
	if !s.catalogue.has("art32", "migrations") || !s.catalogue.has("art32", "tenants") {
		if !s.catalogue.has("art32", "migrations") {
			t := table{Schema: "art32", Name: "migrations"}
			found = append(found, unreadable(s.conn.Config().User, "art32", "TABLE", &t))
		}
		return found, nil // the other one was found among the tables
	}
	if s.files, found, err = s.source.migrations(ctx, s.conn); err != nil {
		return nil, err
	}
	if len(found) == 0 { // all texts are at hand
		found = s.catalogue.unmade(s.files)
	}
	if s.tenants, err = tenants(ctx, s.conn); err != nil {
		return nil, err
	}
	more, err := s.source.keys(ctx, s.tenants)
	return append(found, more...), err
}

func tenants(ctx context.Context, conn *pgx.Conn) ([]tenancy.ID, error) {
	rows, err := conn.Query(ctx, "SELECT id FROM art32.tenants ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (tenancy.ID, error) {
		var id uuid.UUID
		err := r.Scan(&id)
		return tenancy.ID(id), err
	})
}

// readable names the tables that can be locked.
func readable(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND `+ours+`
	AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY c.oid`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		var t table
		err := r.Scan(&t.Schema, &t.Name)
		return t.quoted(), err
	})
}

// lock waits for changes of the tables under way. It does not yet fix what the
// transaction sees.
func lock(ctx context.Context, conn *pgx.Conn, names []string) error {
	if len(names) == 0 {
		return nil
	}
	err := run(ctx, conn, "LOCK TABLE "+strings.Join(names, ", ")+" IN ACCESS SHARE MODE")
	if code(err) == "42P01" || code(err) == "3F000" {
		return errMoved
	}
	return err
}

// run sends texts of statements without parameters.
func run(ctx context.Context, conn *pgx.Conn, texts ...string) error {
	for _, t := range texts {
		if _, err := conn.PgConn().Exec(ctx, t).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// alone runs texts about roles, each in a transaction of its own: two restores on one
// server change the same rows of its catalogue.
func alone(ctx context.Context, conn *pgx.Conn, texts ...string) error {
	for _, t := range texts {
		if err := insist.On(ctx, func() error { return run(ctx, conn, t) }); err != nil {
			return err
		}
	}
	return nil
}

// Position implements [backup.Snapshot]: the place in the write-ahead log.
func (s *snapshot) Position() string { return s.position }

// Tenants implements [backup.Snapshot].
func (s *snapshot) Tenants() []tenancy.ID { return slices.Clone(s.tenants) }

// Excluded implements [backup.Snapshot].
func (s *snapshot) Excluded() []backup.Excluded { return slices.Clone(s.catalogue.excluded) }

// Close implements [backup.Snapshot].
func (s *snapshot) Close() error {
	if s.conn.IsClosed() {
		return nil
	}
	if err := hangUp(context.Background(), s.conn); err != nil {
		return fmt.Errorf("pgsource: close snapshot: %w", err)
	}
	return nil
}
