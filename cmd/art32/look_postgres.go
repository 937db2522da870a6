package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/internal/guess"
	"github.com/art32/art32/internal/pglogin"
)

// pgLook looks at a PostgreSQL database in one transaction that cannot write.
type pgLook struct {
	*checks

	tx *sql.Tx
}

// openLook connects so that no statement can write, also outside a transaction. A
// pooler that refuses to be told so gets the transaction alone, which is READ ONLY
// by itself.
func openLook(ctx context.Context, dsn string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("not a valid postgres:// URL")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // no statement keeps a name
	config.RuntimeParams["default_transaction_read_only"] = "on"
	db, err := dialLook(ctx, config)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == protocolViolation {
		delete(config.RuntimeParams, "default_transaction_read_only")
		db, err = dialLook(ctx, config)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w; check host, port, database, user and password", fromServer(err))
	}
	return db, nil
}

// protocolViolation is how PgBouncer refuses a parameter of the start.
const protocolViolation = "08P01"

func dialLook(ctx context.Context, config *pgx.ConnConfig) (*sql.DB, error) {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // it never opened
		return nil, err
	}
	return db, nil
}

// beginLook begins the transaction. It waits for no lock of the application.
func beginLook(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, fromServer(err)
	}
	for _, q := range []string{"SET LOCAL lock_timeout = '2s'", "SET LOCAL statement_timeout = '30s'", "SET LOCAL search_path = pg_catalog"} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(fromServer(err), tx.Rollback())
		}
	}
	return tx, nil
}

// look reports on a database without tables of art32, or that it has some.
func (d *doctor) look(ctx context.Context) (foreign bool, err error) {
	db, err := openLook(ctx, d.dsn)
	if err != nil {
		return false, err
	}
	defer db.Close()
	tx, err := beginLook(ctx, db)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, fromServer(tx.Rollback())) }()
	if err := tx.QueryRowContext(ctx, "SELECT to_regnamespace('art32') IS NULL").Scan(&foreign); err != nil || !foreign {
		return foreign, fromServer(err)
	}
	l := &pgLook{checks: &d.checks, tx: tx}
	for _, step := range []func(context.Context) error{l.login, l.version, l.logging, l.content} {
		if err := step(ctx); err != nil {
			return true, fromServer(err)
		}
	}
	d.beyond()
	return true, nil
}

const useSetup = "let the application log in with what art32 init makes (postgres.Setup): logins that own nothing and bypass nothing"

// login finds rights with which nothing keeps tenants apart.
func (l *pgLook) login(ctx context.Context) error {
	var user string
	var super, bypass bool
	var owned int
	err := l.tx.QueryRowContext(ctx, `SELECT current_user::text, bool_or(rolsuper), bool_or(rolbypassrls),
		(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
			AND pg_has_role(c.relowner, 'USAGE'))
		FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')`).Scan(&user, &super, &bypass, &owned)
	if err != nil {
		return err
	}
	var found []fault
	switch {
	case super:
		found = append(found, bad("role "+user+" is, or is a member of, a superuser: no policy holds it", useSetup))
	case bypass:
		found = append(found, bad("role "+user+" may step over row-level security (BYPASSRLS)", useSetup))
	}
	if owned > 0 {
		found = append(found, bad(fmt.Sprintf("role %s owns %d tables, or has the rights of their owner: it can switch their protection off", user, owned), useSetup))
	}
	l.note("TOM-8.1", "login", "role "+user, found...)
	return nil
}

// version judges the age of the server.
func (l *pgLook) version(ctx context.Context) error {
	var text string
	if err := l.tx.QueryRowContext(ctx, "SHOW server_version_num").Scan(&text); err != nil {
		return err
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("the server tells no version")
	}
	switch says, ok, known := supported(number, time.Now()); {
	case !known:
		l.unchecked("TOM-9.1", "server", says+" is younger than this program: see https://www.postgresql.org/support/versioning/")
	case ok:
		l.note("TOM-9.1", "server", says)
	default:
		l.add("TOM-9.1", "server", bad(says, "pg_upgrade to a version in support (https://www.postgresql.org/support/versioning/); no package does it"))
	}
	return nil
}

