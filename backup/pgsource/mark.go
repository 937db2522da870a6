package pgsource

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/insist"
	"github.com/art32/art32/internal/pglogin"
	"github.com/art32/art32/internal/restoring"
)

// begin marks an empty database. Of two restores at once, one makes the mark.
func (d *Destination) begin(ctx context.Context, conn *pgx.Conn) error {
	if err := superuser(ctx, conn); err != nil {
		return err
	}
	if err := unmarked(ctx, conn); err != nil {
		return err
	}
	mark := "art32_restore_" + strings.ToLower(rand.Text())
	err := run(ctx, conn, "BEGIN", "CREATE SCHEMA "+restoring.Schema, "COMMENT ON SCHEMA "+restoring.Schema+" IS "+literal(mark))
	if c := code(err); c == "42P06" || c == "23505" {
		return errors.Join(run(ctx, conn, "ROLLBACK"), fmt.Errorf("%w: another restore has begun in the database", backup.ErrNotEmpty))
	}
	if err != nil {
		return err
	}
	if err := empty(ctx, conn); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT has_language_privilege('public', 'plpgsql', 'USAGE')").Scan(&d.language); err != nil {
		return err
	}
	if d.roles, err = names(ctx, conn, "SELECT rolname::text FROM pg_catalog.pg_roles"); err != nil {
		return err
	}
	d.mark = mark // from here on there is something to remove
	return run(ctx, conn, "COMMIT")
}

// unmarked refuses a database into which another restore has not finished.
func unmarked(ctx context.Context, conn *pgx.Conn) error {
	marks, err := names(ctx, conn, restoring.Query)
	if err == nil && len(marks) > 0 {
		err = fmt.Errorf("%w: %s; mend: "+restoring.Mend, backup.ErrNotEmpty, restoring.What, marks[0])
	}
	return err
}

// mine demands that the mark is that of this restore.
func (d *Destination) mine(ctx context.Context, conn *pgx.Conn) error {
	marks, err := names(ctx, conn, restoring.Query)
	if err == nil && (d.mark == "" || !slices.Contains(marks, d.mark)) {
		err = errors.New("the mark of this restore is not in the database (any more), so that nothing in it was touched")
	}
	return err
}

// still refuses to go on where the database is not as Begin left it.
func (d *Destination) still(ctx context.Context, conn *pgx.Conn) error {
	if err := d.mine(ctx, conn); err != nil {
		return err
	}
	return empty(ctx, conn)
}

// validity is how long the restore's login can log in, should it stay behind.
const validity = 7 * 24 * time.Hour

// login makes the login for the time of the restore. It may do what the owner of
// the tables may, and load past row-level security and triggers.
func (d *Destination) login(ctx context.Context, owner string) (string, error) {
	dsn, verifier, err := pglogin.New(d.dsn, d.mark)
	if err != nil {
		return "", err
	}
	d.owner = owner
	err = d.with(ctx, func(conn *pgx.Conn) error {
		if err := harmless(ctx, conn, owner); err != nil {
			return err
		}
		return alone(ctx, conn,
			"CREATE ROLE "+quoted(d.mark)+" LOGIN INHERIT BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD "+literal(verifier)+
				" VALID UNTIL "+literal(time.Now().UTC().Add(validity).Format(time.RFC3339)),
			"GRANT "+quoted(owner)+" TO "+quoted(d.mark),
			"GRANT CONNECT ON DATABASE "+quoted(conn.Config().Database)+" TO "+quoted(d.mark),
			"GRANT SET ON PARAMETER session_replication_role TO "+quoted(d.mark),
		)
	})
	if err != nil {
		return "", fmt.Errorf("make the restore's login: %w", told(err))
	}
	d.loader = dsn
	return dsn, nil
}

// harmless refuses an owner of tables that was there before and may do more than
// own them.
func harmless(ctx context.Context, conn *pgx.Conn, owner string) error {
	found, err := names(ctx, conn, `SELECT 'is no plain role' FROM pg_catalog.pg_roles
		WHERE rolname = $1 AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)
	UNION ALL SELECT 'is a member of ' || g.rolname FROM pg_catalog.pg_auth_members m
		JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles r ON r.oid = m.member WHERE r.rolname = $1`, owner)
	if err != nil || len(found) == 0 {
		return err
	}
	return &refusal{[]finding{{
		what: "role " + owner + ", which is to own the tables, was there before and " + strings.Join(found, ", "),
		mend: "take that from it, or restore into a database of another name",
		role: true,
	}}}
}

// asLoader hands fn a connection of the restore's login.
func (d *Destination) asLoader(ctx context.Context, fn func(*pgx.Conn) error) error {
	config, err := parse("restore's", d.loader)
	if err != nil {
		return err
	}
	return connected(ctx, config, fn)
}

// finish takes login and mark away, at once.
func (d *Destination) finish(ctx context.Context, conn *pgx.Conn) error {
	if err := d.mine(ctx, conn); err != nil {
		return err
	}
	steps := []string{"BEGIN"}
	if d.owner != "" {
		steps = append(steps, "REASSIGN OWNED BY "+quoted(d.mark)+" TO "+quoted(d.owner))
	}
	steps = append(steps, "DROP OWNED BY "+quoted(d.mark), "DROP ROLE "+quoted(d.mark), "DROP SCHEMA "+restoring.Schema, "COMMIT")
	return insist.On(ctx, func() error {
		err := run(ctx, conn, steps...)
		if err != nil {
			err = errors.Join(err, run(ctx, conn, "ROLLBACK"))
		}
		return err
	})
}
