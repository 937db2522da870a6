package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
)

// verifyTiles is how many tiles of entries are judged at a time.
const verifyTiles = 4

// suspect is a row that does not match the entry that it claims to be.
type suspect struct {
	index int64 // claimed
	event uuid.UUID
	hash  tlog.Hash
}

// gonePart is a ciphertext that is missing.
type gonePart struct {
	index  int64
	event  uuid.UUID
	digest [digestSize]byte
}

type partKey struct {
	event uuid.UUID
	part  int64
}

// walk judges all entries, some tiles at a time.
func (v *verifier) walk(ctx context.Context) error {
	if v.size == 0 {
		return nil
	}
	var err error
	if v.tree.upper, err = readUpper(ctx, v.db, v.tenant, v.head.id, v.size); err != nil {
		return err
	}
	tiles := tileCount(0, v.size)
	for first := int64(0); first < tiles; first += verifyTiles {
		if err := v.walkTiles(ctx, first, min(first+verifyTiles, tiles)); err != nil {
			return err
		}
	}
	v.judgeUpper()
	return nil
}

func (v *verifier) walkTiles(ctx context.Context, first, last int64) error {
	tiles, err := readTiles(ctx, v.db, v.tenant, v.head.id, 0, first, last)
	if err != nil {
		return err
	}
	from, to := first<<tileHeight, min(last<<tileHeight, v.size)
	rows, err := readLeaves(ctx, v.db, v.tenant, v.head, from, to)
	if err != nil {
		return err
	}
	parts, manifests, err := v.readParts(ctx, from, to)
	if err != nil {
		return err
	}
	for n := first; n < last; n++ {
		k := tileKey{0, n}
		count, _ := slices.BinarySearchFunc(rows, (n+1)<<tileHeight, func(r *row, end int64) int { return int(r.at - end) })
		for _, r := range v.walkTile(k, tiles[k], rows[:count]) {
			v.judgeParts(r, parts, manifests)
		}
		rows = rows[count:]
	}
	return nil
}

