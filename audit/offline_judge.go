package audit

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// judgeGone reports bundles without file: at the end of the log they are a cut.
func (w *walk) judgeGone() {
	slices.Sort(w.gone)
	size := w.l.point.Size
	for gone := w.gone; len(gone) > 0; {
		n := 1
		for n < len(gone) && gone[n] == gone[0]+int64(n) {
			n++
		}
		w.missing(gone[0]<<tileHeight, min((gone[n-1]+1)<<tileHeight, size))
		gone = gone[n:]
	}
	if w.cut || w.ended.Load() {
		w.v.findf(w.l, KindDeleted, size, uuid.Nil, "so much is wrong that not all entries were compared")
	}
}

// missing reports entries that are not there.
func (w *walk) missing(first, end int64) {
	switch end {
	case w.l.point.Size:
		w.v.findf(w.l, KindTailCut, first, uuid.Nil, "the last entries are gone: %d to %d", first, end-1)
	case first + 1:
		w.v.findf(w.l, KindDeleted, first, uuid.Nil, "entry %d is gone", first)
	default:
		w.v.findf(w.l, KindDeleted, first, uuid.Nil, "the entries %d to %d are gone", first, end-1)
	}
}

// judgement says what was done to bundles that are not what the tree holds.
type judgement struct {
	*walk

	places map[tlog.Hash]int64 // where the tree holds an entry
	held   map[int64]bool      // those that stand anywhere
}

// judgeUnequal says what was done to bundles, where several follow each other as
// one: what is taken out of one moves the others.
func (w *walk) judgeUnequal() {
	j := &judgement{walk: w, places: make(map[tlog.Hash]int64), held: make(map[int64]bool)}
	for _, u := range w.unequal {
		for i := range len(u.want) / tlog.HashSize {
			j.places[tlog.Hash(u.want[i*tlog.HashSize:][:tlog.HashSize])] = u.n<<tileHeight + int64(i)
		}
	}
	j.locate()
	for _, u := range w.unequal {
		for i := range u.got {
			if at, ok := j.places[u.got[i].hash]; ok {
				j.held[at] = true
			}
		}
	}
	for all := w.unequal; len(all) > 0; {
		n := 1
		for n < len(all) && all[n].n == all[0].n+int64(n) {
			n++
		}
		if !j.aligned(all[:n], n == len(all) && w.cut) {
			j.moved(all[:n])
		}
		all = all[n:]
	}
}

// locate looks through all tiles for entries that came from other bundles.
func (j *judgement) locate() {
	strangers := make(map[tlog.Hash]bool)
	for _, u := range j.unequal {
		for i := range u.got {
			if _, known := j.places[u.got[i].hash]; !known {
				strangers[u.got[i].hash] = true
			}
		}
	}
	for n := int64(0); len(strangers) > 0 && n < tileCount(0, j.l.point.Size); n++ {
		data := j.l.tiles.read(tileKey{0, n})
		if data == nil {
			return // what is missing was found
		}
		for i := range len(data) / tlog.HashSize {
			if h := tlog.Hash(data[i*tlog.HashSize:][:tlog.HashSize]); strangers[h] {
				delete(strangers, h)
				j.places[h] = n<<tileHeight + int64(i)
			}
		}
	}
}

// aligned judges bundles whose entries stand in their order, some of them
// missing, exchanged or added; false where they do not. Behind an open end others
// follow that are not known.
func (j *judgement) aligned(group []unequal, open bool) bool {
	next, last := group[0].n<<tileHeight, group[len(group)-1]
	end := last.n<<tileHeight + int64(len(last.want)/tlog.HashSize)
	var gaps []gap
	var strangers []bundled
	for _, u := range group {
		for _, e := range u.got {
			at, known := j.places[e.hash]
			switch {
			case !known:
				strangers = append(strangers, e)
				continue
			case open && at >= end:
				continue
			case at < next || at >= end:
				return false
			}
			gaps = append(gaps, gap{next, at, strangers})
			next, strangers = at+1, nil
		}
	}
	if !open {
		gaps = append(gaps, gap{next, end, strangers})
	}
	for _, g := range gaps {
		j.gap(g)
	}
	return true
}

// gap is a run of entries that are not where they must be, and what stands there.
type gap struct {
	first, end int64
	strangers  []bundled
}

// gap takes strangers for edited entries as far as there are as many, else for
// inserted ones.
func (j *judgement) gap(g gap) {
	for len(g.strangers) > 0 && g.first < g.end {
		j.edited(g.first, &g.strangers[0])
		g.first, g.strangers = g.first+1, g.strangers[1:]
	}
	for i := range g.strangers {
		j.v.findf(j.l, KindInserted, g.first, g.strangers[i].event, "before entry %d stands one that was never sealed", g.first)
	}
	for first := g.first; first < g.end; first++ {
		end := first
		for end < g.end && !j.held[end] {
			end++
		}
		if end > first {
			j.missing(first, end)
		}
		first = end
	}
}

func (j *judgement) edited(index int64, e *bundled) {
	j.v.findf(j.l, KindEdited, index, e.event, "entry %d is not what was sealed", index)
}

// moved judges bundles whose entries changed places, place by place.
func (j *judgement) moved(group []unequal) {
	for _, u := range group {
		width := len(u.want) / tlog.HashSize
		for i := range max(width, len(u.got)) {
			index := u.n<<tileHeight + int64(i)
			if i < len(u.got) {
				j.place(index, &u.got[i], i < width)
			} else if !j.held[index] {
				j.missing(index, index+1)
			}
		}
	}
}

// place judges what stands in one place.
func (j *judgement) place(index int64, e *bundled, inside bool) {
	switch at, known := j.places[e.hash]; {
	case known && at == index:
	case known && !j.inPlace(at):
		j.v.findf(j.l, KindReordered, index, e.event, "entry %d stands in the place of entry %d", at, index)
	case known:
		j.v.findf(j.l, KindInserted, index, e.event, "a copy of entry %d stands in the place of entry %d", at, index)
	case inside:
		j.edited(index, e)
	default:
		j.v.findf(j.l, KindInserted, index, e.event, "behind the entries of its bundle stands one that was never sealed")
	}
}

// inPlace reports whether an entry stands where it must.
func (j *judgement) inPlace(index int64) bool {
	n := index >> tileHeight
	if _, gone := slices.BinarySearch(j.gone, n); gone {
		return false
	}
	at, unequal := slices.BinarySearchFunc(j.unequal, n, func(u unequal, n int64) int { return cmp.Compare(u.n, n) })
	if !unequal {
		return true
	}
	i := index - n<<tileHeight
	got := j.unequal[at].got
	if i >= int64(len(got)) {
		return false
	}
	held, known := j.places[got[i].hash]
	return known && held == index
}
