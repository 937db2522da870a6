package audit

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	walkChunk  = 16      // tiles that a worker takes at a time
	maxGone    = 1 << 12 // bundles that may be missing before a walk ends
	maxUnequal = 64      // bundles that are kept to say what was done to them
)

// walk compares the entries of one log with its tree.
type walk struct {
	v     *exportVerifier
	l     *link
	from  int64 // the first bundle
	to    int64 // behind the last
	next  atomic.Int64
	limit atomic.Int64 // bundles from here on would tell nothing new
	ended atomic.Bool  // and none at all would

	mu      sync.Mutex
	gone    []int64   // bundles without file
	unequal []unequal // the first bundles that are not what the tree holds
	cut     bool      // there are more of them
	err     error
}

// unequal is a bundle that is not what the tree holds.
type unequal struct {
	n    int64
	want []byte // hashes
	got  []bundled
}

// walk judges what the options ask for, and the first entry of the log.
func (v *exportVerifier) walk(ctx context.Context, l *link) error {
	if !l.valid || l.dropped {
		return nil
	}
	l.tiles = v.newFileTiles(l)
	if l.tiles.err != nil {
		return l.tiles.err
	}
	if !l.tiles.rooted {
		return v.unrooted(l)
	}
	w := &walk{v: v, l: l}
	w.from, w.to = v.bundles(l)
	w.next.Store(w.from)
	w.limit.Store(w.to)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), int((w.to-w.from)/walkChunk)+1) {
		workers.Go(func() { w.work(ctx) })
	}
	if workers.Wait(); w.err == nil && w.from > 0 {
		w.bundle(l.tiles, 0)
	}
	if err := cmp.Or(w.err, l.tiles.err, ctx.Err()); err != nil {
		return err
	}
	w.judgeGone()
	w.judgeUnequal()
	if l.orphan && l.note == nil { // with one it was told already
		v.findf(l, KindDeleted, 0, uuid.Nil, "the logs before it are missing: its first entry names the one before")
	}
	if l.previous != nil && !l.begins && l.point.Size > 0 {
		v.findf(l, KindForeign, 0, uuid.Nil, "its first entry does not name log %d, which it follows", l.previous.number)
	}
	return nil
}

// bundles are those that hold the entries that are asked for.
func (v *exportVerifier) bundles(l *link) (from, to int64) {
	first, last := min(max(v.o.From-l.base, 0), l.point.Size), l.point.Size
	if v.o.To > 0 {
		last = min(max(v.o.To-l.base, first), last)
	}
	if first == last {
		return 0, min(1, tileCount(0, l.point.Size))
	}
	return first >> tileHeight, tileCount(0, last)
}

// unrooted says what it looks like when no tiles yield the root.
func (v *exportVerifier) unrooted(l *link) error {
	count := tileCount(0, l.point.Size)
	var failed error
	missing := func(n int) bool {
		k := tileKey{0, int64(n)}
		path := exportPath(tlog.Tile{H: tileHeight, L: -1, N: k.n, W: int(k.widthAt(l.point.Size))})
		has, err := v.files.has(in(l.dir, path))
		failed = cmp.Or(failed, err)
		return !has
	}
	if count == 0 || !missing(int(count-1)) {
		v.findf(l, KindCheckpoint, l.point.Size, uuid.Nil,
			"neither the tiles nor the entries yield the root that is signed for %d entries: the log was forked or rewritten, or several tiles are damaged", l.point.Size)
		return failed
	}
	first := int64(sort.Search(int(count), missing)) << tileHeight
	v.findf(l, KindTailCut, first, uuid.Nil,
		"the checkpoint covers %d entries, and the bundles from entry %d on are missing: the end was cut off", l.point.Size, first)
	return failed
}

// work takes bundles until none is left.
func (w *walk) work(ctx context.Context) {
	tiles := w.l.tiles.clone()
	for {
		first := w.next.Add(walkChunk) - walkChunk
		for n := first; n < min(first+walkChunk, w.limit.Load()); n++ {
			if w.bundle(tiles, n); tiles.err != nil {
				w.fail(tiles.err)
			}
			if w.ended.Load() || ctx.Err() != nil {
				return
			}
		}
		if first >= w.limit.Load() {
			return
		}
	}
}

