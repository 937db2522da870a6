package adopting

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// region watch

// OpenWatched opens the shop's own pool, which logs what protection would hide.
func OpenWatched(dsn string, log *slog.Logger) (*Shop, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.OnNotice = postgres.OnReport(func(r postgres.Report) {
		log.Warn(r.Message, slog.String("statement", r.Statement))
	}, nil)
	return &Shop{DB: sqlx.NewDb(stdlib.OpenDB(*config), "pgx")}, nil
}

// endregion

// region tenants

// CreateTenants makes each firm of the shop a tenant, under the id that its rows
// have. It may be repeated.
func CreateTenants(ctx context.Context, db *tenancy.DB, old *sqlx.DB) error {
	var firms []struct {
		ID   uuid.UUID `db:"id"`
		Name string    `db:"name"`
	}
	if err := old.SelectContext(ctx, &firms, `SELECT id, name FROM firms`); err != nil {
		return err
	}
	for _, f := range firms {
		_, err := db.CreateTenant(ctx, tenancy.Tenant{ID: tenancy.ID(f.ID), Name: f.Name})
		if err != nil && !errors.Is(err, tenancy.ErrExists) {
			return err
		}
	}
	return nil
}

// endregion

// region declare

// Customer is one row of table customers.
type Customer struct {
	ID      uuid.UUID               `db:"id"        art32:"key,subject"` // the row is the person
	Tenant  tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email   field.Encrypted[string] `db:"email"     art32:"unique=email_bidx:email,plaintext=2027-06-30"`
	Plan    string                  `db:"plan"      art32:"open"`
	Carried bool                    `db:"carried"   art32:"open"` // its row was written since Email is encrypted
}

// Ticket is one row of table tickets.
type Ticket struct {
	ID       uuid.UUID  `db:"id"          art32:"key"` // the columns as they were
	Tenant   tenancy.ID `db:"tenant_id"   art32:"tenant"`
	Customer uuid.UUID  `db:"customer_id" art32:"subject"`
	Title    string     `db:"title"       art32:"personal"`
	Open     bool       `db:"open"        art32:"open"`
}

// The tables, and columns by which rows are found.
var (
	Customers     = tenancy.MustRepository[Customer]("customers")
	CustomerEmail = tenancy.MustColumn[string](Customers, "email")
	carried       = tenancy.MustColumn[bool](Customers, "carried")
	Tickets       = tenancy.MustRepository[Ticket]("tickets")
	TicketTitle   = tenancy.MustColumn[string](Tickets, "title")
	ticketOpen    = tenancy.MustColumn[bool](Tickets, "open")
	Schema        = tenancy.Schema{Customers, Tickets}
)

// endregion

// region seal

// Seal makes a key for each customer of the tenant of ctx, without which their rows
// are not read, and writes each row once, which encrypts what lies in clear. It may
// be repeated.
func Seal(ctx context.Context, db *tenancy.DB, keys *keyring.Ring) (n int, err error) {
	tenant, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return 0, err
	}
	var people []uuid.UUID
	err = db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().SelectContext(ctx, &people, `SELECT id FROM customers WHERE NOT carried`)
	})
	if err != nil {
		return 0, err
	}
	if _, err := keys.CreateCiphers(ctx, tenant.UUID(), people); err != nil {
		return 0, err
	}
	return Customers.EditAll(ctx, db, func(c *Customer) error {
		c.Carried = true
		return nil
	}, carried.Eq(false))
}

// endregion

// region titles

// Titles lists the open tickets of the tenant of ctx.
func Titles(ctx context.Context, db *tenancy.DB) (titles []string, err error) {
	for t, err := range Tickets.List(ctx, db, ticketOpen.Eq(true), TicketTitle.Asc()) {
		if err != nil {
			return nil, err
		}
		titles = append(titles, t.Title)
	}
	return titles, nil
}

// Search is the old statement to the letter, but for its predicate: the database
// confines it to the tenant of ctx.
func Search(ctx context.Context, db *tenancy.DB, a, b string) (titles []string, err error) {
	err = db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().SelectContext(ctx, &titles,
			`SELECT title FROM tickets WHERE title LIKE $1 OR title LIKE $2 ORDER BY title`, a, b)
	})
	return titles, err
}

// endregion
