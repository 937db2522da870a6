package audit

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// point is a checkpoint whose root is to be compared on the way.
type point struct {
	size    int64
	root    [32]byte
	outside bool // held outside the database
}

// readPoints judges the checkpoints and picks the one that the log must match.
func (v *verifier) readPoints(ctx context.Context, newest bool, logs []*head) error {
	h := v.head
	known := slices.ContainsFunc(logs, func(h *head) bool { return h.vkey == v.o.Key })
	v.report.Origin, v.report.Key = originOf(h.id), h.vkey
	if v.o.Key != "" && newest && !known {
		v.report.Key = v.o.Key
		v.findf(KindCheckpoint, -1, uuid.Nil, "the public key in the database is not the one that is held outside")
	}
	if id, err := logOfKey(v.report.Key); err != nil || id != h.id || h.origin != v.report.Origin {
		v.findf(KindCheckpoint, -1, uuid.Nil, "the id of the log is not that of its key, or its name is not that of its id")
	}
	notes, err := readCheckpoints(ctx, v.db, v.tenant, h)
	if err != nil {
		return err
	}
	for _, n := range notes {
		v.addPoint([]byte(n.note), n.size, false)
	}
	v.addHeld(newest)
	v.forgiven = forgiven(logs, h)
	v.choose()
	return nil
}

// addHeld takes in the checkpoints held outside that name this log; with the
// newest those too that name none.
func (v *verifier) addHeld(newest bool) {
	for i := range v.outside {
		held := &v.outside[i]
		if held.taken || held.origin != originOf(v.head.id) && !newest {
			continue
		}
		held.taken = true
		v.addPoint(held.note, -1, true)
	}
}

// addPoint takes a checkpoint in, by order of size.
func (v *verifier) addPoint(note []byte, size int64, outside bool) {
	c, err := ParseCheckpoint(note, v.report.Key)
	switch {
	case err != nil && outside:
		v.findf(KindCheckpoint, -1, uuid.Nil, "a checkpoint that is held outside is forged, damaged or of another log: %s", faultOf(err))
		return
	case err != nil:
		v.findf(KindCheckpoint, size, uuid.Nil, "the checkpoint of size %d is forged or damaged: %s", size, faultOf(err))
		return
	case c.Origin != originOf(v.head.id):
		v.findf(KindCheckpoint, c.Size, uuid.Nil, "the checkpoint of size %d is of another log", c.Size)
		return
	case !outside && c.Size != size:
		v.findf(KindCheckpoint, size, uuid.Nil, "the checkpoint stored for size %d is that of size %d", size, c.Size)
	}
	i := len(v.points)
	for i > 0 && v.points[i-1].size > c.Size {
		i--
	}
	v.points = append(v.points, point{})
	copy(v.points[i+1:], v.points[i:])
	v.points[i] = point{size: c.Size, root: c.Root, outside: outside}
}

// faultOf says what is wrong with a checkpoint.
func faultOf(err error) string {
	return strings.TrimPrefix(err.Error(), ErrCheckpoint.Error()+": ")
}

// choose sets the size and root that the entries must yield: those that stand
// in the log's row, unless a signed checkpoint says otherwise. Checkpoints held
// outside of up to the forgiven size may cover more, since a restore lost it.
func (v *verifier) choose() {
	h := v.head
	v.size, v.root = h.size, h.root
	newest := point{size: -1}
	for _, p := range v.points {
		if !p.outside {
			newest = p
		}
	}
	switch {
	case newest.size < 0:
		v.findf(KindCheckpoint, h.size, uuid.Nil, "no valid checkpoint is left for the %d entries of the log", h.size)
	case h.size < newest.size:
		v.size, v.root = newest.size, newest.root
		v.findf(KindTailCut, h.size, uuid.Nil, "the log was set back to %d entries; a checkpoint covers %d", h.size, newest.size)
	case h.size > newest.size:
		v.size, v.root = newest.size, newest.root
		v.findf(KindCheckpoint, h.size, uuid.Nil, "the log says it has %d entries; its newest valid checkpoint covers %d", h.size, newest.size)
	case h.root != newest.root:
		v.root = newest.root
		v.findf(KindCheckpoint, h.size, uuid.Nil, "the root that is stored for the log is not that of its checkpoint")
	}
	root := v.root
	v.report.Size, v.report.Root = v.size, root[:]
	for _, p := range v.points {
		if p.size > v.size && p.size > v.forgiven {
			v.findf(KindTailCut, v.size, uuid.Nil,
				"the log has %d entries; a checkpoint held outside covers %d: the end was cut, or an old backup restored", v.size, p.size)
			break
		}
	}
}

