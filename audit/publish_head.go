package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// Head is the newest signed head of a log, as it is handed to a [Place].
type Head struct {
	Checkpoint

	// Tenant is whose log it is; zero for the platform's.
	Tenant tenancy.ID
	// Note is the signed checkpoint (c2sp.org/signed-note), as it is to be kept.
	Note []byte
	// Key is the log's public key as a note verifier key, under which Note verifies.
	Key string

	anchor *anchor
}

// Prove computes the consistency proof (RFC 6962, section 2.1.2) that the log grew
// from its first size entries, for 0 < size < h.Size; for size 0 and h.Size the
// proof is empty. It returns [ErrDamaged] where the stored tiles do not yield the
// head.
func (h *Head) Prove(ctx context.Context, size int64) ([][tlog.HashSize]byte, error) {
	if size == 0 || size == h.Size {
		return nil, nil
	}
	if h.anchor == nil || size < 0 || size > h.Size {
		return nil, fmt.Errorf("audit: prove: no proof from %d to %d entries", size, h.Size)
	}
	var out [][tlog.HashSize]byte
	err := h.anchor.hashes(ctx, func(r tlog.HashReader) error {
		proof, err := tlog.ProveTree(h.Size, size, r)
		for _, hash := range proof {
			out = append(out, hash)
		}
		return err
	})
	return out, err
}

// rootAt is the root that the log had at a size.
func (h *Head) rootAt(ctx context.Context, size int64) (root tlog.Hash, err error) {
	err = h.anchor.hashes(ctx, func(r tlog.HashReader) error {
		root, err = tlog.TreeHash(size, r)
		return err
	})
	return root, err
}

// hashes hands fn the stored hashes, each of which is checked against the head.
func (a *anchor) hashes(ctx context.Context, fn func(tlog.HashReader) error) error {
	tiles := &storedTiles{ctx: ctx, anchor: a}
	err := fn(tlog.TileHashReader(a.tree, tiles))
	switch {
	case tiles.failed != nil:
		return tiles.failed
	case err != nil:
		return fmt.Errorf("audit: the stored tiles do not yield the head: %w", ErrDamaged)
	}
	return nil
}

// Divergence says what it looks like when a place holds a head that a log did not
// grow from. The text is stable.
type Divergence string

// The divergences.
const (
	// RolledBack: the place holds a greater size. The log lost its end, as after
	// the restore of an older backup.
	RolledBack Divergence = "rolled back"
	// Forked: at the size that the place holds the log has another root. What was
	// sealed was sealed again otherwise.
	Forked Divergence = "forked"
	// Unsigned: what the place holds is not signed by the log's key. Somebody has
	// written there, or the log was signed by another.
	Unsigned Divergence = "unsigned"
)

// Disagreement says that a place holds a head that a log did not grow from. It is
// an error where a [Place] returns it.
type Disagreement struct { //nolint:errname // what a report lists, and only in passing an error
	Place  string     `json:"place"`      // its name
	Origin string     `json:"log"`        // of the log
	Looks  Divergence `json:"looks_like"` // what it looks like
	Held   int64      `json:"held"`       // the size that the place holds; -1: not known
	Ours   int64      `json:"ours"`       // the size of the log's newest head
}

// Error implements error.
func (d *Disagreement) Error() string {
	return fmt.Sprintf("audit: %s disagrees about %s: it looks %s: %d entries are held there, %d are here",
		d.Place, d.Origin, d.Looks, d.Held, d.Ours)
}

// diverges compares the head with one that is held outside; "" means that the log
// grew from that one.
func (h *Head) diverges(ctx context.Context, held Checkpoint) (Divergence, error) {
	switch {
	case held.Size > h.Size:
		return RolledBack, nil
	case held.Size == 0:
		return "", nil
	}
	root, err := tlog.Hash(h.Root), error(nil)
	if held.Size < h.Size {
		root, err = h.rootAt(ctx, held.Size)
	}
	if err != nil || root == held.Root {
		return "", err
	}
	return Forked, nil
}

// signedHead is the log's newest head, once its signature was checked.
func signedHead(db *tenancy.DB, tenant uuid.UUID, h *head) (*Head, error) {
	a, err := anchorOf(db, tenant, h)
	if err != nil {
		return nil, err
	}
	if a.tree.N != h.newest.size {
		return nil, fmt.Errorf("%w: another size", ErrCheckpoint)
	}
	c := Checkpoint{Origin: originOf(h.id), Size: a.tree.N, Root: a.tree.Hash}
	return &Head{Checkpoint: c, Tenant: tenancy.ID(tenant), Note: []byte(h.newest.note), Key: h.vkey, anchor: a}, nil
}

// asDisagreement finds a place's own judgement in its error.
func asDisagreement(err error) *Disagreement {
	d, _ := errors.AsType[*Disagreement](err)
	return d
}
