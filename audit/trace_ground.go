package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// groundOf sets the checkpoint that the figures of a trace rest on, and demands
// that the log is what the checkpoint says, as far as counting shows it.
func groundOf(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, out *tenancy.Trace) error {
	a, err := readAnchor(ctx, db, tenant, "")
	switch {
	case errors.Is(err, ErrCheckpoint):
		return torn("its checkpoint: %w", err)
	case err != nil:
		return err
	case a == nil:
		return whole(ctx, db, tenant)
	}
	out.Log, out.Size, out.Root = originOf(a.head.id), a.tree.N, a.tree.Hash[:]
	if a.head.size != a.tree.N || a.head.root != a.tree.Hash {
		return torn("its head is not that of its newest checkpoint")
	}
	return whole(ctx, db, tenant)
}

// whole demands that the sealed rows of a tenant stand on the places from 0 to the
// end of its log, one on each. All is read in one statement: the log may grow.
func whole(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) error {
	d := db.Engine(engine.Library).Dialect()
	var rows, places, end, size int64
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT count(*), count(DISTINCT e.leaf), COALESCE(max(e.leaf) + 1, 0), (SELECT COALESCE(max(l.base + l.size), 0) FROM " +
			engine.Table(d, "logs") + " l WHERE l.tenant_id = $1) FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf >= 0",
		Args: []any{tenant},
	}, func(r engine.Row) error { return r.Scan(&rows, &places, &end, &size) })
	switch {
	case err != nil:
		return err
	case rows != size || places != size || end != size:
		return torn("%d rows stand on %d places for its %d entries", rows, places, size)
	case size > 0:
		return nil
	}
	lost, err := gone(ctx, db, tenant)
	if lost {
		return torn("all of it is gone: the platform's log tells that it was opened")
	}
	return err
}

func torn(format string, args ...any) error {
	return fmt.Errorf("audit: trace: %w: "+format, append([]any{tenancy.ErrDamagedLog}, args...)...)
}
