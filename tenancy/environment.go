package tenancy

import (
	"context"
	"fmt"
	"regexp"

	"github.com/art32/art32/internal/engine"
)

// Production is the environment of a database that was stamped so, and of each
// that was not stamped: what must not run there does not run by oversight.
const Production = "production"

// environmentName is the form of a stamp.
var environmentName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// CheckEnvironment refuses what is no name of an environment: 1 to 31 lower-case
// letters, digits and hyphens, a letter first.
func CheckEnvironment(name string) error {
	if !environmentName.MatchString(name) {
		return fmt.Errorf("tenancy: environment: the name must be 1 to 31 lower-case letters, digits and hyphens, a letter first: %w", ErrBadValue)
	}
	return nil
}

// Environment is what the database was stamped as when it was set up, by the
// Options.Environment of an engine package or art32 init: [Production] where it
// was not. The stamp travels in backups: a copy of production counts as such.
func (db *DB) Environment(ctx context.Context) (string, error) {
	return EnvironmentOf(ctx, db.eng)
}

// EnvironmentOf is [DB.Environment] for programs that only read.
func EnvironmentOf(ctx context.Context, e engine.Engine) (string, error) {
	tx, err := e.Begin(ctx, engine.Scope{})
	if err != nil {
		return "", wrap("begin", "transaction", err)
	}
	name := Production
	_, err = tx.Run(ctx, engine.Stmt{SQL: "SELECT name FROM " + engine.Table(e.Dialect(), "environment") + " WHERE one = 1"},
		engine.Commit, func(r engine.Row) error { return r.Scan(&name) })
	return name, wrap("read", "environment of the database", err)
}
