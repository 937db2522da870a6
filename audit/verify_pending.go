package audit

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/art32/art32/internal/aead"
	"github.com/art32/art32/internal/engine"
)

const (
	minSeq = math.MinInt64
	// clockSkew is by how much the clock of a writer may be ahead.
	clockSkew = 10 * time.Second
	// namedOverdue is how many overdue events a report names.
	namedOverdue = 3
)

// pending judges what waits for the sealer: it must be young, and with keys it
// must be vouched for. It reads the entries of erasure that the walk did not
// reach: those not sealed then.
func (v *verifier) pending(ctx context.Context) error {
	var key *aead.MAC
	var err error
	if v.o.Log != nil {
		if key, err = v.o.Log.mac(ctx); err != nil {
			return err
		}
	}
	erasures := make(map[*row]bool) // whether it is vouched for
	now := time.Now()
	err = v.each(ctx, "e.leaf IS NULL AND e.seq >= $2 ORDER BY e.seq", minSeq, func(r *row) {
		v.countPending(now, &r.leaf)
		if !v.judgePending(key, r) {
			return
		}
		if r.leaf.Action == actionErase {
			erasures[r] = key != nil
		}
	})
	if err != nil {
		return err
	}
	// In this order: what is sealed in between is read twice, not missed.
	late, err := v.late(ctx)
	if err != nil {
		return err
	}
	for _, r := range late {
		erasures[r] = true
	}
	return v.excuse(ctx, erasures)
}

// each reads all rows of the tenant for which a condition holds.
func (v *verifier) each(ctx context.Context, which string, arg int64, found func(*row)) error {
	d := v.db.Engine(engine.Library).Dialect()
	return read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND " + which,
		Args: []any{v.tenant, arg},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		if err == nil {
			found(row)
		}
		return err
	})
}

// countPending accepts what was written within the time allowed. What claims to
// be of the future would never be late.
func (v *verifier) countPending(now time.Time, l *Leaf) {
	at := l.At
	v.report.Pending++
	if v.o.MaxPending <= 0 || now.Sub(at) > v.o.MaxPending || at.Sub(now) > clockSkew {
		v.report.Overdue++
		if len(v.report.OverdueIDs) < namedOverdue {
			v.report.OverdueIDs = append(v.report.OverdueIDs, l.Event)
		}
	}
	if v.report.OldestPending.IsZero() || at.Before(v.report.OldestPending) {
		v.report.OldestPending = at
	}
}

// judgePending reports whether nothing is known against a row that waits.
func (v *verifier) judgePending(key *aead.MAC, r *row) bool {
	if r.odd {
		v.findf(KindInserted, -1, r.leaf.Event, "the event was written or edited outside the application: it is not in the form that is written there")
		return false
	}
	if key != nil && !r.vouched(key) {
		v.findf(KindInserted, -1, r.leaf.Event, "the event was written or edited outside the application: its MAC is wrong")
		return false
	}
	return true
}

// vouched reports whether a writer with the key wrote the row as it is.
func (r *row) vouched(key *aead.MAC) bool {
	mac, err := vouch(key, &r.leaf)
	return err == nil && !r.odd && mac == r.leaf.MAC
}

// late reads the entries of erasure that were sealed since the walk began, as
// far as a checkpoint covers them by now.
func (v *verifier) late(ctx context.Context) ([]*row, error) {
	var claimed, sealed []*row
	err := v.each(ctx, "e.action = '"+actionErase+"' AND e.leaf >= 0 AND e.leaf >= $2", v.head.base+v.size, func(r *row) {
		claimed = append(claimed, r)
	})
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	all, err := readAnchors(ctx, v.db, v.tenant, v.report.Key)
	if all == nil {
		return nil, unlessCheckpoint(err)
	}
	for _, r := range claimed {
		held, err := all.holds(ctx, r)
		if err != nil {
			return nil, err
		}
		if held {
			sealed = append(sealed, r)
		}
	}
	return sealed, nil
}

// unlessCheckpoint drops the error that the walk has found by itself.
func unlessCheckpoint(err error) error {
	if errors.Is(err, ErrCheckpoint) {
		return nil
	}
	return err
}

// excuse notes what entries of erasure say is gone: for good where they are
// sealed or vouched for, else until they are.
func (v *verifier) excuse(ctx context.Context, erasures map[*row]bool) error {
	if len(erasures) == 0 {
		return nil
	}
	d := v.db.Engine(engine.Library).Dialect()
	digests, manifests, err := v.parts(ctx, engine.Stmt{
		SQL: partSelect(d) + " AND e.tenant_id = $1 AND e.action = '" + actionErase + "'" +
			" AND (e.leaf IS NULL OR e.leaf >= $2)",
		Args: []any{v.tenant, v.head.base + v.size},
	})
	if err != nil {
		return err
	}
	for r, sure := range erasures {
		if digest, ok := digests[partKey{r.leaf.Event, 0}]; !ok || string(digest[:]) != string(r.leaf.Digests) {
			continue
		}
		into := v.waived
		if sure {
			into = v.manifest
		}
		noteErased(into, manifests[r.leaf.Event])
	}
	return nil
}
