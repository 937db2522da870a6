package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

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
	if err := d.sealAge(ctx, src.db); err != nil {
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

// sealAge looks at how old the key of the sealed context is.
func (d *doctor) sealAge(ctx context.Context, db *sql.DB) error {
	var created time.Time
	err := db.QueryRowContext(ctx, "SELECT created_at FROM art32.seal_keys ORDER BY id DESC LIMIT 1").Scan(&created)
	if errors.Is(err, sql.ErrNoRows) {
		d.add("TOM-8.1", "key of the seal", bad("there is none", "art32 init --new-passwords, with the owner's login, makes one"))
		return nil
	}
	if err != nil {
		return fromServer(err)
	}
	var faults []fault
	if time.Since(created) > d.keyAge {
		faults = append(faults, bad("it seals since "+created.UTC().Format(time.DateOnly)+", for longer than --key-age", "art32 seal rotate"))
	}
	d.add("TOM-8.1", "key of the seal", faults...)
	return nil
}
