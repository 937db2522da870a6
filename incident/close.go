package incident

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// Close ends all tasks of a case: nobody was affected, or all were told another
// way. The context must give an actor and the reason, which the platform's log
// keeps, encrypted. Nothing that is queued is taken back, and [Desk.Notify] opens
// the case again. It returns [ErrNoCase], [ErrNoReason] or tenancy.ErrNoActor.
func (d *Desk) Close(ctx context.Context, id uuid.UUID) error {
	return d.close(ctx, "incident.close", "incident_cases", id, slog.String("case", id.String()))
}

// CloseTenant is [Desk.Close] for the tasks of one tenant, as when its data is
// lost and cannot be counted any more, and it was told by telephone.
func (d *Desk) CloseTenant(ctx context.Context, id uuid.UUID, tenant tenancy.ID) error {
	return d.close(ctx, "incident.close_tenant", "incident_notices", noticeID(id, tenant, firstNotice),
		slog.String("case", id.String()), slog.String("tenant", tenant.String()))
}

func (d *Desk) close(ctx context.Context, action, table string, row uuid.UUID, attrs ...slog.Attr) error {
	if _, err := byPerson(ctx); err != nil {
		return err
	}
	there := false
	err := d.read(ctx, engine.Stmt{SQL: "SELECT id FROM " + d.table(table) + " WHERE id = $1", Args: []any{row}}, func(r engine.Row) error {
		there = true
		var id uuid.UUID
		return r.Scan(&id)
	})
	if err != nil {
		return err
	}
	if !there {
		return ErrNoCase
	}
	if err := d.recorder.Record(platform(ctx), action, attrs...); err != nil {
		return wrap("record", err)
	}
	return d.inTx(ctx, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + d.table(table) + " SET closed_at = $1 WHERE id = $2 AND closed_at IS NULL",
			Args: []any{now().UnixMicro(), row},
		})
		return nil
	})
}