// walkTile judges the rows of one tile and returns those that match it.
func (v *verifier) walkTile(k tileKey, stored []byte, rows []*row) []*row {
	width := k.widthAt(v.size)
	start := k.n << tileHeight
	hashes := make([]tlog.Hash, len(rows))
	scratch := make([]byte, 0, 1<<10)
	byRow := make([]tlog.Hash, width)
	has := make([]bool, width)
	held := 0
	for i, r := range rows {
		hashes[i], _ = r.leaf.hash(scratch) // what has no leaf matches nothing
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
			v.find(KindReordered, s.index, s.event, "entry %d stands in the place of entry %d", at, s.index)
			claimed[at] = true
		case known:
			v.find(KindInserted, s.index, s.event, "a copy of entry %d claims to be entry %d", at, s.index)
		case v.lacking[s.index] && !claimed[s.index]:
			v.find(KindEdited, s.index, s.event, "entry %d is not what was sealed", s.index)
			claimed[s.index] = true
		default:
			v.find(KindInserted, s.index, s.event, "a second row claims to be entry %d", s.index)
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
		v.find(KindDeleted, index, uuid.Nil, "entry %d is gone", index)
	}
	if end < v.size {
		v.find(KindTailCut, end, uuid.Nil, "the last entries are gone: %d to %d", end, v.size-1)
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

// readParts reads the digests of the parts that belong to entries, and what
// entries of erasure say is gone.
func (v *verifier) readParts(ctx context.Context, from, to int64) (map[partKey][digestSize]byte, map[uuid.UUID][]byte, error) {
	d := v.db.Engine(engine.Library).Dialect()
	return v.parts(ctx, engine.Stmt{
		SQL: partSelect(engine.Table(d, "event_parts"), engine.Table(d, "events")) +
			" WHERE e.tenant_id = $1 AND e.leaf >= $2 AND e.leaf < $3",
		Args: []any{v.tenant, v.head.base + from, v.head.base + to},
	})
}

func partSelect(parts, events string) string {
	return "SELECT CAST(p.event_id AS TEXT), p.part, COALESCE(CAST(p.subject AS TEXT), ''), p.ciphertext, e.action FROM " +
		events + " e JOIN " + parts + " p ON p.tenant_id = e.tenant_id AND p.event_id = e.id"
}

func (v *verifier) parts(ctx context.Context, s engine.Stmt) (map[partKey][digestSize]byte, map[uuid.UUID][]byte, error) {
	digests := make(map[partKey][digestSize]byte)
	manifests := make(map[uuid.UUID][]byte)
	err := read(ctx, v.db, v.tenant, s, func(r engine.Row) error {
		var id, subject, action string
		var k partKey
		var ciphertext []byte
		if err := r.Scan(&id, &k.part, &subject, &ciphertext, &action); err != nil {
			return err
		}
		k.event = parseID(id)
		if ciphertext == nil {
			return nil
		}
		digests[k] = partDigest(parseID(subject), ciphertext)
		if action == actionErase && k.part == 0 {
			manifests[k.event] = ciphertext
		}
		return nil
	})
	return digests, manifests, err
}

// judgeParts compares the payload of an entry that is as it was sealed.
func (v *verifier) judgeParts(r *row, parts map[partKey][digestSize]byte, manifests map[uuid.UUID][]byte) {
	sound := true
	for i, rest := int64(0), r.leaf.Digests; len(rest) >= digestSize; i, rest = i+1, rest[digestSize:] {
		want := [digestSize]byte(rest[:digestSize])
		got, there := parts[partKey{r.leaf.Event, i}]
		switch {
		case !there:
			v.gone = append(v.gone, gonePart{r.at, r.leaf.Event, want})
			sound = false
		case got != want:
			v.find(KindPayloadEdited, r.at, r.leaf.Event, "part %d of the payload of entry %d is not what was sealed", i, r.at)
			sound = false
		}
	}
	if r.leaf.Action == actionErase && sound {
		v.erased(manifests[r.leaf.Event])
	}
}

// erased notes the digests that an entry of erasure names.
func (v *verifier) erased(manifest []byte) {
	for ; len(manifest) >= digestSize; manifest = manifest[digestSize:] {
		v.manifest[[digestSize]byte(manifest[:digestSize])] = true
	}
}

// judgeGone comes last, when all entries of erasure were read, those not sealed
// yet included.
func (v *verifier) judgeGone() {
	for _, g := range v.gone {
		if v.manifest[g.digest] {
			v.report.Erased++
			continue
		}
		v.find(KindPayloadMissing, g.index, g.event, "a part of the payload of entry %d is gone without an entry of erasure", g.index)
	}
}

// pending counts what waits for the sealer, and with keys checks it.
func (v *verifier) pending(ctx context.Context) error {
	d := v.db.Engine(engine.Library).Dialect()
	_, manifests, err := v.parts(ctx, engine.Stmt{
		SQL: partSelect(engine.Table(d, "event_parts"), engine.Table(d, "events")) +
			" WHERE e.tenant_id = $1 AND e.leaf IS NULL AND e.action = '" + actionErase + "'",
		Args: []any{v.tenant},
	})
	if err != nil {
		return err
	}
	for _, m := range manifests {
		v.erased(m)
	}
	var rows []*row
	err = read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.leaf IS NULL ORDER BY e.seq",
		Args: []any{v.tenant},
	}, func(r engine.Row) error {
		row, err := scanEvent(r)
		if err != nil {
			return err
		}
		v.countPending(row.leaf.At)
		if v.o.Log != nil {
			rows = append(rows, row)
		}
		return nil
	})
	return errors.Join(err, v.judgePending(ctx, rows))
}

func (v *verifier) countPending(at time.Time) {
	v.report.Pending++
	if v.report.At.Sub(at) >= v.o.MaxPending {
		v.report.Overdue++
	}
	if v.report.OldestPending.IsZero() || at.Before(v.report.OldestPending) {
		v.report.OldestPending = at
	}
}

func (v *verifier) judgePending(ctx context.Context, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	key, err := v.o.Log.mac(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if mac, err := vouch(key, &r.leaf); err != nil || mac != r.leaf.MAC {
			v.find(KindInserted, -1, r.leaf.Event, "the event was written or edited outside the application: its MAC is wrong")
		}
	}
	return nil
}

// orphans finds parts that belong to no event.
func (v *verifier) orphans(ctx context.Context) error {
	d := v.db.Engine(engine.Library).Dialect()
	return read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT CAST(p.event_id AS TEXT), p.part FROM " + engine.Table(d, "event_parts") + " p LEFT JOIN " + engine.Table(d, "events") +
			" e ON e.tenant_id = p.tenant_id AND e.id = p.event_id" +
			" WHERE p.tenant_id = $1 AND (e.id IS NULL OR (p.part + 1) * 32 > length(e.digests) OR p.part < 0) ORDER BY 1, 2 LIMIT $2",
		Args: []any{v.tenant, int64(v.o.MaxFindings) + 1},
	}, func(r engine.Row) error {
		var id string
		var n int64
		err := r.Scan(&id, &n)
		v.find(KindInserted, -1, parseID(id), "part %d of a payload belongs to no event", n)
		return err
	})
}
