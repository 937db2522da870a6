package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// ErrNoEntry says that no such entry is sealed, or that it is gone with its log.
var ErrNoEntry = errors.New("audit: no such entry is sealed")

// Prove makes a proof that an event lies in the log of a tenant, or with the zero
// ID in the platform's, under that log's newest checkpoint: a text in the form of
// c2sp.org/tlog-proof with the event's leaf as extra data, for [VerifyProof]. It
// needs no secret, and holds no payload. It returns [ErrNoEntry] for an event that
// is not sealed, and [ErrDamaged] where the stored log contradicts itself.
func Prove(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, event uuid.UUID) ([]byte, error) {
	r, err := readEvent(ctx, db, tenant.UUID(), event)
	if err != nil {
		return nil, err
	}
	if r == nil || r.at < 0 {
		return nil, ErrNoEntry
	}
	logs, err := readLogs(ctx, db, tenant.UUID())
	if err != nil {
		return nil, err
	}
	for _, h := range logs {
		if !h.dropped && r.at >= h.base && r.at < h.base+h.size {
			return proveRow(ctx, db, tenant.UUID(), h, r)
		}
	}
	return nil, ErrNoEntry
}

// proveRow proves a sealed row of a log.
func proveRow(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, h *head, r *row) ([]byte, error) {
	c, err := ParseCheckpoint([]byte(h.newest.note), h.vkey)
	if err != nil {
		return nil, fmt.Errorf("audit: prove: %w: %w", ErrDamaged, err)
	}
	p := &proof{index: r.at - h.base, checkpoint: []byte(h.newest.note)}
	r.leaf.Log = h.id
	if p.leaf, err = r.leaf.AppendBinary(nil); err != nil || r.odd {
		return nil, unproven(p.index)
	}
	tiles := &storedTiles{ctx: ctx, anchor: &anchor{db: db, tenant: tenant, head: h}}
	err = p.prove(c, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles))
	if tiles.failed != nil {
		return nil, tiles.failed
	}
	if err != nil {
		return nil, err
	}
	return p.text(), nil
}

// prove adds the hashes, and makes sure that they show the leaf under c.
func (p *proof) prove(c Checkpoint, hashes tlog.HashReader) (err error) {
	if p.index >= c.Size {
		return unproven(p.index)
	}
	if p.hashes, err = tlog.ProveRecord(c.Size, p.index, hashes); err != nil || !p.shows(c) {
		return unproven(p.index)
	}
	return nil
}

func unproven(index int64) error {
	return fmt.Errorf("audit: prove: entry %d does not match the tree: %w", index, ErrDamaged)
}
