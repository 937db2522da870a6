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

// readAnchor reads a log's newest checkpoint and checks it against vkey, or
// where that is empty against the key in the database. It is nil without a log,
// and [ErrCheckpoint] when the checkpoint is not valid.
func readAnchor(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, vkey string) (*anchor, error) {
	h, err := readHead(ctx, db, tenant)
	if err != nil || h == nil {
		return nil, err
	}
	if vkey == "" {
		vkey = h.vkey
	}
	id, err := logOfKey(vkey)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint([]byte(h.newest.note), vkey)
	if err != nil {
		return nil, err
	}
	if id != h.id {
		return nil, fmt.Errorf("%w: another log", ErrCheckpoint)
	}
	return &anchor{db: db, tenant: tenant, head: h, tree: tlog.Tree{N: c.Size, Hash: c.Root}}, nil
}

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
