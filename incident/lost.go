package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// CreationTracer is a [Tracer] that knows from the platform's log which tenants
// there must be; *audit.Log is one. Without it a tenant whose row was deleted is in
// no case, unless a file of it is left.
type CreationTracer interface {
	// CreatedTenants lists the tenants whose creation the platform's log tells.
	// Where that log is damaged, it returns what is left beside an error that is
	// tenancy.ErrDamagedLog.
	CreatedTenants(ctx context.Context, db *tenancy.DB) ([]tenancy.ID, error)
}

// errRowGone is why a tenant that nobody can open stays a task.
var errRowGone = fmt.Errorf("incident: the row of a tenant that was created is gone: %w", tenancy.ErrUnknownTenant)

// lost are tenants that the list leaves out: their creation stands in the
// platform's log, or a file of them is there. Whoever may delete a tenant's row
// would else clear it. An error beside them says that there may be more.
func (d *Desk) lost(ctx context.Context, listed []tenancy.Tenant) (ids []tenancy.ID, err error) {
	told, notTold := d.created(ctx, listed)
	held, notHeld := d.held(ctx)
	now, err := d.db.Tenants(ctx) // after the others: tenants are created meanwhile
	if err != nil {
		return nil, wrap("list tenants", err)
	}
	seen := make(map[tenancy.ID]bool, len(now))
	for _, t := range now {
		seen[t.ID] = true
	}
	for _, id := range slices.Concat(told, held) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, errors.Join(notTold, notHeld)
}

// created are those that the platform's log tells of, who must be all that are
// listed.
func (d *Desk) created(ctx context.Context, listed []tenancy.Tenant) ([]tenancy.ID, error) {
	log, ok := d.trail.(CreationTracer)
	if !ok {
		return nil, nil
	}
	ids, damage := log.CreatedTenants(platform(ctx), d.db)
	known := make(map[tenancy.ID]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	if damage == nil && slices.ContainsFunc(listed, func(t tenancy.Tenant) bool { return !known[t.ID] }) {
		damage = fmt.Errorf("%w: it does not tell of the creation of a tenant that is listed", tenancy.ErrDamagedLog)
	}
	return ids, wrap("trace the platform", damage)
}

// held are those who have a file.
func (d *Desk) held(ctx context.Context) (ids []tenancy.ID, err error) {
	e, ok := d.db.Engine(engine.Library).(engine.Holder)
	if !ok {
		return nil, nil
	}
	found, err := e.Held(ctx)
	for _, id := range found {
		ids = append(ids, tenancy.ID(id))
	}
	return ids, wrap("look for files", err)
}

func isListed(all []tenancy.Tenant, id tenancy.ID) bool {
	return slices.ContainsFunc(all, func(t tenancy.Tenant) bool { return t.ID == id })
}
