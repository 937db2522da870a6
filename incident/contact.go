package incident

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// SetContact says who is told at the context's tenant from now on, also of
// notices that are under way. That the contact was verified now is for the caller
// to have seen to. It needs an actor, and returns [ErrReport] for a contact that
// is not valid.
func (d *Desk) SetContact(ctx context.Context, c Contact) error {
	tenant, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return fmt.Errorf("incident: %w", err)
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := alone(ctx); err != nil {
		return err
	}
	body, err := d.seal(ctx, tenant, "incident_contacts", tenant.UUID(), storedContact(c))
	if err != nil {
		return err
	}
	if err := d.recorder.Record(ctx, "incident.contact"); err != nil {
		return wrap("record", err)
	}
	return d.inTx(ctx, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL: "INSERT INTO " + d.table("incident_contacts") + " (tenant_id, body, verified_at) VALUES ($1, $2, $3)" +
				" ON CONFLICT (tenant_id) DO UPDATE SET body = excluded.body, verified_at = excluded.verified_at",
			Args: []any{tenant.UUID(), body, now().UnixMicro()},
		})
		return nil
	})
}

// storedContact is a contact in the form that is encrypted, which shows itself.
type storedContact Contact

// contacts are the tenants that have a contact.
func (d *Desk) contacts(ctx context.Context) (map[tenancy.ID]bool, error) {
	out := make(map[tenancy.ID]bool)
	err := d.read(ctx, engine.Stmt{SQL: "SELECT tenant_id FROM " + d.table("incident_contacts")}, func(r engine.Row) error {
		var id uuid.UUID
		err := r.Scan(&id)
		out[tenancy.ID(id)] = true
		return err
	})
	return out, err
}
