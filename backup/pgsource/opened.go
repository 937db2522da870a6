package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/restoring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// Open implements [backup.Destination]. It applies the migrations of today and
// opens the database with logins that nobody else knows yet.
func (d *Destination) Open(
	ctx context.Context, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error),
) (*backup.Opened, error) {
	opened, err := d.open(restoring.With(ctx, d.login), root, log)
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
	return o, postgres.Migrate(ctx, d.loader, &o)
}

// schema are the application's tables, without which an erasure could not be
// repeated.
func (d *Destination) schema(ctx context.Context) (schema tenancy.Schema, err error) {
	if d.options.Schema != nil {
		return d.options.Schema, nil
	}
	err = d.asLoader(ctx, func(conn *pgx.Conn) error {
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
	err := errors.Join(d.leave(ctx), d.drop(), d.with(ctx, func(conn *pgx.Conn) error { return d.finish(ctx, conn) }))
	if err != nil {
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
