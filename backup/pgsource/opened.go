package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// Open implements [backup.Destination]. It applies the migrations of today and
// opens the database with logins that nobody else knows yet.
func (d *Destination) Open(
	ctx context.Context, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error),
) (*backup.Opened, error) {
	opened, err := d.open(ctx, root, log)
	if err != nil {
		return nil, fmt.Errorf("pgsource: open what was restored: %w", told(err))
	}
	return opened, nil
}

func (d *Destination) open(
	ctx context.Context, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error),
) (opened *backup.Opened, err error) {
	store, err := postgres.OpenKeystore(ctx, d.logins.Library)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, err
	}
	recorder, err := log(keys)
	if err != nil {
		return nil, err
	}
	setup, err := d.today(ctx, recorder)
	if err != nil {
		return nil, err
	}
	schema, err := d.schema(ctx)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, d.logins, schema, keys, recorder, &postgres.Options{SetupOptions: setup})
	if err != nil {
		return nil, err
	}
	return &backup.Opened{DB: db, Keys: keys, Store: store, Close: func() error {
		return errors.Join(db.Close(), store.Close())
	}}, nil
}

// today applies the migrations that came after the backup.
func (d *Destination) today(ctx context.Context, log tenancy.ChangeRecorder) (postgres.SetupOptions, error) {
	o := postgres.SetupOptions{Migrations: d.options.Migrations, Lines: slices.Clone(d.options.Lines)}
	if lr, ok := log.(tenancy.LineRecorder); ok {
		o.Lines = append(lr.Lines(), o.Lines...)
	}
	return o, postgres.Migrate(ctx, d.dsn, &o)
}

// schema are the application's tables, without which an erasure could not be
// repeated.
func (d *Destination) schema(ctx context.Context) (schema tenancy.Schema, err error) {
	if d.options.Schema != nil {
		return d.options.Schema, nil
	}
	err = d.with(ctx, func(conn *pgx.Conn) error {
		infos, err := declaredTables(ctx, conn)
		if err != nil {
			return err
		}
		schema, err = tenancy.Described(infos)
		return err
	})
	if err == nil && len(schema) == 0 && d.holdsTenants() {
		err = errors.New("the backup does not describe the application's tables, so that erasures could not be repeated: give IntoOptions.Schema")
	}
	return schema, err
}

// holdsTenants reports whether the application has tables with tenants.
func (d *Destination) holdsTenants() bool {
	return slices.ContainsFunc(d.layout.Tables, func(t table) bool { return t.Tenant != "" && t.Schema != "art32" })
}

// Finish implements [backup.Destination]. From here on Logins gives the DSNs.
func (d *Destination) Finish(ctx context.Context) error {
	if err := errors.Join(d.leave(ctx), d.drop()); err != nil {
		return fmt.Errorf("pgsource: finish restore: %w", told(err))
	}
	d.finished = true
	return nil
}

// Logins are those of the restored database, empty before Finish. They hold
// passwords; what was opened with older ones must be given these.
func (d *Destination) Logins() postgres.Logins {
	if !d.finished {
		return postgres.Logins{}
	}
	return d.logins
}

// leave closes the connection that loaded.
func (d *Destination) leave(ctx context.Context) error {
	if d.conn == nil || d.conn.IsClosed() {
		return nil
	}
	return hangUp(ctx, d.conn)
}

const abortTime = 2 * time.Minute

// Abort implements [backup.Destination]. It removes tables, schemas and the
// database's own roles. After Finish it does nothing.
func (d *Destination) Abort(ctx context.Context) error {
	if d.finished || d.roles == nil {
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

// holders are the roles that own something here, or may do something.
const holders = `SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_shdepend s
JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid JOIN pg_catalog.pg_database d ON d.datname = current_database()
WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND NOT r.rolsuper
AND (s.dbid = d.oid OR s.classid = 'pg_catalog.pg_database'::regclass AND s.objid = d.oid AND s.deptype = 'a')`

// clear empties the database. It held nothing, so that what a role owns here is
// of the restore.
func (d *Destination) clear(ctx context.Context, conn *pgx.Conn) error {
	owners, err := names(ctx, conn, holders+" AND s.deptype = 'o'")
	if err != nil {
		return err
	}
	now, err := names(ctx, conn, holders)
	if err != nil {
		return err
	}
	for _, r := range now {
		if !slices.Contains(owners, r) && slices.Contains(d.holders, r) {
			continue
		}
		if err := run(ctx, conn, "DROP OWNED BY "+quoted(r)+" CASCADE"); err != nil {
			return err
		}
		if slices.Contains(d.roles, r) || r == "art32_library" || r == "art32_app" { // which all databases share
			continue
		}
		if err := run(ctx, conn, "DROP ROLE "+quoted(r)); err != nil {
			return err
		}
	}
	if d.language { // or the next owner of tables could not create functions
		if err := run(ctx, conn, "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC"); err != nil {
			return err
		}
	}
	return empty(ctx, conn)
}
