package audit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	// actionDrop is the entry that says that the entries of a log were dropped. Its
	// object is that log.
	actionDrop = "audit.drop"
	dropLabel  = "art32/audit/drop/v1"
	// dropLeaves is how many entries one transaction deletes.
	dropLeaves = 4096
)

// DroppedLog is a log whose entries are gone, as far as one call deleted them.
type DroppedLog struct {
	Origin string    // of the log
	Ended  time.Time // when it ended
	Size   int64     // entries that it had
	Events int64     // rows deleted
	Parts  int64     // parts of payloads deleted
}

// drop deletes the entries of a log that has ended. The entry that says so is
// sealed before the first is deleted: from there on the log cannot come back, and
// each later call goes on where this one stops.
func (r *Retention) drop(ctx context.Context, tenant uuid.UUID, h *head, p RetentionPolicy) (DroppedLog, error) {
	out := DroppedLog{Origin: originOf(h.id), Size: h.size}
	if err := r.announce(ctx, tenant, h, p); err != nil {
		return out, err
	}
	r.step("announced")
	for first := h.base; first < h.end(); first += dropLeaves {
		if err := r.dropPage(ctx, tenant, first, min(first+dropLeaves, h.end()), &out); err != nil {
			return out, err
		}
		r.step("page")
	}
	d := r.db.Engine(engine.Library).Dialect()
	err := inTx(ctx, r.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL:  "DELETE FROM " + engine.Table(d, "tiles") + " WHERE tenant_id = $1 AND log_id = $2",
			Args: []any{tenant, h.id},
		})
		t.Queue(engine.Stmt{
			SQL:  "DELETE FROM " + engine.Table(d, "checkpoints") + " WHERE tenant_id = $1 AND log_id = $2 AND size < $3",
			Args: []any{tenant, h.id, h.newest.size},
		})
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + engine.Table(d, "logs") + " SET dropped_at = $1 WHERE tenant_id = $2 AND id = $3 AND dropped_at IS NULL",
			Args: []any{time.Now().UnixMicro(), tenant, h.id}, Rows: 1,
		})
		return nil
	})
	r.step("dropped")
	return out, err
}

// announce seals the entry of the drop, which exists once. Nothing is announced
// while the tenant is held.
func (r *Retention) announce(ctx context.Context, tenant uuid.UUID, h *head, p RetentionPolicy) error {
	id := derived(dropLabel, tenant[:], h.id[:])
	found, err := readEvent(ctx, r.db, tenant, id)
	if err != nil {
		return err
	}
	if found == nil {
		if err := r.writeDrop(ctx, tenant, id, h, p); err != nil && !overtaken(err) {
			return err
		}
		r.step("written")
	}
	if found == nil || found.at < 0 {
		if _, err := r.sealer.seal(ctx, tenant); err != nil {
			return err
		}
	}
	all, err := readDrops(ctx, r.db, tenant, nil)
	if err == nil && !all.covers(h) {
		err = errNotDropped
	}
	return err
}

func (r *Retention) writeDrop(ctx context.Context, tenant, id uuid.UUID, h *head, p RetentionPolicy) error {
	ctx = tenancy.WithActor(ctx, retentionService)
	e, err := r.log.open(ctx, tenant, actionDrop)
	if err != nil {
		return err
	}
	e.leaf.Event, e.leaf.Object = id, h.id
	attrs := attrMap([]slog.Attr{
		slog.String("controller", p.Controller), slog.Duration("keep", p.Keep), slog.Int64("entries", h.size),
	})
	e.parts, err = r.log.seal(ctx, about{tenant: tenant, event: id}, &payload{Attrs: attrs})
	if err != nil && !errors.Is(err, keyring.ErrErased) { // of a tenant that was erased, that it is dropped is left to say
		return err
	}
	return inTx(ctx, r.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		t.Queue(noHold(t.Dialect(), tenant, 1))
		return r.log.queue(ctx, t, e)
	})
}

// dropPage deletes the entries on some places, with their payloads.
func (r *Retention) dropPage(ctx context.Context, tenant uuid.UUID, first, last int64, out *DroppedLog) error {
	t, err := r.db.Engine(engine.Library).Begin(ctx, engine.Scope{Tenant: tenant, Closed: true})
	if err != nil {
		return dbError("begin", err)
	}
	d := t.Dialect()
	on := " WHERE e.tenant_id = $1 AND e.leaf >= $2 AND e.leaf < $3 AND e.leaf >= 0"
	args := []any{tenant, first, last}
	t.Queue(noHold(d, tenant, 1))
	parts, err := t.Run(ctx, engine.Stmt{
		SQL: "DELETE FROM " + engine.Table(d, "event_parts") + " WHERE tenant_id = $1 AND event_id IN (SELECT e.id FROM " +
			engine.Table(d, "events") + " e" + on + ")",
		Args: args,
	}, engine.Continue, nil)
	if err != nil {
		return dbError("drop payloads", err)
	}
	events, err := t.Run(ctx, engine.Stmt{SQL: "DELETE FROM " + engine.Table(d, "events") + " AS e" + on, Args: args}, engine.Commit, nil)
	out.Parts, out.Events = out.Parts+parts, out.Events+events
	return dbError("drop entries", err)
}
