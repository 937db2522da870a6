package incident

import (
	"context"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// knownTenants are those that a case has a row for.
type knownTenants struct {
	order  []tenancy.ID
	told   map[tenancy.ID]bool // whose notice is written
	closed map[tenancy.ID]bool // whose tasks somebody has closed
}

func (d *Desk) known(ctx context.Context, id uuid.UUID) (*knownTenants, error) {
	k := &knownTenants{told: make(map[tenancy.ID]bool), closed: make(map[tenancy.ID]bool)}
	err := d.read(ctx, engine.Stmt{
		SQL:  "SELECT tenant_id, body IS NOT NULL, closed_at IS NOT NULL FROM " + d.table("incident_notices") + " WHERE case_id = $1 ORDER BY tenant_id",
		Args: []any{id},
	}, func(r engine.Row) error {
		var tenant uuid.UUID
		var told, closed bool
		err := r.Scan(&tenant, &told, &closed)
		k.order = append(k.order, tenancy.ID(tenant))
		k.told[tenancy.ID(tenant)], k.closed[tenancy.ID(tenant)] = told, closed
		return err
	})
	return k, err
}

// deliveryRow is the way of a notice over one channel.
type deliveryRow struct {
	notice  uuid.UUID
	channel string
	round   int64
}

// givenUp are the deliveries of a case that nothing carries any more, and that
// nobody has acknowledged or closed all the same.
func (d *Desk) givenUp(ctx context.Context, id uuid.UUID) ([]deliveryRow, error) {
	var out []deliveryRow
	err := d.read(ctx, engine.Stmt{
		SQL: "SELECT d.notice_id, d.channel, d.round FROM " + d.table("incident_deliveries") + " d JOIN " + d.table("incident_notices") +
			" n ON n.id = d.notice_id WHERE n.case_id = $2 AND " + d.stranded() + " AND n.acknowledged_at IS NULL AND n.closed_at IS NULL ORDER BY d.notice_id, d.channel",
		Args: []any{uuid.Nil, id},
	}, func(r engine.Row) error {
		var x deliveryRow
		err := r.Scan(&x.notice, &x.channel, &x.round)
		out = append(out, x)
		return err
	})
	return out, err
}

// stranded is the condition that delivery d has not arrived and that no message
// in the queue carries it; $1 is the platform. The queue decides and not dead_at:
// a restore holds messages without knowing whose they are.
func (d *Desk) stranded() string {
	return "d.delivered_at IS NULL AND NOT EXISTS (SELECT 1 FROM " + d.table("outbox") +
		" q WHERE q.tenant_id = $1 AND q.id = d.message_id AND q.delivered_at IS NULL AND q.dead_at IS NULL)"
}

// sealedNotice is a notice as it is stored.
type sealedNotice struct {
	notice       Notice
	body         []byte
	acknowledged bool
}

const noticeColumns = "n.id, n.case_id, n.tenant_id, n.number, n.body, n.acknowledged_at IS NOT NULL"

func (s *sealedNotice) dest(tenant *uuid.UUID) []any {
	return []any{&s.notice.ID, &s.notice.Case, tenant, &s.notice.Number, &s.body, &s.acknowledged}
}

// notices are those of a case that are written, in the order of their tenants'
// ids, without contact. One that cannot be read fails for its tenant alone.
func (d *Desk) notices(ctx context.Context, id uuid.UUID, failed *TenantError) ([]Notice, error) {
	rows, err := d.sealed(ctx, engine.Stmt{
		SQL: "SELECT " + noticeColumns + " FROM " + d.table("incident_notices") +
			" n WHERE n.case_id = $1 AND n.body IS NOT NULL ORDER BY n.tenant_id, n.number",
		Args: []any{id},
	})
	if err != nil {
		return nil, err
	}
	var out []Notice
	for _, r := range rows {
		n, err := d.unseal(ctx, r)
		if err != nil {
			failed.add(r.notice.Tenant, err)
			continue
		}
		out = append(out, n)
	}
	return out, nil
}

func (d *Desk) sealed(ctx context.Context, s engine.Stmt) ([]sealedNotice, error) {
	var out []sealedNotice
	err := d.read(ctx, s, func(r engine.Row) error {
		var x sealedNotice
		var tenant uuid.UUID
		err := r.Scan(x.dest(&tenant)...)
		x.notice.Tenant = tenancy.ID(tenant)
		out = append(out, x)
		return err
	})
	return out, err
}

// unseal decrypts the body.
func (d *Desk) unseal(ctx context.Context, s sealedNotice) (Notice, error) {
	n := s.notice
	var b stored
	if err := d.open(ctx, n.Tenant, "incident_notices", n.ID, s.body, &b); err != nil {
		return Notice{}, err
	}
	n.Subject, n.Text, n.JSON, n.Ack = b.Subject, b.Text, b.JSON, b.Ack
	return n, nil
}
