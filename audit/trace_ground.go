package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// groundOf sets the checkpoint that the figures of a trace rest on, and demands
// that the log is what the checkpoint says, as far as counting shows it.
func groundOf(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, out *tenancy.Trace) error {
	all, err := readAnchors(ctx, db, tenant, "")
	switch {
	case errors.Is(err, ErrCheckpoint):
		return torn("its checkpoint: %w", err)
	case err != nil:
		return err
	case all == nil:
		return whole(ctx, db, tenant)
	}
	a := all.newest()
	out.Log, out.Size, out.Root = originOf(a.head.id), a.tree.N, a.tree.Hash[:]
	if a.head.size != a.tree.N || a.head.root != a.tree.Hash {
		return torn("its head is not that of its newest checkpoint")
	}
	return whole(ctx, db, tenant)
}

// whole demands that the sealed rows of a tenant stand on all places of its logs
// that were not dropped, one on each, and that nothing tells of an entry that was kept
// from getting one: the sealer has rejected no row, and no part of a payload has
// outlived its event. All is read in one statement: the log may grow.
func whole(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) error {
	drops, err := readDrops(ctx, db, tenant, nil)
	if err != nil {
		return err
	}
	var rows, places, end, size, rejected, orphans int64
	err = read(ctx, db, tenant, wholeStmt(db.Engine(engine.Library).Dialect(), tenant, drops.end), func(r engine.Row) error {
		return r.Scan(&rows, &places, &end, &size, &rejected, &orphans)
	})
	switch {
	case err != nil:
		return err
	case rows != size-drops.end || places != rows || end != size:
		return torn("%d rows stand on %d places for its %d entries", rows, places, size-drops.end)
	case rejected > 0:
		return torn("%d rows were written or edited outside the application before they were sealed", rejected)
	case orphans > 0:
		return torn("%d parts of payloads belong to no event", orphans)
	case size > 0:
		return nil
	}
	lost, err := gone(ctx, db, tenant)
	if lost {
		return torn("all of it is gone: the platform's log tells that it was opened")
	}
	return err
}

func wholeStmt(d migrate.Dialect, tenant uuid.UUID, from int64) engine.Stmt {
	events := engine.Table(d, "events")
	return engine.Stmt{
		SQL: "SELECT count(*), count(DISTINCT e.leaf), COALESCE(max(e.leaf) + 1, 0)," +
			" (SELECT COALESCE(max(l.base + l.size), 0) FROM " + engine.Table(d, "logs") + " l WHERE l.tenant_id = $1)," +
			" (SELECT count(*) FROM " + events + " r WHERE r.tenant_id = $1 AND r.leaf < 0)," +
			" (SELECT count(*) FROM " + engine.Table(d, "event_parts") + " p LEFT JOIN " + events +
			" o ON o.tenant_id = p.tenant_id AND o.id = p.event_id WHERE p.tenant_id = $1 AND o.id IS NULL)" +
			" FROM " + events + " e WHERE e.tenant_id = $1 AND e.leaf >= 0 AND e.leaf >= $2",
		Args: []any{tenant, from},
	}
}

func torn(format string, args ...any) error {
	return fmt.Errorf("audit: trace: %w: "+format, append([]any{tenancy.ErrDamagedLog}, args...)...)
}
