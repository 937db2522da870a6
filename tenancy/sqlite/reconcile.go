package sqlite

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// reconcileWith makes sure that the keystore is not older than the data: at once
// for what the platform's file says, and for a tenant's file when it is first
// opened.
func (d *database) reconcileWith(ctx context.Context, db *tenancy.DB) error {
	d.reconcile = func(ctx context.Context, of engine.Erasures) error {
		n, err := db.Reconcile(ctx, of, engine.Library)
		if n > 0 {
			d.o.Logger.WarnContext(ctx, "sqlite: the keystore was older than the data: keys of erased people were destroyed again", slog.Int("keys", n))
		}
		return err
	}
	return d.reconcile(ctx, d.erasedTenants)
}

// erasedTenants implements [engine.Erasures] for tenants.
func (d *database) erasedTenants(ctx context.Context, each func(engine.Erased) error) error {
	text := `SELECT id, erasure_code FROM art32_tenants WHERE erased_at IS NOT NULL`
	return d.platform.query(ctx, engine.Stmt{SQL: text}, func(r engine.Row) error {
		var e engine.Erased
		if err := r.Scan(&e.Tenant, &e.Code); err != nil {
			return err
		}
		return each(e)
	})
}

// reconcileFile does so for a tenant's file, once in the life of a process: a
// keystore does not grow older while it is open.
func (d *database) reconcileFile(ctx context.Context, f *file, tenant uuid.UUID) error {
	if d.reconcile == nil {
		return nil
	}
	if _, done := d.reconciled.Load(tenant); done {
		return nil
	}
	err := d.reconcile(ctx, func(ctx context.Context, each func(engine.Erased) error) error {
		return f.query(ctx, engine.Stmt{SQL: `SELECT subject, code FROM art32_erased`}, func(r engine.Row) error {
			e := engine.Erased{Tenant: tenant}
			if err := r.Scan(&e.Subject, &e.Code); err != nil {
				return err
			}
			return each(e)
		})
	})
	if err == nil {
		d.reconciled.Store(tenant, struct{}{})
	}
	return err
}
