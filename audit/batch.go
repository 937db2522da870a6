package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// errSigningKey says that the keystore holds another key than the log's.
var errSigningKey = errors.New("audit: the keystore's signing key is not the one of this log")

// errAgain says that the log was followed by another: the batch is to be read anew.
var errAgain = errors.New("audit: the log has ended")

// batch is one step of a log: what was read, and what goes into the tree.
type batch struct {
	head     head
	fresh    bool // the log does not exist yet
	edge     edge
	rows     []*row
	read     int
	sealed   int
	platform int     // events of the platform that were sealed on the way
	good     []int64 // seq of the events that are sealed, in their order
	bad      []int64 // seq of the events whose MAC is wrong
	leaves   []tlog.Hash
	rejected []uuid.UUID
}

// sealBatch reads pending events, grows the tree in memory, and writes places,
// tiles and checkpoint in one step, on condition that the log's size has not
// moved. Before that step nothing is written: a crash leaves nothing behind.
func (s *Sealer) sealBatch(ctx context.Context, tenant uuid.UUID) (*batch, error) {
	b, err := s.readBatch(ctx, tenant)
	if err != nil || len(b.rows) == 0 {
		return b, err
	}
	if !b.fresh && s.dueToEnd(&b.head) {
		if err := s.renew(ctx, tenant, Renewal{Cause: CausePeriod}); err != nil {
			return b, err
		}
		return b, errAgain
	}
	s.step("read")
	key, err := s.signer(ctx, tenant, b.head.shard)
	if err != nil {
		return b, err
	}
	if b.fresh {
		b.head.id, b.head.origin, b.head.vkey = key.log, key.name, key.vkey
	}
	if key.vkey != b.head.vkey || key.log != b.head.id {
		return b, errSigningKey
	}
	if !b.fresh {
		if err := b.head.signed(); err != nil {
			return b, err
		}
	}
	if err := b.judge(ctx, s.log); err != nil {
		return b, err
	}
	if b.fresh && len(b.good) > 0 && tenant != uuid.Nil {
		if b.platform, err = s.open(ctx, tenant, key.log); err != nil {
			return b, err
		}
	}
	if err := s.write(ctx, tenant, b, key); err != nil {
		return b, err
	}
	s.step("committed")
	b.sealed = len(b.good)
	for _, id := range b.rejected {
		s.logger.ErrorContext(ctx, "audit: event not sealed: its MAC is wrong; it was written or edited outside the application",
			slog.String("tenant", tenant.String()), slog.String("event", id.String()))
	}
	return b, nil
}

// signed demands that a checkpoint of the log's own key says what stands in its row:
// who may write the row could else have the sealer sign what he likes.
func (h *head) signed() error {
	c, err := ParseCheckpoint([]byte(h.newest.note), h.vkey)
	if err != nil || c.Size != h.size || c.Root != h.root {
		return fmt.Errorf("audit: the log is not what its newest checkpoint says: %w", ErrDamaged)
	}
	return nil
}

// judge checks the MACs and computes the leaves.
func (b *batch) judge(ctx context.Context, l *Log) error {
	key, err := l.mac(ctx)
	if err != nil {
		return err
	}
	var scratch []byte
	for _, r := range b.rows {
		r.leaf.Log = b.head.id
		mac, err := vouch(key, &r.leaf)
		if err != nil || r.odd || mac != r.leaf.MAC {
			b.bad = append(b.bad, r.seq)
			b.rejected = append(b.rejected, r.leaf.Event)
			continue
		}
		if scratch, err = r.leaf.AppendBinary(scratch[:0]); err != nil {
			return err
		}
		b.good = append(b.good, r.seq)
		b.leaves = append(b.leaves, tlog.RecordHash(scratch))
	}
	return nil
}

// readBatch reads the log's head with the tree's edge, then pending events. The
// order matters: what another sealer does in between moves the head.
func (s *Sealer) readBatch(ctx context.Context, tenant uuid.UUID) (*batch, error) {
	b := &batch{edge: edge{root: emptyRoot(), tiles: make(map[tileKey][]byte)}}
	if err := b.readHead(ctx, s.db, tenant); err != nil {
		return b, err
	}
	d := s.db.Engine(engine.Library).Dialect()
	err := read(ctx, s.db, tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.leaf IS NULL ORDER BY e.seq LIMIT $2",
		Args: []any{tenant, int64(s.batch)},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		b.rows = append(b.rows, row)
		return err
	})
	b.read = len(b.rows)
	return b, err
}

// levels are those that the edge of a tree can have: 7 of them hold 2^56 leaves.
const levels = "SELECT 0 AS level UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3" +
	" UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6"

func (b *batch) readHead(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) error {
	d := db.Engine(engine.Library).Dialect()
	logs, tiles := engine.Table(d, "logs"), engine.Table(d, "tiles")
	b.fresh = true
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT " + logColumns + ", COALESCE(c.size, -1), COALESCE(c.note, ''), COALESCE(t.level, -1), COALESCE(t.n, -1), t.data FROM " + logs + " l" +
			" LEFT JOIN " + engine.Table(d, "checkpoints") + " c ON c.log_id = l.id AND c.size = l.size" +
			" CROSS JOIN (" + levels + ") v LEFT JOIN " + tiles +
			" t ON t.log_id = l.id AND t.level = v.level AND t.n = (l.size >> (8 * (v.level + 1)))" +
			" WHERE l.tenant_id = $1 AND l.shard = (SELECT max(shard) FROM " + logs + " WHERE tenant_id = $1)",
		Args: []any{tenant},
	}, func(r engine.Row) error {
		var id string
		var root, data []byte
		var level, n int64
		if err := r.Scan(append(b.head.dest(&id, &root), &b.head.newest.size, &b.head.newest.note, &level, &n, &data)...); err != nil {
			return err
		}
		b.head.set(id, root)
		b.fresh = false
		if level >= 0 {
			b.edge.tiles[tileKey{int(level), n}] = data
		}
		return nil
	})
	if b.fresh {
		b.head.root = b.edge.root
	}
	b.edge.size, b.edge.root = b.head.size, b.head.root
	return err
}

// write is the one step that changes anything.
func (s *Sealer) write(ctx context.Context, tenant uuid.UUID, b *batch, key *signer) error {
	return inTx(ctx, s.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		if len(b.bad) > 0 {
			t.Queue(rejectStmt(t.Dialect(), tenant, b.bad))
		}
		if len(b.good) > 0 {
			if err := b.queue(t, tenant, key); err != nil {
				return err
			}
		}
		s.step("queued")
		return nil
	})
}

func (b *batch) queue(t engine.Tx, tenant uuid.UUID, key *signer) error {
	g, err := b.edge.grow(b.leaves)
	if err != nil {
		return err
	}
	signed, err := key.checkpoint(g.size, g.root)
	if err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	d := t.Dialect()
	t.Queue(b.headStmt(d, tenant, g, now))
	for _, s := range placeStmts(d, tenant, b.head.base+b.head.size, b.good) {
		t.Queue(s)
	}
	for k, data := range g.tiles {
		t.Queue(insertTile(d, tenant, b.head.id, k, data))
	}
	t.Queue(insertCheckpoint(d, tenant, b.head.id, g.size, signed, now))
	return nil
}
