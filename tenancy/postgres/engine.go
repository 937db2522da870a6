package postgres

import (
	"context"
	"database/sql"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// pgEngine is the engine: a pool per login.
type pgEngine struct {
	library  *pgxpool.Pool
	platform *sql.DB // the library login, for leases and the outbox
	app      *sqlx.DB
	across   *pgxpool.Pool // nil without such a login
	// configs are those that all were opened with.
	configs Configs
	seals   *seals
}

var _ engine.Engine = (*pgEngine)(nil)

func (e *pgEngine) Dialect() migrate.Dialect { return migrate.Postgres }

func (e *pgEngine) Begin(_ context.Context, s engine.Scope) (engine.Tx, error) {
	if s.Access == uuid.Nil {
		return &libraryTx{pool: e.library, pooled: pooled(e.configs.Library.ConnConfig), scope: s}, nil
	}
	if e.across == nil {
		return nil, &engine.Error{Kind: engine.Forbidden, Text: "Open was given no login that reads over tenants (Logins.Across)"}
	}
	return &libraryTx{pool: e.across, pooled: pooled(e.configs.Across.ConnConfig), scope: s}, nil
}

func (e *pgEngine) Platform() *sql.DB { return e.platform }

func (e *pgEngine) Close() error {
	err := e.app.Close()
	if perr := e.platform.Close(); err == nil {
		err = perr
	}
	e.library.Close()
	if e.across != nil {
		e.across.Close()
	}
	return err
}
