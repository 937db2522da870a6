package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/internal/pglogin"
)

// Configs are [Logins] as configurations of pgxpool, for what a DSN cannot say:
// passwords that expire, dialers, certificates. [Logins.Configs] makes them of DSNs
// and [ConfigOf] of a *sql.DB. Each must be of pgxpool.ParseConfig, or a copy of one.
type Configs struct {
	// Library is for text that the library wrote; all of it is used.
	Library *pgxpool.Config
	// App is for text that callers wrote. Of it are used ConnConfig, BeforeConnect,
	// MaxConns, MaxConnLifetime and MaxConnIdleTime. A configuration with other
	// hooks is refused, since nothing would call them.
	App *pgxpool.Config
	// Across reads over tenants; nil where [Logins.Across] is empty. All of it is used.
	Across *pgxpool.Config
}

// all are those that there are.
func (c Configs) all() []*pgxpool.Config {
	if c.Across == nil {
		return []*pgxpool.Config{c.Library, c.App}
	}
	return []*pgxpool.Config{c.Library, c.App, c.Across}
}

// Configs parses the DSNs.
func (l Logins) Configs() (c Configs, err error) {
	if c.Library, err = pgxpool.ParseConfig(l.Library); err != nil {
		return Configs{}, errors.New("postgres: open: library login: not a valid postgres:// URL")
	}
	if c.App, err = pgxpool.ParseConfig(l.App); err != nil {
		return Configs{}, errors.New("postgres: open: app login: not a valid postgres:// URL")
	}
	if l.Across == "" {
		return c, nil
	}
	if c.Across, err = pgxpool.ParseConfig(l.Across); err != nil {
		return Configs{}, errors.New("postgres: open: across login: not a valid postgres:// URL")
	}
	return c, nil
}

// ConfigOf tells how a *sql.DB of pgx's driver connects. The pool of db itself is
// not used, since others run their statements on its connections. What db was given
// beside its configuration, such as stdlib.OptionBeforeConnect, is not in it.
func ConfigOf(ctx context.Context, db *sql.DB) (*pgxpool.Config, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres: look at a *sql.DB: %w", unreachable(err))
	}
	defer conn.Close()
	c, err := pgxpool.ParseConfig("postgres://localhost")
	if err != nil {
		return nil, errors.New("postgres: look at a *sql.DB: the environment's PG… variables are not valid")
	}
	err = conn.Raw(func(x any) error {
		pg, ok := x.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("postgres: look at a *sql.DB: its connections are %T, and not those of pgx/v5/stdlib", x)
		}
		c.ConnConfig = pg.Conn().Config()
		return nil
	})
	return c, err
}

// checked copies all and makes sure that they can be used.
func (c Configs) checked() (Configs, error) {
	library, err := verifying("library", c.Library)
	if err != nil {
		return c, err
	}
	app, err := verifying("app", c.App)
	if err == nil {
		err = noHooks("app", app)
	}
	out := Configs{Library: library, App: app}
	if err == nil && c.Across != nil {
		out.Across, err = verifying("across", c.Across)
	}
	return out, err
}

// verifying copies a configuration whose servers are verified, also when its hook has
// changed what is connected to.
func verifying(login string, c *pgxpool.Config) (*pgxpool.Config, error) {
	if c == nil || c.ConnConfig == nil {
		return nil, fmt.Errorf("postgres: %s login: no configuration", login)
	}
	c = c.Copy()
	if err := verified(login, &c.ConnConfig.Config); err != nil {
		return nil, err
	}
	before := c.BeforeConnect
	c.BeforeConnect = func(ctx context.Context, to *pgx.ConnConfig) error {
		if before != nil {
			if err := before(ctx, to); err != nil {
				return err
			}
		}
		return verified(login, &to.Config)
	}
	return c, nil
}

// noHooks refuses hooks that nothing would call.
func noHooks(login string, c *pgxpool.Config) error {
	//nolint:staticcheck // BeforeAcquire is old, and can be set
	if c.AfterConnect != nil || c.BeforeAcquire != nil || c.PrepareConn != nil || c.AfterRelease != nil ||
		c.BeforeClose != nil || c.ShouldPing != nil {
		return fmt.Errorf("postgres: %s login: no hook but BeforeConnect is called", login)
	}
	return nil
}

// plainDB opens a configuration that noHooks let pass.
func plainDB(c *pgxpool.Config) *sql.DB {
	return stdlib.OpenDB(*c.ConnConfig, stdlib.OptionBeforeConnect(c.BeforeConnect))
}

// verified refuses a login over a network if one of its servers is not verified
// (TOM-4.1). Sockets and loopback need no TLS.
func verified(login string, c *pgconn.Config) error {
	if !pglogin.Verified(c) {
		return fmt.Errorf("postgres: %s login: the server is reached over a network and not verified: add sslmode=verify-full", login)
	}
	return nil
}
