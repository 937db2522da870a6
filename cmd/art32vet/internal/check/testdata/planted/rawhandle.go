// Package planted holds every fault that art32vet finds.
package planted

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
)

func handles(ctx context.Context, dsn string) {
	sql.Open("pgx", dsn)                 // want `sql.Open opens a database past art32: open it with tenancy/postgres or tenancy/sqlite`
	sqlx.Open("pgx", dsn)                // want `sqlx.Open opens`
	sqlx.Connect("pgx", dsn)             // want `sqlx.Connect opens`
	sqlx.ConnectContext(ctx, "pgx", dsn) // want `sqlx.ConnectContext opens`
	sqlx.MustConnect("pgx", dsn)         // want `sqlx.MustConnect opens`
	sqlx.NewDb(nil, "pgx")               // want `sqlx.NewDb opens`
	pgx.Connect(ctx, dsn)                // want `pgx.Connect opens`
	pgx.ConnectConfig(ctx, nil)          // want `pgx.ConnectConfig opens`
	pgxpool.New(ctx, dsn)                // want `pgxpool.New opens`
	pgxpool.NewWithConfig(ctx, nil)      // want `pgxpool.NewWithConfig opens`
	sql.OpenDB(stdlib.GetConnector(      // want `sql.OpenDB opens`
		pgx.ConnConfig{}))
	stdlib.OpenDB(pgx.ConnConfig{}) // want `stdlib.OpenDB opens`
	stdlib.OpenDBFromPool(nil)      // want `stdlib.OpenDBFromPool opens`
}

func drivers(ctx context.Context, db *sql.DB, c driver.Connector, d driver.DriverContext, dsn string) {
	db.Driver().Open(dsn) // want `driver.Open opens a database past art32`
	c.Connect(ctx)        // want `driver.Connect opens`
	d.OpenConnector(dsn)  // want `driver.OpenConnector opens`
	_ = driver.ErrBadConn
}

// The function need not be called where it is named.
var open = sql.Open // want `sql.Open opens`

func excused(dsn string) {
	//art32:allow rawhandle // want `excuses nothing without a reason`
	sql.Open("pgx", dsn) // want `sql.Open opens`

	//art32:allow outerctx another analyzer's excuse
	sql.Open("pgx", dsn) // want `sql.Open opens`

	//art32:allow rawhandle too far away

	sql.Open("pgx", dsn) // want `sql.Open opens`
}
