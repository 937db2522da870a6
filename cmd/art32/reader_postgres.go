package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// login is a PostgreSQL database under the library login.
type login struct{ db *sql.DB }

var _ source = (*login)(nil)

func openLogin(ctx context.Context, dsn string) (*login, error) {
	db, err := openPostgres(ctx, dsn)
	if err != nil {
		return nil, err
	}
	l := &login{db: db}
	if err := l.mayRead(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

// openPostgres connects with a DSN that was checked.
func openPostgres(ctx context.Context, dsn string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("not a valid postgres:// URL")
	}
	db := stdlib.OpenDB(*config)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to PostgreSQL: %w; check host, port, database, user and password", fromServer(err)), db.Close())
	}
	return db, nil
}

// mayRead refuses a login to whom row-level security would show an empty log.
func (l *login) mayRead(ctx context.Context) error {
	var user string
	var there, may bool
	err := l.db.QueryRowContext(ctx, `SELECT current_user, to_regclass('art32.events') IS NOT NULL,
		coalesce((SELECT bool_or(pg_has_role(current_user, oid, 'USAGE')) FROM pg_catalog.pg_roles WHERE rolname = 'art32_library'), false)
		OR (SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user)`).Scan(&user, &there, &may)
	switch {
	case err != nil:
		return fromServer(err)
	case !may:
		return fmt.Errorf("role %s is not the library login and sees no rows of the log: use the library DSN that art32 init gave", user)
	case !there:
		return errors.New("the database holds no tables of art32: run art32 init first")
	}
	return nil
}

func (l *login) dialect() migrate.Dialect { return migrate.Postgres }

func (l *login) begin(ctx context.Context, tenant uuid.UUID) (*sql.Tx, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "SELECT set_config('art32.tenant', $1, true)", tenant.String()); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func (l *login) explain(_ uuid.UUID, err error) error { return fromServer(err) }

func (l *login) moved(uuid.UUID) bool { return false }

func (l *login) platform() *sql.DB { return l.db }

func (l *login) close() error { return l.db.Close() }

// logs lists the tenants of the table, those with events that nobody has
// sealed, and those whose creation the platform's log tells.
func (l *login) logs(ctx context.Context) ([]subject, error) {
	known, err := l.ids(ctx, "SELECT CAST(id AS TEXT) FROM art32.tenants")
	if err != nil {
		return nil, err
	}
	unsealed, err := l.ids(ctx, "SELECT CAST(t AS TEXT) FROM art32.unsealed() t")
	if err != nil {
		return nil, err
	}
	told, err := created(ctx, l)
	if err != nil {
		return nil, err
	}
	all := []subject{{}}
	for id := range union(known, unsealed, told) {
		s := subject{tenant: id}
		if !known[id] {
			s.wrong = append(s.wrong, "there are events of this tenant or about its creation, but no row in art32.tenants: it was deleted")
		}
		all = append(all, s)
	}
	sortSubjects(all)
	return all, nil
}

func (l *login) ids(ctx context.Context, query string) (map[tenancy.ID]bool, error) {
	all := map[tenancy.ID]bool{}
	err := each(ctx, l, uuid.Nil, func(r engine.Row) error {
		var text string
		err := r.Scan(&text)
		if id, perr := tenancy.ParseID(text); perr == nil {
			all[id] = true
		}
		return err
	}, query)
	return all, err
}

func union(sets ...map[tenancy.ID]bool) map[tenancy.ID]bool {
	all := map[tenancy.ID]bool{}
	for _, set := range sets {
		for id := range set {
			all[id] = true
		}
	}
	return all
}

// sortSubjects puts the platform first, whose id is the smallest.
func sortSubjects(all []subject) {
	slices.SortFunc(all, func(a, b subject) int { return strings.Compare(a.tenant.String(), b.tenant.String()) })
}

// plainClasses are the classes of SQLSTATE whose messages speak of names and
// states.
var plainClasses = strings.Fields("08 25 28 3D 40 42 53 55 57 58")

// fromServer keeps the server's words only where they quote no value of a row.
func fromServer(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	out := &engine.Error{Code: pgErr.Code, Table: pgErr.TableName, Name: pgErr.ConstraintName}
	if len(pgErr.Code) == 5 && slices.Contains(plainClasses, pgErr.Code[:2]) {
		out.Text = pgErr.Message
	}
	return out
}
