package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// Options adjusts [Open]. Nil and zero fields mean the defaults.
type Options struct {
	// SetupOptions are those given to [Setup]: Open refuses while one of their
	// migrations is pending. The lines of the log need no mention here.
	SetupOptions

	// Ledger is told of each erasure before it begins, so that a backup that is
	// restored later can be brought to the same state. Default: none.
	Ledger tenancy.ErasureLedger

	// MaxConns bounds each of the pools, one for a login. Default: what the DSNs or
	// [Configs] say, else one per processor, at least 4.
	MaxConns int

	// Unsafe names the weaknesses of the database that the caller accepts; each
	// that is there is logged once at start. Where the owner's login is no
	// superuser, Open refuses without it. Default: none.
	Unsafe []Weakness

	// Unrecorded says what becomes of rows that callers' SQL writes and of which the
	// caller records no event. Default: tenancy.RecordUnrecorded.
	Unrecorded tenancy.Unrecorded

	// Logger receives what an operator must read once. Default: slog.Default().
	Logger *slog.Logger
}

// Open opens a database that [Setup] prepared. It refuses with a
// [*RefusedError], which lists all that is wrong and how to mend it, while the
// database would not keep tenants apart. Where the keystore is an older copy, in
// which people who were erased since still have keys, it destroys those again.
func Open(
	ctx context.Context, logins Logins, schema tenancy.Schema, keys *keyring.Ring, log tenancy.ChangeRecorder, o *Options,
) (*tenancy.DB, error) {
	c, err := logins.Configs()
	if err != nil {
		return nil, err
	}
	return OpenConfigs(ctx, c, schema, keys, log, o)
}

// OpenConfigs is [Open] with what a DSN cannot say. It copies c.
func OpenConfigs(
	ctx context.Context, c Configs, schema tenancy.Schema, keys *keyring.Ring, log tenancy.ChangeRecorder, o *Options,
) (*tenancy.DB, error) {
	if o == nil {
		o = &Options{}
	}
	if err := known(o.Unsafe); err != nil {
		return nil, err
	}
	e, err := connect(ctx, c, o)
	if err != nil {
		return nil, err
	}
	db, err := tenancy.New(e, schema, keys, log, o.Ledger)
	if err == nil {
		err = db.OnUnrecorded(engine.Library, o.Unrecorded)
	}
	if err == nil {
		err = e.inspect(ctx, schema, o.lines(log), o)
	}
	if err == nil {
		err = inEnvironment(ctx, db, o.Environment)
	}
	if err == nil {
		_, err = e.seals.load(ctx)
	}
	if err == nil {
		err = db.Fits(ctx, engine.Library)
	}
	if err == nil {
		err = db.Declare(ctx, engine.Library)
	}
	if err == nil {
		err = e.reconcile(ctx, db, o.Logger)
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return db, nil
}

// connect makes the pools of the logins.
func connect(ctx context.Context, c Configs, o *Options) (*pgEngine, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	if err := c.direct(ctx); err != nil {
		return nil, err
	}
	if o.MaxConns > 0 {
		for _, login := range c.all() {
			login.MaxConns = int32(min(o.MaxConns, 1<<15))
		}
	}
	e := &pgEngine{configs: c}
	if e.library, err = pgxpool.NewWithConfig(ctx, c.Library); err != nil {
		return nil, fmt.Errorf("postgres: open: %w", unreachable(err))
	}
	if c.Across != nil {
		if e.across, err = pgxpool.NewWithConfig(ctx, c.Across); err != nil {
			e.library.Close()
			return nil, fmt.Errorf("postgres: open: %w", unreachable(err))
		}
	}
	e.platform = stdlib.OpenDBFromPool(e.library)
	e.seals = newSeals(e.platform, sealAge)
	app := sql.OpenDB(&connector{config: c.App, seals: e.seals})
	app.SetMaxOpenConns(int(c.App.MaxConns))
	app.SetMaxIdleConns(int(c.App.MaxConns))
	app.SetConnMaxLifetime(c.App.MaxConnLifetime)
	app.SetConnMaxIdleTime(c.App.MaxConnIdleTime)
	e.app = sqlx.NewDb(app, "pgx")
	return e, nil
}

// pending lists the migrations that were not applied yet.
func (e *pgEngine) pending(ctx context.Context, lines []tenancy.Line) ([]Finding, error) {
	var out []Finding
	files, err := migrate.Pending(ctx, e.platform, migrate.Postgres, lines...)
	if err, _ := outward(err); err != nil {
		return nil, fmt.Errorf("postgres: open: migrations: %w", err)
	}
	for _, f := range files {
		out = append(out, Finding{
			What: fmt.Sprintf("migration %s/%s is pending", f.Line, f.Name),
			Mend: "run art32 migrate, or postgres.Migrate, with the owner's login",
		})
	}
	return out, nil
}
