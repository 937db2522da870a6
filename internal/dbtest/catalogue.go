package dbtest

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rightsOf lists the statements that give database $2 the owner and the rights
// of database $1, beginning with taking away PostgreSQL's default.
const rightsOf = `
SELECT format('ALTER DATABASE %I OWNER TO %I', $2::text, pg_get_userbyid(datdba)) FROM pg_database WHERE datname = $1
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text) FROM pg_database WHERE datname = $1 AND datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, $2::text,
	CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
	CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = $1 AND a.grantee <> d.datdba`

// copyRights gives the database to the owner, rights and grantees of another.
func copyRights(ctx context.Context, c *pgx.Conn, from, to string) error {
	statements, err := texts(ctx, c, rightsOf, from, to)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := c.Exec(ctx, statement); err != nil {
			return fmt.Errorf("copy the rights of %s: %w", from, err)
		}
	}
	return nil
}

// dropDatabase removes a database and the roles whose names begin with its
// name and an underscore.
func dropDatabase(ctx context.Context, c *pgx.Conn, name string) error {
	if _, err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
		return err
	}
	roles, err := texts(ctx, c, `SELECT rolname::text FROM pg_roles WHERE starts_with(rolname::text, $1)`, name+"_")
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := dropRole(ctx, c, role); err != nil {
			return err
		}
	}
	return nil
}

// dropRole removes a role with the rights it has on the server itself.
func dropRole(ctx context.Context, c *pgx.Conn, name string) error {
	if _, err := c.Exec(ctx, "DROP OWNED BY "+quote(name)); err != nil {
		return err
	}
	_, err := c.Exec(ctx, "DROP ROLE "+quote(name))
	return err
}

// abandoned ends a query for the names of processes that are gone: their tag is
// the name of no session.
const abandoned = ` ~ '^art32_[0-9]+_[0-9a-f]{8}_' AND NOT EXISTS (SELECT FROM pg_stat_activity
	WHERE application_name LIKE 'art32\_%' AND starts_with(name, application_name || '_'))`

// sweep drops the databases and roles of processes that are gone. An error of
// one is no reason to fail a test: another process may be sweeping as well.
func sweep(ctx context.Context, c *pgx.Conn) error {
	databases, err := texts(ctx, c, "SELECT name FROM (SELECT datname::text AS name FROM pg_database) d WHERE name"+abandoned)
	if err != nil {
		return err
	}
	for _, name := range databases {
		_ = dropDatabase(ctx, c, name)
	}
	roles, err := texts(ctx, c, "SELECT name FROM (SELECT rolname::text AS name FROM pg_roles) r WHERE name"+abandoned)
	if err != nil {
		return err
	}
	for _, name := range roles {
		_ = dropRole(ctx, c, name)
	}
	return nil
}

// texts returns the single text column of a query.
func texts(ctx context.Context, c *pgx.Conn, query string, args ...any) ([]string, error) {
	rows, err := c.Query(ctx, strings.TrimSpace(query), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
