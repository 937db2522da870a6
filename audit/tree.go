package audit

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// errTree says that stored tiles do not yield the tree they must.
var errTree = errors.New("audit: stored tiles do not match the log's root")

// tileKey is the place of a tile; its width follows from the tree's size.
type tileKey struct {
	level int
	n     int64
}

// path is the tile's place in an export, without the ".p/W" of a partial one.
func (k tileKey) path() string {
	return exportPath(tlog.Tile{H: tileHeight, L: k.level, N: k.n, W: tileWidth})
}

// edge is the right edge of a tree: its last tile of each level, as far as it
// is partial. From it the tree can grow.
type edge struct {
	size  int64
	root  tlog.Hash
	tiles map[tileKey][]byte
}

// grown is what adding leaves has changed.
type grown struct {
	size  int64
	root  tlog.Hash
	tiles map[tileKey][]byte
}

// grow adds leaves. It first checks that the edge yields the root, so that no
// signature is ever given to a continuation of damaged tiles.
func (e *edge) grow(leaves []tlog.Hash) (*grown, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	o := &overlay{edge: e, base: tlog.StoredHashCount(e.size)}
	for i, h := range leaves {
		more, err := tlog.StoredHashesForRecordHash(e.size+int64(i), h, o)
		if err != nil {
			return nil, fmt.Errorf("audit: grow tree: %w", err)
		}
		o.fresh = append(o.fresh, more...)
	}
	g := &grown{size: e.size + int64(len(leaves)), tiles: make(map[tileKey][]byte)}
	root, err := tlog.TreeHash(g.size, o)
	if err != nil {
		return nil, fmt.Errorf("audit: grow tree: %w", err)
	}
	g.root = root
	for _, t := range tlog.NewTiles(tileHeight, e.size, g.size) {
		data, err := o.tile(t)
		if err != nil {
			return nil, err
		}
		g.tiles[tileKey{t.L, t.N}] = data
	}
	return g, nil
}

func (e *edge) check() error {
	root, err := tlog.TreeHash(e.size, &overlay{edge: e, base: tlog.StoredHashCount(e.size)})
	if err != nil || root != e.root {
		return errTree
	}
	return nil
}

// overlay reads hashes of a growing tree: old ones from the edge, fresh ones
// from memory. It implements [tlog.HashReader].
type overlay struct {
	edge  *edge
	base  int64 // storage index of fresh[0]
	fresh []tlog.Hash
}

// ReadHashes implements [tlog.HashReader].
func (o *overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, err := o.hash(index)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

func (o *overlay) hash(index int64) (tlog.Hash, error) {
	if index >= o.base {
		if i := index - o.base; i < int64(len(o.fresh)) {
			return o.fresh[i], nil
		}
		return tlog.Hash{}, errTree
	}
	t := tlog.TileForIndex(tileHeight, index)
	h, err := tlog.HashFromTile(t, o.edge.tiles[tileKey{t.L, t.N}], index)
	if err != nil {
		return tlog.Hash{}, errTree
	}
	return h, nil
}

// tile is the content of t: what the edge holds of it, then fresh hashes.
func (o *overlay) tile(t tlog.Tile) ([]byte, error) {
	first := t.N << tileHeight
	old := min(max(o.edge.size>>(tileHeight*t.L)-first, 0), tileWidth)
	data := make([]byte, 0, t.W*tlog.HashSize)
	if old > 0 {
		held := o.edge.tiles[tileKey{t.L, t.N}]
		if int64(len(held)) < old*tlog.HashSize {
			return nil, errTree
		}
		data = append(data, held[:old*tlog.HashSize]...)
	}
	for i := first + old; i < first+int64(t.W); i++ {
		h, err := o.hash(tlog.StoredHashIndex(t.L*tileHeight, i))
		if err != nil {
			return nil, err
		}
		data = append(data, h[:]...)
	}
	return data, nil
}

// emptyRoot is the root of a tree without leaves.
func emptyRoot() tlog.Hash {
	h, err := tlog.TreeHash(0, nil)
	if err != nil {
		return tlog.Hash{}
	}
	return h
}

// fold computes the root of a sequence of hashes in constant memory.
type fold struct {
	n     int64
	stack []tlog.Hash
}

func (f *fold) add(h tlog.Hash) {
	f.n++
	for i := f.n; i&1 == 0; i >>= 1 {
		last := len(f.stack) - 1
		h = tlog.NodeHash(f.stack[last], h)
		f.stack = f.stack[:last]
	}
	f.stack = append(f.stack, h)
}

func (f *fold) root() tlog.Hash {
	if len(f.stack) == 0 {
		return emptyRoot()
	}
	h := f.stack[len(f.stack)-1]
	for i := len(f.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.stack[i], h)
	}
	return h
}

// foldAll is the root over the hashes that lie in data one after another.
func foldAll(data []byte) tlog.Hash {
	var f fold
	for ; len(data) >= tlog.HashSize; data = data[tlog.HashSize:] {
		f.add(tlog.Hash(data[:tlog.HashSize]))
	}
	return f.root()
}
