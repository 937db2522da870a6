package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/pglogin"
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

	// MaxConns bounds each of the pools, one for a login. Default: 4 per processor, as
	// pgxpool counts, at least 4.
	MaxConns int

	// Unsafe names the weaknesses of the database that the caller accepts; each
	// that is there is logged once at start. Where the owner's login is no
	// superuser, Open refuses without it. Default: none.
	Unsafe []Weakness

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
	if o == nil {
		o = &Options{}
	}
	if err := known(o.Unsafe); err != nil {
		return nil, err
	}
	e, err := connect(ctx, logins, o)
	if err != nil {
		return nil, err
	}
	db, err := tenancy.New(e, schema, keys, log, o.Ledger)
	if err == nil {
		err = e.inspect(ctx, schema, o.lines(log), o)
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
func connect(ctx context.Context, logins Logins, o *Options) (*pgEngine, error) {
	app, err := pgx.ParseConfig(logins.App)
	if err != nil {
		return nil, errors.New("postgres: open: app login: not a valid postgres:// URL")
	}
	if err := verified("app", &app.Config); err != nil {
		return nil, err
	}
	e := &pgEngine{appConfig: app}
	if e.library, err = fixedText(ctx, "library", logins.Library, o); err != nil {
		return nil, err
	}
	if logins.Across != "" {
		if e.across, err = fixedText(ctx, "across", logins.Across, o); err != nil {
			e.library.Close()
			return nil, err
		}
	}
	e.platform = stdlib.OpenDBFromPool(e.library)
	e.seals = &seals{db: e.platform, age: sealAge}
	e.app = sqlx.NewDb(sql.OpenDB(&connector{config: &app.Config, seals: e.seals}), "pgx")
	e.app.SetMaxOpenConns(int(e.library.Config().MaxConns))
	e.app.SetMaxIdleConns(int(e.library.Config().MaxConns))
	return e, nil
}

// fixedText makes the pool of a login that runs text of the library's alone.
func fixedText(ctx context.Context, name, dsn string, o *Options) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("postgres: open: " + name + " login: not a valid postgres:// URL")
	}
	if err := verified(name, &c.ConnConfig.Config); err != nil {
		return nil, err
	}
	if o.MaxConns > 0 {
		c.MaxConns = int32(min(o.MaxConns, 1<<15))
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", unreachable(err))
	}
	return pool, nil
}

// verified refuses a login over a network if one of its servers is not verified
// (TOM-4.1). Sockets and loopback need no TLS.
func verified(name string, c *pgconn.Config) error {
	if !pglogin.Verified(c) {
		return fmt.Errorf("postgres: %s login: the server is reached over a network and not verified: add sslmode=verify-full", name)
	}
	return nil
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
