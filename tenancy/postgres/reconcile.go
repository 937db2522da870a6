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

// The erasures of people, and of tenants.
const (
	erasedSubjects = "SELECT tenant::text, subject::text, code FROM art32.erasures()"
	erasedTenants  = "SELECT id::text, '00000000-0000-0000-0000-000000000000', erasure_code FROM art32.tenants WHERE erased_at IS NOT NULL"
)

// erasures implements [engine.Erasures].
func (e *pgEngine) erasures(ctx context.Context, each func(engine.Erased) error) error {
	for _, query := range []string{erasedSubjects, erasedTenants} {
		if err := e.eachErased(ctx, query, each); err != nil {
			return err
		}
	}
	return nil
}

func (e *pgEngine) eachErased(ctx context.Context, query string, each func(engine.Erased) error) error {
	failed := func(err error) error { return fmt.Errorf("postgres: read erasures: %w", translate(err, false)) }
	rows, err := e.platform.QueryContext(ctx, query)
	if err != nil {
		return failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x engine.Erased
		if err := rows.Scan(&x.Tenant, &x.Subject, &x.Code); err != nil {
			return failed(err)
		}
		if err := each(x); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return failed(err)
	}
	return nil
}
