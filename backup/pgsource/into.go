package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/restoring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// IntoOptions adjusts [Into]. Nil and zero fields mean the defaults.
type IntoOptions struct {
	// Migrations are the application's own of today; those of the backup are
	// applied first. Default: those of the backup alone.
	Migrations fs.FS
	// Lines are those of today. Default: those of the backup alone.
	Lines []tenancy.Line
	// Schema are the application's tables. Default: as the backup describes them.
	Schema tenancy.Schema
	// Temp is the folder for what must wait until the tables are there: the
	// migrations and the wrapped keys. Default: [os.TempDir].
	Temp string
}

// Destination is an empty database that a backup is restored into. It is used by
// one goroutine, as the contract of [backup.Destination] says.
type Destination struct {
	dsn     string
	config  *pgx.ConnConfig
	options IntoOptions

	mark     string   // the name of the login that texts of the backup run with
	loader   string   // its DSN, once it is there
	owner    string   // of the tables, once there is one
	roles    []string // that were there before
	language bool     // everybody may use plpgsql, which postgres.Setup changes
	dir      string   // what waits
	waiting  []waiting
	present  []string // tenants that have a part
	scripts  map[string]string
	layout   *layout
	folders  map[string]*table
	conn     *pgx.Conn // inside the transaction that loads
	logins   postgres.Logins
	finished bool
}

var _ backup.Destination = (*Destination)(nil)

// waiting is a file of the keystore.
type waiting struct {
	table *table
	file  *os.File
	size  int64
}

// Into restores into an empty database. ownerDSN is a postgres:// URL of a
// superuser, who makes the roles and a login for the time of the restore, with
// which all that comes out of the backup is run and loaded: no text of a backup
// is run with a superuser's rights. It opens nothing yet.
func Into(ownerDSN string, o *IntoOptions) (*Destination, error) {
	if o == nil {
		o = &IntoOptions{}
	}
	config, err := parse("owner's", ownerDSN)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(ownerDSN, "postgres") { // the logins are DSNs of the same form
		return nil, errors.New("pgsource: owner's login: not a valid postgres:// URL")
	}
	return &Destination{dsn: ownerDSN, config: config, options: *o, scripts: make(map[string]string)}, nil
}

// Engine implements [backup.Destination].
func (d *Destination) Engine() string { return "postgres" }

// Begin implements [backup.Destination]: [backup.ErrRole] where the login is no
// superuser, [backup.ErrNotEmpty] where the database holds anything, or another
// restore is under way in it, or died in it. It marks the database: until Finish,
// nobody else opens it.
func (d *Destination) Begin(ctx context.Context) error {
	var err error
	if d.dir, err = os.MkdirTemp(d.options.Temp, "art32-restore-"); err == nil {
		if err = d.with(ctx, func(conn *pgx.Conn) error { return d.begin(ctx, conn) }); err != nil {
			err = errors.Join(err, d.drop())
		}
	}
	if err != nil {
		return fmt.Errorf("pgsource: begin restore: %w", told(err))
	}
	return nil
}

// with hands fn a superuser's connection, for statements of this package alone:
// what the backup made in other schemas is not found by a name without one.
func (d *Destination) with(ctx context.Context, fn func(*pgx.Conn) error) (err error) {
	return connected(ctx, d.config.Copy(), func(conn *pgx.Conn) error {
		if err := run(ctx, conn, "SET search_path = pg_catalog"); err != nil {
			return err
		}
		return fn(conn)
	})
}

func connected(ctx context.Context, config *pgx.ConnConfig, fn func(*pgx.Conn) error) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp(ctx, conn)) }()
	return fn(conn)
}

func superuser(ctx context.Context, conn *pgx.Conn) error {
	var name string
	var is bool
	err := conn.QueryRow(ctx, "SELECT rolname::text, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&name, &is)
	if err != nil || is {
		return err
	}
	return &refusal{[]finding{{
		what: "login " + name + " is no superuser, and rows are loaded past row-level security and triggers",
		mend: "restore with a superuser's login, or ALTER ROLE " + quoted(name) + " SUPERUSER for the time of the restore", role: true,
	}}}
}

// content names what a database holds of its own, what belongs to extensions
// apart.
const content = `WITH ext AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e')
SELECT 'schema ' || n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname NOT IN ('public', '` + restoring.Schema + `') AND ` + ours + `
	AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_catalog.pg_namespace'::regclass AND objid = n.oid)
UNION ALL
SELECT 'relation ' || c.oid::regclass FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE ` + ours + ` AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
	AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid)
UNION ALL
SELECT 'type ' || t.oid::regtype FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
	WHERE ` + ours + ` AND t.typtype IN ('d', 'e', 'r')
	AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_catalog.pg_type'::regclass AND objid = t.oid)
UNION ALL
SELECT 'function ' || p.oid::regprocedure FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
	WHERE ` + ours + ` AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_catalog.pg_proc'::regclass AND objid = p.oid)
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
UNION ALL
SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
LIMIT 5`

// empty refuses a database that holds anything.
func empty(ctx context.Context, conn *pgx.Conn) error {
	found, err := names(ctx, conn, content)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%w: the database holds %s", backup.ErrNotEmpty, strings.Join(found, ", "))
	}
	return err
}

// names gives the single text column of a query.
func names(ctx context.Context, conn *pgx.Conn, query string, args ...any) ([]string, error) {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
