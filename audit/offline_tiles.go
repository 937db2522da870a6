package audit

import (
	"bufio"
	"bytes"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// fileTiles are the tiles of one exported log. What they yield was checked from
// the root down: a tile that does not fit what stands above it is damaged, and
// computed from what lies below it, where that fits. It holds one tile of each
// level. It is not safe for concurrent use: each worker has its own.
type fileTiles struct {
	v      *exportVerifier
	l      *link
	size   int64
	rooted bool                    // the edge yields the root
	edge   [maxLevels][]byte       // the last tile of each level where it is partial
	last   [maxLevels]*checkedTile // of the full ones
	err    error                   // of a file that cannot be read

	reader  *bufio.Reader
	scratch []byte
}

const maxLevels = 8 // of tiles in a log of maxLog entries

type checkedTile struct {
	n    int64
	data []byte // nil: neither it nor what lies below it fits
}

// clone is another worker's.
func (t *fileTiles) clone() *fileTiles {
	return &fileTiles{v: t.v, l: t.l, size: t.size, rooted: t.rooted, edge: t.edge}
}

// newFileTiles checks the right edge of the tree against the root.
func (v *exportVerifier) newFileTiles(l *link) *fileTiles {
	t := &fileTiles{v: v, l: l, size: l.point.Size}
	var partial []tileKey
	stored := make(map[tileKey][]byte)
	for level := 0; level <= topLevel(t.size); level++ {
		k := tileKey{level, t.size >> (tileHeight * (level + 1))}
		if k.widthAt(t.size) > 0 {
			partial = append(partial, k)
			stored[k] = t.read(k)
		}
	}
	if t.err != nil || t.settle(partial, stored) {
		return t
	}
	t.mend(partial, stored)
	return t
}

// settle takes the tiles as the edge if they yield the root.
func (t *fileTiles) settle(partial []tileKey, tiles map[tileKey][]byte) bool {
	e := edge{size: t.size, root: t.l.point.Root, tiles: tiles}
	if e.check() != nil {
		return false
	}
	for _, k := range partial {
		t.edge[k.level] = tiles[k]
	}
	t.rooted = true
	return true
}

// mend looks for tiles of the edge that are damaged while what lies below them is
// not: with whichever are computed, the edge must yield the root.
func (t *fileTiles) mend(partial []tileKey, stored map[tileKey][]byte) {
	computed := make(map[tileKey][]byte)
	for _, k := range partial {
		computed[k] = t.rebuild(k)
	}
	for mask := 1; mask < 1<<len(partial) && t.err == nil; mask++ {
		tiles := make(map[tileKey][]byte)
		for i, k := range partial {
			tiles[k] = stored[k]
			if mask>>i&1 == 1 {
				tiles[k] = computed[k]
			}
		}
		if !t.settle(partial, tiles) {
			continue
		}
		for i, k := range partial {
			if mask>>i&1 == 1 && !bytes.Equal(stored[k], computed[k]) {
				t.damaged(k, stored[k])
			}
		}
		return
	}
}

// read reads a tile as wide as the checkpoint says; nil where there is none of
// that width.
func (t *fileTiles) read(k tileKey) []byte {
	width := k.widthAt(t.size)
	b, err := t.v.files.read(in(t.l.dir, exportPath(tlog.Tile{H: tileHeight, L: k.level, N: k.n, W: int(width)})), width*tlog.HashSize)
	if err != nil {
		t.err = err
		return nil
	}
	if int64(len(b)) != width*tlog.HashSize {
		return b[:0]
	}
	return b
}

// damaged reports a tile that does not fit.
func (t *fileTiles) damaged(k tileKey, stored []byte) {
	text := "%s does not hold the hashes that stand below it"
	if stored == nil {
		text = "%s is missing"
	}
	t.v.findf(t.l, KindTileDamaged, k.n, uuid.Nil, text, k.path())
}

// rebuild computes a tile from what lies below it; nil where that is incomplete.
func (t *fileTiles) rebuild(k tileKey) []byte {
	width := k.widthAt(t.size)
	if k.level == 0 {
		b := t.bundle(k.n)
		if int64(len(b.entries)) != width {
			return nil
		}
		return b.hashes()
	}
	var data []byte
	for i := range width {
		child := tileKey{k.level - 1, k.n<<tileHeight + i}
		below := t.read(child)
		if below == nil {
			below = t.rebuild(child)
		}
		if len(below) != tileWidth*tlog.HashSize {
			return nil
		}
		h := foldAll(below)
		data = append(data, h[:]...)
	}
	return data
}

// get is a tile that was checked, nil where it cannot be.
func (t *fileTiles) get(k tileKey) []byte {
	if k.widthAt(t.size) < tileWidth {
		return t.edge[k.level]
	}
	if c := t.last[k.level]; c != nil && c.n == k.n {
		return c.data
	}
	c := &checkedTile{n: k.n, data: t.check(k)}
	t.last[k.level] = c
	return c.data
}

// check reads a full tile and compares it with what stands above it.
func (t *fileTiles) check(k tileKey) []byte {
	fits := t.fits(k)
	if fits == nil {
		return nil
	}
	stored := t.read(k)
	if fits(stored) {
		return stored
	}
	t.damaged(k, stored)
	if computed := t.rebuild(k); fits(computed) {
		return computed
	}
	return nil
}

// fits gives what tells whether the hashes of a tile are those of the tree; nil
// where nothing does.
func (t *fileTiles) fits(k tileKey) func([]byte) bool {
	if k.widthAt(t.size) < tileWidth {
		want := t.edge[k.level]
		if want == nil {
			return nil
		}
		return func(data []byte) bool { return bytes.Equal(data, want) }
	}
	above := t.get(tileKey{k.level + 1, k.n >> tileHeight})
	at := int(k.n&(tileWidth-1)) * tlog.HashSize
	if len(above) < at+tlog.HashSize {
		return nil
	}
	want := tlog.Hash(above[at:][:tlog.HashSize])
	return func(data []byte) bool { return len(data) == tileWidth*tlog.HashSize && foldAll(data) == want }
}

// ReadHashes implements [tlog.HashReader].
func (t *fileTiles) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		at := tlog.TileForIndex(tileHeight, index)
		h, err := tlog.HashFromTile(at, t.get(tileKey{at.L, at.N}), index)
		if err != nil {
			return nil, errTree
		}
		out[i] = h
	}
	return out, nil
}
