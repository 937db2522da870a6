package audit

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/art32/art32/internal/engine"
)

// pending counts what waits for the sealer, and with keys checks it. It reads
// the entries of erasure that the walk did not reach: those not sealed then.
func (v *verifier) pending(ctx context.Context) error {
	d := v.db.Engine(engine.Library).Dialect()
	// In this order: what is sealed in between is read twice, not missed.
	for _, where := range []string{"e.leaf IS NULL", "e.leaf >= 0 AND e.leaf >= $2"} {
		s := engine.Stmt{
			SQL: partSelect(engine.Table(d, "event_parts"), engine.Table(d, "events")) +
				" WHERE e.tenant_id = $1 AND e.action = '" + actionErase + "' AND " + where,
			Args: []any{v.tenant},
		}
		if strings.Contains(where, "$2") {
			s.Args = append(s.Args, v.head.base+v.size)
		}
		_, manifests, err := v.parts(ctx, s)
		if err != nil {
			return err
		}
		for _, m := range manifests {
			v.erased(m)
		}
	}
	var rows []*row
	err := read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.leaf IS NULL ORDER BY e.seq",
		Args: []any{v.tenant},
	}, func(r engine.Row) error {
		row, err := scanEvent(r)
		if err != nil {
			return err
		}
		v.countPending(row.leaf.At)
		if v.o.Log != nil {
			rows = append(rows, row)
		}
		return nil
	})
	return errors.Join(err, v.judgePending(ctx, rows))
}

func (v *verifier) countPending(at time.Time) {
	v.report.Pending++
	if v.report.At.Sub(at) >= v.o.MaxPending {
		v.report.Overdue++
	}
	if v.report.OldestPending.IsZero() || at.Before(v.report.OldestPending) {
		v.report.OldestPending = at
	}
}

func (v *verifier) judgePending(ctx context.Context, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	key, err := v.o.Log.mac(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if mac, err := vouch(key, &r.leaf); err != nil || mac != r.leaf.MAC {
			v.findf(KindInserted, -1, r.leaf.Event, "the event was written or edited outside the application: its MAC is wrong")
		}
	}
	return nil
}
