// Package insist changes what belongs to a whole PostgreSQL server, such as roles
// and their rights, beside others who do the same.
package insist

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// On repeats do, which must do all of its work or none, while it collides with
// another session: up to 50 times, 20 ms apart.
func On(ctx context.Context, do func() error) error {
	const attempts, pause = 50, 20 * time.Millisecond
	for n := 1; ; n++ {
		err := do()
		if !collided(err) || n == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// collided reports whether two sessions changed the same row of the catalogue.
// PostgreSQL has no code of its own for that.
func collided(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(e.Message, "tuple concurrently") ||
		slices.Contains([]string{"40P01", "40001", "23505"}, e.Code))
}
