package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/restoring"
)

const abortTime = 2 * time.Minute

// Abort implements [backup.Destination]. It removes tables, schemas and the roles
// that the restore made, where the mark is that of this restore, and no right of
// another database. After Finish it does nothing.
func (d *Destination) Abort(ctx context.Context) error {
	if d.finished || d.mark == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	err := errors.Join(d.leave(ctx), d.drop(), d.with(ctx, func(conn *pgx.Conn) error { return d.clear(ctx, conn) }))
	if err != nil {
		return fmt.Errorf("pgsource: abort restore: remove the database by hand: %w", told(err))
	}
	return nil
}

// clear empties the database. It held nothing, so that what the owner of the
// tables and the restore's login own here is of the restore.
func (d *Destination) clear(ctx context.Context, conn *pgx.Conn) error {
	if err := d.mine(ctx, conn); err != nil {
		return err
	}
	own, err := d.own(ctx, conn)
	if err != nil {
		return err
	}
	for _, r := range own {
		if err := d.sweep(ctx, conn, r); err != nil {
			return err
		}
	}
	if d.language { // or the next owner of tables could not create functions
		if err := run(ctx, conn, "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC"); err != nil {
			return err
		}
	}
	if err := empty(ctx, conn); err != nil {
		return err
	}
	return run(ctx, conn, "DROP SCHEMA "+restoring.Schema)
}

// own are the roles of this database, and the restore's login first.
func (d *Destination) own(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	if d.owner == "" {
		return nil, nil
	}
	all := []string{d.mark, d.owner}
	for _, kind := range []string{"_library", "_app", "_across", "_backup"} {
		all = append(all, strings.TrimSuffix(d.owner, "_owner")+kind)
	}
	there, err := names(ctx, conn, "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[])", all)
	return slices.DeleteFunc(all, func(r string) bool { return !slices.Contains(there, r) }), err
}

// elsewhere are rights beyond this database that DROP OWNED would take too.
const elsewhere = `SELECT 'role ' || r.rolname || ' was there before and has rights beyond this database' FROM pg_catalog.pg_roles r
WHERE r.rolname = $1 AND EXISTS (SELECT FROM pg_catalog.pg_shdepend s
	WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.refobjid = r.oid AND s.dbid = 0 AND s.deptype = 'a'
	AND NOT (s.classid = 'pg_catalog.pg_database'::regclass
		AND s.objid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())))`

// sweep removes what a role owns here, and the role where the restore made it. Of
// the roles that were there before, only the owner of the tables owns anything.
func (d *Destination) sweep(ctx context.Context, conn *pgx.Conn, role string) error {
	if !slices.Contains(d.roles, role) {
		return alone(ctx, conn, "DROP OWNED BY "+quoted(role)+" CASCADE", "DROP ROLE "+quoted(role))
	}
	if role != d.owner {
		return nil
	}
	found, err := names(ctx, conn, elsewhere, role)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return errors.New(found[0])
	}
	return alone(ctx, conn, "DROP OWNED BY "+quoted(role)+" CASCADE")
}
