package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// database looks at a PostgreSQL database.
func (d *doctor) database(ctx context.Context) error {
	if d.appDSN == "" {
		d.appDSN = os.Getenv(envApp)
	}
	if d.appDSN == "" {
		return usagef("--app-dsn URL (or $%s) is required beside --dsn", envApp)
	}
	if err := checkDSN("--app-dsn", d.appDSN); err != nil {
		return err
	}
	app, err := openPostgres(ctx, d.appDSN)
	if err != nil {
		return err
	}
	if err := app.Close(); err != nil {
		return err
	}
	src, err := openLogin(ctx, d.dsn)
	if err != nil {
		return err
	}
	defer src.close()
	if err := d.catalogue(ctx, src.db); err != nil {
		return err
	}
	if d.key != "" {
		d.root(ctx, keyring.SQLStore(src.db, migrate.Postgres))
	}
	d.logs(ctx, src)
	return ctx.Err()
}

// catalogue asks the engine for what it refuses to open.
func (d *doctor) catalogue(ctx context.Context, db *sql.DB) error {
	schema, err := tablesOf(ctx, db)
	if err != nil {
		return fromServer(err)
	}
	logins := postgres.Logins{Library: d.dsn, App: d.appDSN}
	opened, err := postgres.Open(ctx, logins, schema, &keyring.Ring{}, &audit.Log{},
		&postgres.Options{SetupOptions: postgres.SetupOptions{Migrations: d.app}})
	if err == nil {
		d.add("catalogue")
		return opened.Close()
	}
	refused, ok := errors.AsType[*postgres.RefusedError](err)
	if !ok {
		return err
	}
	var found []fault
	for _, f := range refused.Findings {
		if !strings.Contains(f.What, "public."+placeholders.Name()) {
			found = append(found, fault{f.What, f.Mend})
		}
	}
	d.add("catalogue", found...)
	return nil
}

// tablesOf declares the tables that look like tenants' own, so that the engine
// checks their policies too. Their other columns are the application's to check
// when it opens the database.
func tablesOf(ctx context.Context, db *sql.DB) (tenancy.Schema, error) {
	rows, err := db.QueryContext(ctx, `SELECT n.nspname || '.' || c.relname
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
		AND n.nspname NOT IN ('art32', 'art32_keys', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_%'
		AND 2 = (SELECT count(*) FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = c.oid AND a.attname IN ('id', 'tenant_id') AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	schema := tenancy.Schema{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if t, err := tenancy.NewRepository[placeholder](name); err == nil { // else no name that an application can declare
			schema = append(schema, t)
		}
	}
	if len(schema) == 0 {
		schema = append(schema, placeholders)
	}
	return slices.Clip(schema), rows.Err()
}
