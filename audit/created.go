package audit

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// actionCreate is the entry in the platform's log with which a tenant begins.
const actionCreate = "tenant.create"

// CreatedTenants lists the tenants whose creation the platform's log tells, in the
// order in which they were written, those included that the sealer has not sealed,
// or rejected: who deletes a tenant's row wants to be believed. It needs no key.
// Where the log is damaged, as far as [Log.Trace] would see it, or names no tenant
// that it can read, they come beside [tenancy.ErrDamagedLog].
func (l *Log) CreatedTenants(ctx context.Context, db *tenancy.DB) ([]tenancy.ID, error) {
	if db == nil {
		return nil, errors.New("audit: created tenants: database must not be nil")
	}
	var all []tenancy.ID
	var odd error
	seen := make(map[tenancy.ID]bool)
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, uuid.Nil, engine.Stmt{
		SQL: "SELECT COALESCE(CAST(e.object AS TEXT), '') FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.action = '" + actionCreate + "' ORDER BY e.seq",
		Args: []any{uuid.Nil},
	}, func(r engine.Row) error {
		var object string
		if err := r.Scan(&object); err != nil {
			return err
		}
		switch id := tenancy.ID(parseID(object)); {
		case id.IsZero():
			odd = torn("a creation names no tenant")
		case !seen[id]:
			seen[id] = true
			all = append(all, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	damage := groundOf(ctx, db, uuid.Nil, &tenancy.Trace{})
	switch {
	case damage == nil:
		return all, odd
	case !errors.Is(damage, tenancy.ErrDamagedLog):
		return nil, damage
	}
	return all, damage
}
