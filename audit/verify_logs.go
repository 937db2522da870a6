package audit

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// heldNote is a checkpoint that was held outside, and the log that it names.
type heldNote struct {
	origin string
	note   []byte
	taken  bool
}

// runLogs walks one log after the other.
func (v *verifier) runLogs(ctx context.Context, logs []*head) error {
	for _, note := range v.o.Checkpoints {
		origin, _, _ := strings.Cut(string(note), "\n")
		v.outside = append(v.outside, heldNote{origin: origin, note: note})
	}
	var err error
	if v.excused, err = readDrops(ctx, v.db, v.tenant, logs); err != nil {
		return err
	}
	if h := logs[0]; h.base != 0 || h.succession != "" || h.shard != 0 {
		v.findf(KindDeleted, 0, uuid.Nil, "the log before the first one that is left is gone, with its last checkpoint")
	}
	if h := logs[len(logs)-1]; h.ended != 0 {
		v.findf(KindTailCut, h.size, uuid.Nil, "the newest log is gone: the last one that is left was followed by another")
	}
	for i, h := range logs {
		v.start(h)
		if err := v.log(ctx, i == len(logs)-1, logs); err != nil {
			return err
		}
		if i < len(logs)-1 {
			v.earlier(logs[i+1])
		}
		v.before = h
	}
	return nil
}

// start forgets what belongs to one log only.
func (v *verifier) start(h *head) {
	v.head, v.points, v.tree, v.suspects = h, nil, tree{}, nil
	v.lacking = make(map[int64]bool)
	v.passed, v.good, v.bad = 0, 0, false
}

// log judges one log. What is found in one that is dropped meanwhile is forgotten.
func (v *verifier) log(ctx context.Context, newest bool, logs []*head) error {
	if err := v.readPoints(ctx, newest, logs); err != nil {
		return err
	}
	v.linked()
	if v.excused.covers(v.head) {
		return v.droppedLog(ctx)
	}
	found, more, gone := len(v.report.Findings), v.report.More, len(v.gone)
	if err := v.walk(ctx); err != nil {
		return err
	}
	if err := v.resolve(ctx); err != nil {
		return err
	}
	if !newest && len(v.report.Findings)+int(v.report.More) > found+int(more) || len(v.gone) > gone && !newest {
		now, err := readDrops(ctx, v.db, v.tenant, nil)
		if err != nil {
			return err
		}
		if now.covers(v.head) {
			v.report.Findings, v.report.More, v.gone = v.report.Findings[:found], more, v.gone[:gone]
			v.excused, v.lacking = now, nil
		}
	}
	v.lacked += len(v.lacking)
	return nil
}

// linked demands that the log follows the one before.
func (v *verifier) linked() {
	if v.before == nil {
		return
	}
	if _, err := follows(v.before, v.head); err != nil {
		v.findf(KindCheckpoint, -1, uuid.Nil, "the log does not follow the one before: %s",
			strings.TrimPrefix(err.Error(), ErrSuccession.Error()+": "))
	}
}

// judgeBegin demands that the first entry holds the succession.
func (v *verifier) judgeBegin(r *row) {
	switch {
	case r.at != 0:
	case v.before == nil && r.leaf.Action == actionBegin:
		v.findf(KindDeleted, 0, r.leaf.Event, "the log before the first one that is left is gone: the first entry names it")
	case v.before != nil && !r.begins(v.before, v.head):
		v.findf(KindCheckpoint, 0, r.leaf.Event, "the first entry of the log is not the end of the one before")
	}
}

// earlier adds the log that was walked to the report.
func (v *verifier) earlier(next *head) {
	e := EarlierLog{
		Origin: v.report.Origin, Key: v.report.Key, Size: v.report.Size, Root: v.report.Root,
		Dropped: v.excused.covers(v.head),
	}
	if s, err := follows(v.head, next); err == nil {
		e.Cause = s.Cause
		if s.Held != nil {
			e.Lost = max(0, s.Held.Size-v.head.size)
		}
	}
	v.report.Earlier = append(v.report.Earlier, e)
}

// forgiven is the size up to which checkpoints held outside need not match, since
// a restore lost what they cover. The succession, which the old key has signed,
// says so.
func forgiven(logs []*head, h *head) int64 {
	i := slices.Index(logs, h)
	if i < 0 || i+1 >= len(logs) {
		return -1
	}
	s, err := follows(h, logs[i+1])
	if err != nil || s.Held == nil {
		return -1
	}
	return s.Held.Size
}

// droppedLog judges a log whose entries were dropped, or are being dropped: what is
// left of them must be as it was sealed, and without its tiles nothing may be left.
func (v *verifier) droppedLog(ctx context.Context) error {
	a, err := anchorOf(v.db, v.tenant, v.head)
	if err != nil {
		return unlessCheckpoint(err) // told already
	}
	tiles := &storedTiles{ctx: ctx, anchor: a}
	hashes := tlog.TileHashReader(a.tree, tiles)
	for first := int64(0); first < v.head.size; first += dropLeaves {
		rows, err := readLeaves(ctx, v.db, v.tenant, v.head, first, min(first+dropLeaves, v.head.size))
		if err != nil {
			return err
		}
		for _, r := range rows {
			want, bad := r.hash(nil)
			got, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, r.at)})
			if tiles.failed != nil {
				return tiles.failed
			}
			if bad != nil || err != nil || got[0] != want {
				v.findf(KindInserted, r.at, r.leaf.Event, "the row claims to be entry %d of a log that was dropped", r.at)
			}
		}
	}
	return nil
}

// anchoredDrops is up to which leaf a tenant's entries were dropped.
type anchoredDrops struct{ end int64 }

func (d anchoredDrops) covers(h *head) bool { return h.size > 0 && h.end() <= d.end }

// readDrops reads which logs were dropped: those that a sealed entry names, and
// since the oldest goes first all before them.
func readDrops(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, logs []*head) (anchoredDrops, error) {
	var out anchoredDrops
	rows, err := readAction(ctx, db, tenant, actionDrop)
	if err != nil || len(rows) == 0 {
		return out, err
	}
	if logs == nil {
		if logs, err = readLogs(ctx, db, tenant); err != nil {
			return out, err
		}
	}
	var all anchors
	for _, h := range logs {
		if a, err := anchorOf(db, tenant, h); err == nil {
			all = append(all, a)
		}
	}
	for _, r := range rows {
		i := slices.IndexFunc(logs, func(h *head) bool { return h.id == r.leaf.Object })
		if i < 0 || logs[i].end() <= out.end || !r.drops(tenant) || r.at < logs[i].end() {
			continue
		}
		held, err := all.holds(ctx, r)
		if err != nil {
			return out, err
		}
		if held {
			out.end = logs[i].end()
		}
	}
	return out, nil
}

// drops reports whether the row is the entry that retention writes for a log.
func (r *row) drops(tenant uuid.UUID) bool {
	return !r.odd && r.leaf.Outcome == tenancy.Done && r.leaf.Event == derived(dropLabel, tenant[:], r.leaf.Object[:])
}

// readAction reads the sealed events of an action.
func readAction(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, action string) (rows []*row, err error) {
	d := db.Engine(engine.Library).Dialect()
	err = read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.action = $2 AND e.leaf >= 0 ORDER BY e.leaf",
		Args: []any{tenant, action},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		rows = append(rows, row)
		return err
	})
	return rows, err
}
