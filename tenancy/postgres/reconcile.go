package postgres

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// reconcile makes sure that the keystore is not older than the data.
func (e *pgEngine) reconcile(ctx context.Context, db *tenancy.DB, logger *slog.Logger) error {
	if logger == nil {
		logger = slog.Default()
	}
	n, err := db.Reconcile(ctx, e.erasures, engine.Library)
	if n > 0 {
		logger.WarnContext(ctx, "postgres: the keystore was older than the data: keys of erased people were destroyed again", slog.Int("keys", n))
	}
	return err
}

// The erasures of people and of tenants, the newest first; $1 is how many at
// most, or NULL.
const (
	erasedSubjects = "SELECT tenant::text, subject::text, code FROM art32.erasures($1)"
	erasedTenants  = "SELECT id::text, '00000000-0000-0000-0000-000000000000', erasure_code FROM art32.tenants WHERE erased_no IS NOT NULL" +
		" AND ($1::bigint IS NULL OR erased_no = (SELECT max(erased_no) FROM art32.tenants)) ORDER BY erased_no DESC"
)

// erasures implements [engine.Erasures].
func (e *pgEngine) erasures(ctx context.Context, most int) (all []engine.Erased, err error) {
	var limit any
	if most > 0 {
		limit = int64(most)
	}
	for _, query := range []string{erasedSubjects, erasedTenants} {
		more, err := e.readErasures(ctx, query, limit)
		if err != nil {
			return nil, fmt.Errorf("postgres: read erasures: %w", translate(err, false))
		}
		all = append(all, more...)
	}
	return all, nil
}

func (e *pgEngine) readErasures(ctx context.Context, query string, limit any) (all []engine.Erased, err error) {
	rows, err := e.platform.QueryContext(ctx, query, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x engine.Erased
		if err := rows.Scan(&x.Tenant, &x.Subject, &x.Code); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, rows.Err()
}
