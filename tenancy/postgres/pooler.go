package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolerMode is how a DSN says that a pooler is in between.
const poolerMode = "default_query_exec_mode=exec"

// pooled reports whether a pooler may be in between: the login wants no names for
// its statements.
func pooled(c *pgx.ConnConfig) bool { return c.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement }

// direct refuses a pooler that a login does not tell of.
func (c Configs) direct(ctx context.Context) error {
	var found []Finding
	for i, login := range c.all() {
		more, err := pooler(ctx, []string{"library", "app", "across"}[i], login)
		if err != nil {
			return err
		}
		found = append(found, more...)
	}
	return refuse(found, nil)
}

func refuse(found []Finding, err error) error {
	if err == nil && len(found) > 0 {
		err = &RefusedError{Findings: found}
	}
	return err
}

// pooler finds a pooler that the login does not tell of. The number of a process
// that comes with a connection is the pooler's, and not that of the process that
// answers.
func pooler(ctx context.Context, login string, c *pgxpool.Config) ([]Finding, error) {
	if c.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeExec {
		return nil, nil
	}
	config := c.ConnConfig.Copy()
	err := c.BeforeConnect(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", unreachable(err))
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: open: %w", unreachable(err))
	}
	defer conn.Close(ctx)
	res := conn.PgConn().ExecParams(ctx, "SELECT pg_catalog.pg_backend_pid()", nil, nil, nil, nil).Read()
	if res.Err != nil {
		return nil, fmt.Errorf("postgres: open: look for a pooler: %w", translate(res.Err, false))
	}
	if string(res.Rows[0][0]) == strconv.FormatUint(uint64(conn.PgConn().PID()), 10) {
		return nil, nil
	}
	return []Finding{{
		What: login + " login: a pooler stands before the server, which would meet names of statements that others have given",
		Mend: "add " + poolerMode + " to its DSN, or set QueryExecModeExec in its configuration",
	}}, nil
}