// tree grows while tile after tile of level 0 is judged.
type tree struct {
	upper map[tileKey][]byte
	tops  fold        // over full tiles of level 0
	level []tlog.Hash // what the hashes of level 1 must be
}

// rootWith is the root of the tree so far, with a part of the next tile.
func (t *tree) rootWith(part *fold) tlog.Hash {
	stack := t.tops.stack
	if part.n > 0 {
		stack = append(append([]tlog.Hash{}, stack...), part.root())
	}
	f := fold{stack: stack}
	return f.root()
}

// authentic decides which hashes a tile of level 0 must hold: those stored, or
// those of the rows, whichever fits the hash above it (or, for the last tile,
// the root). A stored tile that loses is damaged.
func (v *verifier) authentic(k tileKey, stored []byte, rows []tlog.Hash, complete bool) []byte {
	width := int(k.widthAt(v.size))
	computed := make([]byte, 0, width*tlog.HashSize)
	for _, h := range rows {
		computed = append(computed, h[:]...)
	}
	if len(stored) >= width*tlog.HashSize {
		stored = stored[:width*tlog.HashSize]
	}
	switch {
	case bytes.Equal(stored, computed):
		return stored
	case len(stored) == len(computed) && v.fits(k, stored):
		return stored
	case complete && v.fits(k, computed), len(stored) != len(computed):
		v.findf(KindTileDamaged, k.n, uuid.Nil, "%s does not hold the hashes of its entries", k.path())
		return computed
	}
	return stored
}

// fits reports whether a tile of level 0 yields what stands above it.
func (v *verifier) fits(k tileKey, data []byte) bool {
	if len(data) == tileWidth*tlog.HashSize {
		above := v.tree.upper[tileKey{1, k.n >> tileHeight}]
		at := int(k.n&(tileWidth-1)) * tlog.HashSize
		h := foldAll(data)
		return len(above) >= at+tlog.HashSize && bytes.Equal(above[at:at+tlog.HashSize], h[:])
	}
	var part fold
	for rest := data; len(rest) >= tlog.HashSize; rest = rest[tlog.HashSize:] {
		part.add(tlog.Hash(rest[:tlog.HashSize]))
	}
	return v.tree.rootWith(&part) == v.root
}

// grow adds the hashes of one tile, and compares the roots of checkpoints on
// the way.
func (v *verifier) grow(k tileKey, data []byte) {
	var part fold
	for n := k.n << tileHeight; len(data) >= tlog.HashSize; data = data[tlog.HashSize:] {
		part.add(tlog.Hash(data[:tlog.HashSize]))
		n++
		v.compare(n, &part)
	}
	if part.n == tileWidth {
		v.tree.tops.add(part.root())
		v.tree.level = append(v.tree.level, part.root())
	}
}

// compare checks the checkpoints of size n.
func (v *verifier) compare(n int64, part *fold) {
	for v.passed < len(v.points) && v.points[v.passed].size <= n {
		p := v.points[v.passed]
		v.passed++
		switch {
		case p.size != n:
		case v.tree.rootWith(part) == p.root:
			v.good = n
		case p.outside:
			v.findf(KindCheckpoint, n, uuid.Nil,
				"the first %d entries are not those of the checkpoint held outside: the log was rewritten", n)
		case !v.bad: // the later ones cannot fit either
			v.bad = true
			v.findf(KindCheckpoint, n, uuid.Nil,
				"the tree does not match its signed checkpoint of size %d: of the entries %d to %d some were rewritten", n, v.good, n-1)
		}
	}
}

// judgeUpper checks the tiles above level 0 against what the entries yield.
func (v *verifier) judgeUpper() {
	below := v.tree.level
	for level := 1; level <= topLevel(v.size); level++ {
		var next []tlog.Hash
		for n := range tileCount(level, v.size) {
			k := tileKey{level, n}
			var want []byte
			for _, h := range below[n<<tileHeight : n<<tileHeight+k.widthAt(v.size)] {
				want = append(want, h[:]...)
			}
			if !bytes.HasPrefix(v.tree.upper[k], want) {
				v.findf(KindTileDamaged, n, uuid.Nil, "%s does not hold the hashes of the tiles below it", k.path())
			}
			if len(want) == tileWidth*tlog.HashSize {
				next = append(next, foldAll(want))
			}
		}
		below = next
	}
}
