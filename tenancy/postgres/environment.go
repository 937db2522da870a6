package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// stamp says what environment the database is, and refuses one that is another.
func (s *setup) stamp(ctx context.Context, o *SetupOptions) error {
	if o == nil || o.Environment == "" {
		return nil
	}
	if err := tenancy.CheckEnvironment(o.Environment); err != nil {
		return err
	}
	if _, err := s.conn.ExecContext(ctx, engine.Stamp(migrate.Postgres), o.Environment); err != nil {
		return setupErr("stamp the environment", err)
	}
	is := tenancy.Production
	err := s.conn.QueryRowContext(ctx, "SELECT coalesce((SELECT name FROM art32.environment WHERE one = 1), $1)", is).Scan(&is)
	if err != nil {
		return setupErr("read the environment", err)
	}
	if is != o.Environment {
		f := otherEnvironment(is, o.Environment)
		return fmt.Errorf("postgres: refused: %s; mend: %s", f.What, f.Mend)
	}
	return nil
}

// inEnvironment refuses a database that has tenants, or a stamp, and is another
// environment than the options name. One that is neither is about to be stamped.
func (s *setup) inEnvironment(ctx context.Context, o *SetupOptions) error {
	if o == nil || o.Environment == "" {
		return nil
	}
	if err := tenancy.CheckEnvironment(o.Environment); err != nil {
		return err
	}
	var stamps, tenants bool
	err := s.conn.QueryRowContext(ctx, "SELECT to_regclass('art32.environment') IS NOT NULL, to_regclass('art32.tenants') IS NOT NULL").Scan(&stamps, &tenants)
	switch {
	case err != nil:
		return setupErr("read the environment", err)
	case !tenants:
		return s.unused(ctx, o.Environment)
	}
	is := tenancy.Production
	var open bool // to be stamped
	if err := s.conn.QueryRowContext(ctx, "SELECT NOT EXISTS (SELECT FROM art32.tenants)").Scan(&open); err != nil {
		return setupErr("read the environment", err)
	}
	if stamps {
		err := s.conn.QueryRowContext(ctx, "SELECT name FROM art32.environment WHERE one = 1").Scan(&is)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return setupErr("read the environment", err)
		}
		open = open && err != nil
	}
	if open {
		return s.unused(ctx, o.Environment)
	}
	if is != o.Environment {
		f := otherEnvironment(is, o.Environment)
		return fmt.Errorf("postgres: refused: %s; mend: %s", f.What, f.Mend)
	}
	return nil
}

// unused refuses to call a database something else than production that holds rows of
// an application already: nobody but its owner knows whose they are.
func (s *setup) unused(ctx context.Context, want string) error {
	if want == tenancy.Production {
		return nil
	}
	var rows string // a condition that holds where a table has some
	err := s.conn.QueryRowContext(ctx, `SELECT coalesce(string_agg(format('EXISTS (SELECT FROM %s)', c.oid::regclass), ' OR '), 'false')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('information_schema', 'art32', 'art32_keys') AND n.nspname NOT LIKE 'pg\_%'
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`).Scan(&rows)
	if err != nil {
		return setupErr("look for tables", err)
	}
	tx, err := s.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return setupErr("look into the tables", err)
	}
	defer func() { _ = tx.Rollback() }()
	var holds bool
	_, err = tx.ExecContext(ctx, "SET LOCAL row_security = off") // a policy that hides rows is an error then
	if err == nil {
		err = tx.QueryRowContext(ctx, "SELECT "+rows).Scan(&holds)
	}
	if err != nil {
		return setupErr("look into the tables", err)
	}
	if holds {
		return fmt.Errorf("postgres: refused: tables hold rows already, and nothing says that they are not of production; mend: set the database up "+
			"without the name of an environment, and if no controller's data is in it INSERT INTO art32.environment VALUES (1, '%s'), as its owner", want)
	}
	return nil
}

// otherEnvironment says that a database is not what the caller takes it for.
func otherEnvironment(is, want string) Finding {
	f := Finding{
		What: fmt.Sprintf("the database counts as %s and not as %s", is, want),
		Mend: "check the DSN; a copy that is no longer what it was stamped as: DELETE FROM art32.environment and INSERT the new name, as its owner",
	}
	return f
}

// inEnvironment refuses a database that is another environment than the options
// name.
func inEnvironment(ctx context.Context, db *tenancy.DB, want string) error {
	if want == "" {
		return nil
	}
	if err := tenancy.CheckEnvironment(want); err != nil {
		return err
	}
	is, err := db.Environment(ctx)
	if err == nil && is != want {
		err = &RefusedError{Findings: []Finding{otherEnvironment(is, want)}}
	}
	return err
}
