package audit

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// verifyTiles is how many tiles of entries are judged at a time.
const verifyTiles = 4

// suspect is a row that does not match the entry that it claims to be.
type suspect struct {
	index int64 // claimed
	event uuid.UUID
	hash  tlog.Hash
}

// walk judges all entries, some tiles at a time, in the order of the tree. What
// comes next is read and hashed meanwhile, a few pages ahead.
func (v *verifier) walk(ctx context.Context) error {
	if v.size == 0 {
		return nil
	}
	var err error
	if v.tree.upper, err = readUpper(ctx, v.db, v.tenant, v.head.id, v.size); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for next := range v.ahead(ctx, &readers) {
		p := <-next
		if p.err != nil {
			return p.err
		}
		v.judge(p)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	v.judgeUpper()
	return nil
}

// page is what was read of some tiles.
type page struct {
	first, last int64 // tiles
	tiles       map[tileKey][]byte
	rows        []*row
	hashes      []tlog.Hash // of the rows
	parts       map[partKey][digestSize]byte
	manifests   map[uuid.UUID][]byte
	err         error
}

// ahead reads pages side by side, as many as there are processors, and hands them
// on in their order.
func (v *verifier) ahead(ctx context.Context, readers *sync.WaitGroup) <-chan (<-chan *page) {
	queue := make(chan (<-chan *page), runtime.GOMAXPROCS(0))
	tiles := tileCount(0, v.size)
	readers.Go(func() {
		defer close(queue)
		for first := int64(0); first < tiles; first += verifyTiles {
			one := make(chan *page, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return
			}
			readers.Go(func() { one <- v.readPage(ctx, first, min(first+verifyTiles, tiles)) })
		}
	})
	return queue
}

func (v *verifier) readPage(ctx context.Context, first, last int64) *page {
	p := &page{first: first, last: last}
	if p.tiles, p.err = readTiles(ctx, v.db, v.tenant, v.head.id, 0, first, last); p.err != nil {
		return p
	}
	from, to := first<<tileHeight, min(last<<tileHeight, v.size)
	if p.rows, p.err = readLeaves(ctx, v.db, v.tenant, v.head, from, to); p.err != nil {
		return p
	}
	if p.parts, p.manifests, p.err = v.readParts(ctx, from, to); p.err != nil {
		return p
	}
	p.hashes = make([]tlog.Hash, len(p.rows))
	var scratch [1 << 10]byte
	for i, r := range p.rows {
		p.hashes[i], _ = r.hash(scratch[:0]) // what has no leaf matches nothing
	}
	return p
}

// judge judges the tiles of a page one after the other.
func (v *verifier) judge(p *page) {
	rows, hashes := p.rows, p.hashes
	for n := p.first; n < p.last; n++ {
		k := tileKey{0, n}
		count, _ := slices.BinarySearchFunc(rows, (n+1)<<tileHeight, func(r *row, end int64) int { return int(r.at - end) })
		for _, r := range v.walkTile(k, p.tiles[k], rows[:count], hashes[:count]) {
			v.judgeBegin(r)
			v.judgeParts(r, p.parts, p.manifests)
		}
		rows, hashes = rows[count:], hashes[count:]
	}
}

// walkTile judges the rows of one tile and returns those that match it.
func (v *verifier) walkTile(k tileKey, stored []byte, rows []*row, hashes []tlog.Hash) []*row {
	width := k.widthAt(v.size)
	start := k.n << tileHeight
	byRow := make([]tlog.Hash, width)
	has := make([]bool, width)
	held := 0
	for i, r := range rows {
		if at := r.at - start; !has[at] {
			has[at], byRow[at] = true, hashes[i]
			held++
		}
	}
	data := v.authentic(k, stored, byRow, held == int(width))
	matched := make([]*row, 0, len(rows))
	done := make([]bool, width)
	for i, r := range rows {
		at := r.at - start
		if h := tlog.Hash(data[at*tlog.HashSize:][:tlog.HashSize]); h == hashes[i] && !done[at] {
			done[at] = true
			matched = append(matched, r)
			continue
		}
		v.suspects = append(v.suspects, suspect{index: r.at, event: r.leaf.Event, hash: hashes[i]})
	}
	for at := range width {
		if !done[at] {
			v.lacking[start+at] = true
		}
	}
	v.grow(k, data)
	return matched
}

// resolve says of each row that does not match, and of each entry without row,
// what it looks like.
func (v *verifier) resolve(ctx context.Context) error {
	places, err := v.places(ctx)
	if err != nil {
		return err
	}
	claimed := make(map[int64]bool)
	for _, s := range v.suspects {
		at, known := places[s.hash]
		switch {
		case known && v.lacking[at]:
			v.findf(KindReordered, s.index, s.event, "entry %d stands in the place of entry %d", at, s.index)
			claimed[at] = true
		case known:
			v.findf(KindInserted, s.index, s.event, "a copy of entry %d claims to be entry %d", at, s.index)
		case v.lacking[s.index] && !claimed[s.index]:
			v.findf(KindEdited, s.index, s.event, "entry %d is not what was sealed", s.index)
			claimed[s.index] = true
		default:
			v.findf(KindInserted, s.index, s.event, "a second row claims to be entry %d", s.index)
		}
	}
	v.judgeLacking(claimed)
	return nil
}

// judgeLacking reports entries without any row. Those at the end are one cut.
func (v *verifier) judgeLacking(claimed map[int64]bool) {
	var gone []int64
	for index := range v.lacking {
		if !claimed[index] {
			gone = append(gone, index)
		}
	}
	slices.Sort(gone)
	end := v.size
	for len(gone) > 0 && gone[len(gone)-1] == end-1 {
		end--
		gone = gone[:len(gone)-1]
	}
	for _, index := range gone {
		v.findf(KindDeleted, index, uuid.Nil, "entry %d is gone", index)
	}
	if end < v.size {
		v.findf(KindTailCut, end, uuid.Nil, "the last entries are gone: %d to %d", end, v.size-1)
	}
}

// places finds where the hashes of suspects stand in the tree. It reads the
// tiles a second time, and only when there are suspects.
func (v *verifier) places(ctx context.Context) (map[tlog.Hash]int64, error) {
	found := make(map[tlog.Hash]int64)
	if len(v.suspects) == 0 {
		return found, nil
	}
	wanted := make(map[tlog.Hash]bool, len(v.suspects))
	for _, s := range v.suspects {
		wanted[s.hash] = true
	}
	tiles := tileCount(0, v.size)
	for first := int64(0); first < tiles; first += verifyTiles {
		got, err := readTiles(ctx, v.db, v.tenant, v.head.id, 0, first, min(first+verifyTiles, tiles))
		if err != nil {
			return nil, err
		}
		for k, data := range got {
			for i := int64(0); int64(len(data)) >= (i+1)*tlog.HashSize; i++ {
				if h := tlog.Hash(data[i*tlog.HashSize:][:tlog.HashSize]); wanted[h] {
					found[h] = k.n<<tileHeight + i
				}
			}
		}
	}
	return found, nil
}
