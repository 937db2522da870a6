package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// opened demands that the platform's log holds that this log was opened here. A
// log that fits its own key but was made elsewhere is found by nothing else.
func (v *verifier) opened(ctx context.Context) error {
	if v.tenant == uuid.Nil {
		v.report.PlatformKey = v.report.Key
		return nil
	}
	logs, err := readLogs(ctx, v.db, v.tenant) // first: a log is opened before it begins
	if err != nil {
		return err
	}
	platform, err := readAnchors(ctx, v.db, uuid.Nil, v.o.PlatformKey)
	if errors.Is(err, ErrCheckpoint) {
		v.report.PlatformKey = v.o.PlatformKey
		if v.head.id != uuid.Nil {
			v.findf(KindForeign, -1, uuid.Nil,
				"the platform's log has no checkpoint under its key, so that nothing shows that this log was opened here: verify the platform's log")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("the platform's log: %w", err)
	}
	if platform != nil {
		v.report.PlatformKey = platform.newest().head.vkey
	}
	if v.head.id == uuid.Nil {
		return v.begun(ctx)
	}
	for _, h := range logs {
		if err := v.openedLog(ctx, platform, h.id); err != nil {
			return err
		}
	}
	return v.vanished(ctx, platform, logs)
}

// beginsWithin is how long after its opening a log must have begun.
//
//nolint:gochecknoglobals // set by tests
var beginsWithin = time.Hour

// vanished finds logs that the platform's log says were opened for the tenant, and
// that are not there. What a restore has lost its succession tells.
func (v *verifier) vanished(ctx context.Context, platform anchors, logs []*head) error {
	opened, err := readAction(ctx, v.db, uuid.Nil, actionOpen)
	if err != nil {
		return fmt.Errorf("the platform's log: %w", err)
	}
	var restored time.Time
	known := make(map[uuid.UUID]bool, len(logs))
	for i, h := range logs {
		if known[h.id] = true; i == 0 {
			continue
		}
		if s, err := follows(logs[i-1], h); err == nil && s.Cause == CauseRestore {
			restored = s.At
		}
	}
	for _, r := range opened {
		log, at := r.leaf.Object, r.leaf.At
		if known[log] || !r.opens(log) || r.leaf.Event != openingOf(v.tenant, log) || at.Before(restored) || time.Since(at) < beginsWithin {
			continue
		}
		held, err := platform.holds(ctx, r)
		if err != nil {
			return err
		}
		if held {
			v.findf(KindTailCut, v.head.size, r.leaf.Event, "the log %s is gone, or was opened and never began", originOf(log))
		}
	}
	return nil
}

func (v *verifier) openedLog(ctx context.Context, platform anchors, log uuid.UUID) error {
	id := openingOf(v.tenant, log)
	r, err := readEvent(ctx, v.db, uuid.Nil, id)
	if err != nil {
		return fmt.Errorf("the platform's log: %w", err)
	}
	if r != nil && r.opens(log) {
		held, err := platform.holds(ctx, r)
		if held || err != nil {
			return err
		}
	}
	v.findf(KindForeign, -1, id, "the log %s was never opened here: the platform's log holds no such entry", originOf(log))
	return nil
}

// begun finds a log of which nothing is left, not even what waits.
func (v *verifier) begun(ctx context.Context) error {
	lost, err := gone(ctx, v.db, v.tenant)
	if lost {
		v.findf(KindTailCut, 0, uuid.Nil, "the whole log is gone: the platform's log tells that it was opened")
	}
	return err
}

// gone reports whether a tenant has neither log nor events that wait, although the
// platform's log tells that its log was opened. Between opening a log and making
// it a sealer has events at hand that wait.
func gone(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) (bool, error) {
	d := db.Engine(engine.Library).Dialect()
	opened := false
	err := read(ctx, db, uuid.Nil, engine.Stmt{
		SQL:  "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.action = '" + actionOpen + "'",
		Args: []any{uuid.Nil},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		if err == nil && row.opens(row.leaf.Object) && row.leaf.Event == openingOf(tenant, row.leaf.Object) {
			opened = true
		}
		return err
	})
	if err != nil || !opened {
		return false, err
	}
	waiting := false
	err = read(ctx, db, tenant, engine.Stmt{
		SQL:  "SELECT e.seq FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf IS NULL ORDER BY e.seq LIMIT 1",
		Args: []any{tenant},
	}, func(engine.Row) error {
		waiting = true
		return nil
	})
	if err != nil || waiting {
		return false, err
	}
	now, err := readHead(ctx, db, tenant)
	return now == nil && err == nil, err
}