// logging finds out whether values reach the server's log.
func (l *pgLook) logging(ctx context.Context) error {
	rows, err := l.tx.QueryContext(ctx, `SELECT name, setting FROM pg_settings WHERE name IN ('log_statement',
		'log_min_duration_statement', 'log_min_duration_sample', 'log_parameter_max_length', 'log_parameter_max_length_on_error')`)
	if err != nil {
		return err
	}
	defer rows.Close()
	set := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		set[name] = value
	}
	l.add("TOM-3.2", "server log", logged(set)...)
	return rows.Err()
}

// logged judges the settings; before version 13 parameters were always logged
// with their statement.
func logged(set map[string]string) (found []fault) {
	const mend = "ALTER DATABASE … SET log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0, as superuser; postgres.Setup does it"
	statements := set["log_statement"] != "none" || set["log_min_duration_statement"] != "-1" ||
		set["log_min_duration_sample"] != "" && set["log_min_duration_sample"] != "-1"
	if statements && set["log_parameter_max_length"] != "0" {
		found = append(found, bad("the server logs statements with their bind parameters", mend))
	}
	if v := set["log_parameter_max_length_on_error"]; v != "" && v != "0" {
		found = append(found, bad("the server logs bind parameters of statements that fail", mend))
	}
	return found
}

// content looks at the names of tables and columns.
func (l *pgLook) content(ctx context.Context) error {
	all, guarded, err := l.tables(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		l.unchecked("TOM-8.1", "row security", "the database holds no tables")
		l.unchecked("TOM-7.2", "columns in clear", "the database holds no tables")
		return nil
	}
	var open []fault
	for _, name := range all.names() {
		col := all.bound(name)
		if col == "" || guarded[name] == "forced" {
			continue
		}
		open = append(open, fault{
			What: fmt.Sprintf("table %s looks tenant-bound (%s) and has %s", name, col, guarded[name]), Guess: true,
			Mend: "declare it as a tenancy.Repository and call art32.protect in a migration (tenancy, tenancy/postgres)",
		})
	}
	note := fmt.Sprintf("%d tables, by their names", len(all))
	l.note("TOM-8.1", "row security", note, open...)
	l.note("TOM-7.2", "columns in clear", note, all.clear()...)
	return nil
}

// tables reads names and types, and how each table is guarded. Partitions go with
// their table, and the tables of extensions are left out.
func (l *pgLook) tables(ctx context.Context) (all tables, guarded map[string]string, err error) {
	rows, err := l.tx.QueryContext(ctx, `SELECT format('%I.%I', n.nspname, c.relname), a.attname::text,
		CASE WHEN b.typcategory = 'S' OR b.typname IN ('json', 'jsonb', 'xml', 'hstore') THEN 'text'
			WHEN b.typcategory = 'D' THEN 'date' WHEN b.typcategory = 'I' THEN 'inet' ELSE '' END,
		CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'forced'
			WHEN c.relrowsecurity THEN 'row-level security that its owner steps over' ELSE 'no row-level security' END
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type t ON t.oid = a.atttypid
		JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END
		WHERE c.relkind IN ('r', 'p', 'f', 'm') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
		AND NOT c.relispartition
		AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')
		ORDER BY 1, a.attnum`)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	all, guarded = tables{}, map[string]string{}
	kinds := map[string]guess.Kind{"text": guess.Text, "date": guess.Date, "inet": guess.Address}
	for rows.Next() {
		var table, name, typ, guard string
		if err := rows.Scan(&table, &name, &typ, &guard); err != nil {
			return nil, nil, err
		}
		all[table] = append(all[table], guess.Column{Name: name, Kind: kinds[typ]})
		guarded[table] = guard
	}
	return all, guarded, rows.Err()
}

// channel judges how the servers of a DSN are reached (TOM-4.1). Without a
// verified channel nothing may be asked of them: it would carry the password.
func (d *doctor) channel() (safe bool) {
	c, err := pgx.ParseConfig(d.dsn)
	if err != nil || !pglogin.Verified(&c.Config) {
		d.add("TOM-4.1", "channel", bad("the server is reached over a network without verifying it",
			"add sslmode=verify-full to the URL, and sslrootcert=FILE for an authority of your own (postgres.Open refuses it else)"))
		d.unchecked("TOM-8.1", "database", "nothing was sent over a channel that is not verified")
		return false
	}
	note := "the server's certificate is verified"
	if pglogin.Local(c.Host) {
		note = "loopback or socket"
	}
	d.note("TOM-4.1", "channel", note)
	return true
}
