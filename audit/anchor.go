package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

const logLabel = "art32/audit/log/v1"

// logOf is the id of the log that a key signs. Since it follows from the key,
// whoever knows the id of a log cannot be handed another key for it.
func logOf(key ed25519.PublicKey) uuid.UUID { return derived(logLabel, key) }

// derived is a UUID of version 8 (RFC 9562) from a hash.
func derived(label string, parts ...[]byte) uuid.UUID {
	h := sha256.New()
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// logOfKey is the id of the log that a public key in the form of a note
// verifier signs. The name in it must be that log's.
func logOfKey(vkey string) (uuid.UUID, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%w: malformed public key", ErrCheckpoint)
	}
	parts := strings.SplitN(vkey, "+", 3) // name, hash, type and key
	key, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return uuid.Nil, fmt.Errorf("%w: malformed public key", ErrCheckpoint)
	}
	id := logOf(key[1:])
	if v.Name() != originOf(id) {
		return uuid.Nil, fmt.Errorf("%w: the key's name is not that of its log", ErrCheckpoint)
	}
	return id, nil
}

// anchor is the signed head of a stored log, under which single entries are
// proven without a walk through all.
type anchor struct {
	db     *tenancy.DB
	tenant uuid.UUID
	head   *head
	tree   tlog.Tree
}

// anchors are those of all logs of a tenant, the oldest first.
type anchors []*anchor

// readAnchors reads the newest checkpoint of each log of a tenant, and checks that
// the logs vouch for each other and that vkey, unless it is empty, is the key of
// one of them. There are none without a log. What is not valid is
// [ErrCheckpoint].
func readAnchors(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, vkey string) (anchors, error) {
	logs, err := readLogs(ctx, db, tenant)
	if err != nil || len(logs) == 0 {
		return nil, err
	}
	known := vkey == ""
	var all anchors
	for i, h := range logs {
		known = known || vkey == h.vkey
		a, err := anchorOf(db, tenant, h)
		if err != nil {
			return nil, err
		}
		if all = append(all, a); i == 0 {
			continue
		}
		begins, err := all[i-1].precedes(ctx, a)
		if err != nil {
			return nil, err
		}
		if !begins {
			return nil, fmt.Errorf("%w: a log does not begin with the end of its predecessor", ErrCheckpoint)
		}
	}
	if !known {
		return nil, fmt.Errorf("%w: no log has the key that is held outside", ErrCheckpoint)
	}
	return all, nil
}

// anchorOf checks a log's newest checkpoint against its key, and the key against
// the log's id.
func anchorOf(db *tenancy.DB, tenant uuid.UUID, h *head) (*anchor, error) {
	id, err := logOfKey(h.vkey)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint([]byte(h.newest.note), h.vkey)
	if err != nil {
		return nil, err
	}
	if id != h.id {
		return nil, fmt.Errorf("%w: another log", ErrCheckpoint)
	}
	return &anchor{db: db, tenant: tenant, head: h, tree: tlog.Tree{N: c.Size, Hash: c.Root}}, nil
}

// precedes reports whether the log of b follows that of a: a's key vouches for b's
// in the succession, and b's first entry holds it, as long as there is one.
func (a *anchor) precedes(ctx context.Context, b *anchor) (bool, error) {
	if _, err := follows(a.head, b.head); err != nil {
		return false, nil //nolint:nilerr // it is what the answer says
	}
	first, err := readLeaves(ctx, b.db, b.tenant, b.head, 0, 1)
	if err != nil {
		return false, err
	}
	if len(first) == 0 { // gone with its log?
		drops, err := readDrops(ctx, b.db, b.tenant, nil)
		return drops.covers(b.head), err
	}
	if !first[0].begins(a.head, b.head) {
		return false, nil
	}
	first[0].at += b.head.base
	return b.holds(ctx, first[0])
}

// begins reports whether the row is the first entry of a log that follows another.
func (r *row) begins(from, to *head) bool {
	digest := partDigest(uuid.Nil, []byte(to.succession))
	return !r.odd && r.leaf.Action == actionBegin && r.leaf.Outcome == tenancy.Done && r.leaf.Object == from.id &&
		string(r.leaf.Digests) == string(digest[:])
}

// holds reports whether the tree of the log in which r claims a place holds it
// there.
func (as anchors) holds(ctx context.Context, r *row) (bool, error) {
	for _, a := range as {
		if r.at >= a.head.base && r.at < a.head.base+a.tree.N {
			return a.holds(ctx, r)
		}
	}
	return false, nil
}

// newest is the anchor of the log that grows.
func (as anchors) newest() *anchor { return as[len(as)-1] }

// holds reports whether the tree holds r at the place that r claims.
func (a *anchor) holds(ctx context.Context, r *row) (bool, error) {
	index := r.at - a.head.base
	if r.at < 0 || index < 0 || index >= a.tree.N {
		return false, nil
	}
	r.leaf.Log = a.head.id
	want, err := r.hash(nil)
	if err != nil {
		return false, nil //nolint:nilerr // what has no leaf is in no tree
	}
	tiles := &storedTiles{ctx: ctx, anchor: a}
	got, err := tlog.TileHashReader(a.tree, tiles).ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if tiles.failed != nil {
		return false, tiles.failed
	}
	return err == nil && got[0] == want, nil
}

// storedTiles implements [tlog.TileReader] for one reading. What it returns is
// not trusted: tlog checks it against the root.
type storedTiles struct {
	ctx    context.Context //nolint:containedctx // the interface has none
	anchor *anchor
	failed error // of the database
}

// Height implements [tlog.TileReader].
func (s *storedTiles) Height() int { return tileHeight }

// SaveTiles implements [tlog.TileReader].
func (s *storedTiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements [tlog.TileReader].
func (s *storedTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		got, err := readTiles(s.ctx, s.anchor.db, s.anchor.tenant, s.anchor.head.id, t.L, t.N, t.N+1)
		if err != nil {
			s.failed = err
			return nil, err
		}
		data := got[tileKey{t.L, t.N}]
		if len(data) < t.W*tlog.HashSize {
			return nil, errTree
		}
		out[i] = data[:t.W*tlog.HashSize]
	}
	return out, nil
}