func (w *walk) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = cmp.Or(w.err, err)
	w.ended.Store(true)
}

// bundle compares one bundle with the tree.
func (w *walk) bundle(t *fileTiles, n int64) {
	b := t.bundle(n)
	if t.err != nil {
		return
	}
	if b.missing {
		w.miss(n)
		return
	}
	want := w.want(t, n, b)
	if want == nil {
		if w.v.enough() {
			w.ended.Store(true)
		}
		return
	}
	w.take(n, b, want)
	if len(b.entries) != len(want)/tlog.HashSize || string(b.hashes()) != string(want) {
		w.differ(n, b, want)
	} else if b.excess {
		w.v.findf(w.l, KindInserted, (n+1)<<tileHeight, uuid.Nil, "%s holds more than its entries", w.path(n))
	}
}

func (w *walk) path(n int64) string {
	return exportPath(tlog.Tile{H: tileHeight, L: -1, N: n, W: tileWidth})
}

// want decides which hashes the entries of a bundle must have: those of the tile,
// or those that they have, whichever fits what stands above.
func (w *walk) want(t *fileTiles, n int64, b *bundle) []byte {
	k := tileKey{0, n}
	first, last := n<<tileHeight, n<<tileHeight+k.widthAt(t.size)-1
	fits := t.fits(k)
	if fits == nil {
		w.v.findf(w.l, KindTileDamaged, n>>tileHeight, uuid.Nil,
			"the entries below %s cannot be compared: it is damaged, and so is what could mend it", tileKey{1, n >> tileHeight}.path())
		return nil
	}
	stored, computed := t.read(k), b.hashes()
	switch {
	case fits(stored):
		return stored
	case fits(computed):
		t.damaged(k, stored)
		return computed
	}
	t.damaged(k, stored)
	w.v.findf(w.l, KindEdited, first, uuid.Nil, "of the entries %d to %d some are not what was sealed; their tile is damaged, so that it does not say which", first, last)
	return nil
}

// take looks at the entries that are what was sealed.
func (w *walk) take(n int64, b *bundle, want []byte) {
	good := int64(0)
	for i := range min(len(b.entries), len(want)/tlog.HashSize) {
		e := &b.entries[i]
		if e.hash != tlog.Hash(want[i*tlog.HashSize:][:tlog.HashSize]) {
			continue
		}
		good++
		index := n<<tileHeight + int64(i)
		switch {
		case !e.leaf || e.log != w.l.id:
			w.v.findf(w.l, KindForeign, index, e.event, "entry %d is no leaf of this log", index)
		case e.owner != w.v.tenant:
			w.v.findf(w.l, KindForeign, index, e.event, "entry %d is one of another tenant", index)
		case e.first != nil:
			w.mu.Lock()
			w.l.begins = w.l.begun(e.first)
			w.l.orphan = w.l.previous == nil && e.first.Action == actionBegin
			w.mu.Unlock()
		}
		if e.drops != uuid.Nil {
			w.v.drop(w.l, e.drops)
		}
	}
	w.v.mu.Lock()
	w.v.checked += good
	w.v.mu.Unlock()
}

// drop notes that an entry says that an earlier log was dropped.
func (v *exportVerifier) drop(by *link, log uuid.UUID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.ContainsFunc(v.logs[:by.at], func(l *link) bool { return l.id == log }) {
		v.dropped[log] = true
	}
}

// miss notes a bundle that is not there.
func (w *walk) miss(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone = append(w.gone, n); len(w.gone) >= maxGone {
		w.ended.Store(true)
	}
}

// differ keeps a bundle that is not what the tree holds, unless enough of those
// before it are kept.
func (w *walk) differ(n int64, b *bundle, want []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, _ := slices.BinarySearchFunc(w.unequal, n, func(u unequal, n int64) int { return cmp.Compare(u.n, n) })
	w.unequal = slices.Insert(w.unequal, at, unequal{n: n, want: want, got: b.entries})
	if len(w.unequal) > maxUnequal {
		w.cut = true
		w.unequal = slices.Delete(w.unequal, maxUnequal, maxUnequal+1)
		w.limit.Store(w.unequal[maxUnequal-1].n + 1)
	}
}
