package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	actionHold    = "audit.hold"
	actionRelease = "audit.release"
)

// Hold keeps all that the log of the context's tenant holds from being dropped,
// as for the establishment, exercise or defence of legal claims, until [Release]
// ends it with the id that it returns. Actor and reason stand in the log: without
// them it returns [tenancy.ErrNoActor] or [tenancy.ErrNoReason]. It commits by itself,
// also for a tenant that is closed. A data subject can still be
// erased: whether a claim stands against that is not for the log to decide.
func (l *Log) Hold(ctx context.Context, db *tenancy.DB) (uuid.UUID, error) {
	id := uuid.New()
	err := l.holding(ctx, db, actionHold, id, func(d migrate.Dialect, tenant uuid.UUID) engine.Stmt {
		return engine.Stmt{
			SQL:  "INSERT INTO " + engine.Table(d, "log_holds") + " (tenant_id, id, set_at) VALUES ($1, $2, $3)",
			Args: []any{tenant, id, time.Now().UnixMicro()}, Rows: 1,
		}
	})
	return id, err
}

// Release ends a hold. Without one of that id it returns [tenancy.ErrNotFound].
func (l *Log) Release(ctx context.Context, db *tenancy.DB, hold uuid.UUID) error {
	return l.holding(ctx, db, actionRelease, hold, func(d migrate.Dialect, tenant uuid.UUID) engine.Stmt {
		return engine.Stmt{
			SQL:  "DELETE FROM " + engine.Table(d, "log_holds") + " WHERE tenant_id = $1 AND id = $2",
			Args: []any{tenant, hold}, Rows: 1,
		}
	})
}

// holding changes a hold with its event.
func (l *Log) holding(
	ctx context.Context, db *tenancy.DB, action string, hold uuid.UUID, stmt func(migrate.Dialect, uuid.UUID) engine.Stmt,
) error {
	if tenancy.ReasonFrom(ctx) == "" {
		return fmt.Errorf("%s: %w", action, tenancy.ErrNoReason)
	}
	if tenancy.TxFrom(ctx) != nil {
		return fmt.Errorf("audit: hold: it commits by itself: %w", tenancy.ErrTxInUse)
	}
	id, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return err
	}
	tenant := id.UUID()
	e, err := l.recorded(ctx, tenant, action, nil)
	if err != nil {
		return err
	}
	e.leaf.Object = hold
	scope := engine.Scope{Tenant: tenant, Actor: e.leaf.Actor, Session: e.leaf.Session, Closed: true} // claims outlive a contract
	err = inTx(ctx, db, scope, func(t engine.Tx) error {
		t.Queue(stmt(t.Dialect(), tenant))
		return l.queue(ctx, t, e)
	})
	switch {
	case overtaken(err):
		return fmt.Errorf("audit: hold: %w", tenancy.ErrNotFound)
	case err != nil || !l.classOf(action).Sealed:
		return err
	}
	return l.hold(ctx, db, tenant, e.leaf.Event)
}

// noHold returns a row unless the tenant is held; with rows 1 it fails a transaction
// while it is. A hold stands in the table and in the log, where only a release that is
// sealed ends it: who deletes it from the one, or restores an older table, has not
// ended it.
func noHold(d migrate.Dialect, tenant uuid.UUID, rows int64) engine.Stmt {
	events := engine.Table(d, "events")
	return engine.Stmt{
		SQL: "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM " + engine.Table(d, "log_holds") + " h WHERE h.tenant_id = $1)" +
			" AND NOT EXISTS (SELECT 1 FROM " + events + " h WHERE h.tenant_id = $1 AND h.action = '" + actionHold + "' AND h.outcome = 1" +
			" AND NOT EXISTS (SELECT 1 FROM " + events + " r WHERE r.tenant_id = $1 AND r.action = '" + actionRelease + "' AND r.outcome = 1" +
			" AND r.object = h.object AND r.leaf >= 0))",
		Args: []any{tenant}, Rows: rows,
	}
}
