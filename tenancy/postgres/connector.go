package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/art32/art32/internal/engine"
)

// connector opens connections for callers' text. It is a driver of our own, so
// that begin, context and the first statement travel together, and so that no
// statement runs outside a sealed transaction.
type connector struct {
	config *pgxpool.Config
	seals  *seals
}

var _ driver.Connector = (*connector)(nil)

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config.ConnConfig.Copy()
	if err := c.config.BeforeConnect(ctx, config); err != nil {
		return nil, unreachable(err)
	}
	w := &wire{pooled: pooled(config)}
	config.OnNotice = w.noticed(config.OnNotice)
	var err error
	if w.pg, err = pgconn.ConnectConfig(ctx, &config.Config); err != nil {
		return nil, unreachable(err)
	}
	return &appConn{wire: w, seals: c.seals}, nil
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return noDriver{} }

type noDriver struct{}

func (noDriver) Open(string) (driver.Conn, error) {
	return nil, &engine.Error{Kind: engine.Forbidden, Text: "open with postgres.Open"}
}
