// Package adopting is an application that keeps its tenants apart by a predicate in
// each statement, and how it is carried over to art32: docs/adopting.md tells the
// way, its test goes it.
package adopting

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// region shop

// Shop is the application as it was.
type Shop struct {
	DB *sqlx.DB // a pool of its own, with its own login
}

// Titles lists the open tickets of a tenant.
func (s *Shop) Titles(ctx context.Context, tenant uuid.UUID) (titles []string, err error) {
	err = s.DB.SelectContext(ctx, &titles, `SELECT title FROM tickets WHERE open AND tenant_id = $1 ORDER BY title`, tenant)
	return titles, err
}

// Search finds tickets of a tenant by their titles.
func (s *Shop) Search(ctx context.Context, tenant uuid.UUID, a, b string) (titles []string, err error) {
	err = s.DB.SelectContext(ctx, &titles,
		`SELECT title FROM tickets WHERE tenant_id = $1 AND title LIKE $2 OR title LIKE $3 ORDER BY title`, tenant, a, b)
	return titles, err
}

// endregion

// Ticket is the title of one ticket of a tenant.
func (s *Shop) Ticket(ctx context.Context, tenant, id uuid.UUID) (title string, err error) {
	// region claim
	tx, err := s.DB.BeginTxx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback() //nolint:errcheck // it was read only
	if _, err := tx.ExecContext(ctx, `SELECT set_config('art32.tenant', $1, true)`, tenant.String()); err != nil {
		return "", err
	}
	err = tx.GetContext(ctx, &title, `SELECT title FROM tickets WHERE id = $1`, id)
	// endregion
	return title, err
}
