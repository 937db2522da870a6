package main

import (
	"cmp"
	"context"
	"os"

	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// resolveLogins takes from the environment what no flag gives.
func (d *doctor) resolveLogins() error {
	if d.appDSN = cmp.Or(d.appDSN, os.Getenv(envApp)); d.appDSN == "" {
		return usagef("--app-dsn URL (or $%s) is required beside --dsn", envApp)
	}
	if d.acrossDSN = cmp.Or(d.acrossDSN, os.Getenv(envAcross)); d.acrossDSN != "" {
		if err := checkDSN("--across-dsn", d.acrossDSN); err != nil {
			return err
		}
	}
	return checkDSN("--app-dsn", d.appDSN)
}

// database looks at a PostgreSQL database.
func (d *doctor) database(ctx context.Context) error {
	if !d.channel() {
		return nil
	}
	if foreign, err := d.look(ctx); err != nil || foreign {
		return err
	}
	if err := d.resolveLogins(); err != nil {
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
	held, err := applied(ctx, src.db, migrate.Postgres)
	if err != nil {
		return fromServer(err)
	}
	if err := d.catalogue(ctx, begun(packageLines(), held)); err != nil {
		return err
	}
	store := seen(src.db, migrate.Postgres)
	if d.key != "" {
		d.root(ctx, store)
	}
	d.ages(ctx, store)
	d.logs(ctx, src)
	d.packages(ctx, src)
	return ctx.Err()
}

// catalogue asks the engine for what it refuses to open.
func (d *doctor) catalogue(ctx context.Context, lines []tenancy.Line) error {
	o := postgres.SetupOptions{Migrations: d.app, Lines: lines}
	findings, err := postgres.Inspect(ctx, postgres.Logins{Library: d.dsn, App: d.appDSN, Across: d.acrossDSN}, nil, &o)
	if err != nil {
		return err
	}
	faults := make([]fault, len(findings))
	for i, f := range findings {
		faults[i] = bad(f.What, f.Mend)
	}
	d.add("TOM-8.1", "catalogue", faults...)
	return nil
}
