package adopting

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

//go:embed migrations/sqlite/*.sql
var files embed.FS

// Migrations are those of the tenants' files.
func Migrations() (fs.FS, error) { return fs.Sub(files, "migrations/sqlite") }

// region import

// Import takes the rows of all tenants from one SQLite file, old, into the file of
// each. A tenant that has customers already is left alone, so that it may be
// repeated after a crash.
func Import(ctx context.Context, db *tenancy.DB, old *sqlx.DB) error {
	if err := CreateTenants(ctx, db, old); err != nil {
		return err
	}
	var tenants []uuid.UUID
	if err := old.SelectContext(ctx, &tenants, `SELECT id FROM firms`); err != nil {
		return err
	}
	for _, id := range tenants {
		if err := importTenant(tenancy.WithTenant(ctx, tenancy.ID(id)), db, old, id); err != nil {
			return err
		}
	}
	return nil
}

// importTenant writes all rows of a tenant in one transaction, with an event each.
func importTenant(ctx context.Context, db *tenancy.DB, old *sqlx.DB, id uuid.UUID) error {
	var customers []struct {
		ID    uuid.UUID `db:"id"`
		Email string    `db:"email"`
		Plan  string    `db:"plan"`
	}
	var tickets []Ticket
	err := errors.Join(
		old.SelectContext(ctx, &customers, `SELECT id, email, plan FROM customers WHERE tenant_id = $1`, id),
		old.SelectContext(ctx, &tickets, `SELECT id, customer_id, title, open FROM tickets WHERE tenant_id = $1`, id))
	if err != nil {
		return err
	}
	rows := make([]Customer, len(customers))
	for i, c := range customers {
		rows[i] = Customer{ID: c.ID, Email: field.New(c.Email), Plan: c.Plan, Carried: true}
	}
	return db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		if n, err := Customers.Count(ctx, tx); err != nil || n > 0 {
			return err
		}
		if err := Customers.InsertAll(ctx, tx, rows); err != nil {
			return err
		}
		return Tickets.InsertAll(ctx, tx, tickets)
	})
}

// endregion
