package audit

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// link is one log of an export, and what ties it to the one before.
type link struct {
	number int64
	at     int    // its place in the report
	label  string // before what is said about it
	dir    string

	id         uuid.UUID // nil: the key is missing or none of a log
	vkey       string
	point      Checkpoint
	valid      bool        // key and checkpoint are as they must be
	note       []byte      // the succession as it is signed
	succession *Succession // nil without a valid one
	base       int64       // number of its first entry over all logs
	previous   *link
	begins     bool // its first entry names the log before
	dropped    bool // it has no entries
	tiles      *fileTiles
}

// origin is the log's name, "" where it is not known.
func (l *link) origin() string {
	if l.id == uuid.Nil {
		return ""
	}
	return originOf(l.id)
}

// readChain reads the logs whose folders lie in dir, the oldest first.
func (v *exportVerifier) readChain(dir string) ([]*link, error) {
	numbers, err := v.files.numbers(dir)
	if err != nil {
		return nil, err
	}
	all := make([]*link, len(numbers))
	for i, n := range numbers {
		l := &link{number: n, at: i, dir: in(dir, strconv.FormatInt(n, 10))}
		if i > 0 {
			l.previous = all[i-1]
		}
		if dir == dirPlatform {
			l.label, l.at = "the platform's log "+strconv.FormatInt(n, 10)+": ", len(v.logs)
		}
		if err := v.readLink(l); err != nil {
			return nil, err
		}
		all[i] = l
	}
	return all, nil
}

func (v *exportVerifier) readLink(l *link) error {
	var parts [3][]byte
	for i, name := range []string{fileKey, fileCheckpoint, fileSuccession} {
		var err error
		if parts[i], err = v.files.read(in(l.dir, name), []int64{maxKey, maxCheckpoint, maxCheckpoint}[i]); err != nil {
			return err
		}
	}
	v.judgeHead(l, parts[0], parts[1])
	l.note = parts[2]
	v.judgeSuccession(l)
	if dir, err := v.files.has(in(l.dir, dirTiles)); err != nil || dir {
		return err
	}
	l.dropped = l.point.Size > 0
	return nil
}

// judgeHead reads key and checkpoint.
func (v *exportVerifier) judgeHead(l *link, key, note []byte) {
	l.vkey = strings.TrimSuffix(string(key), "\n")
	id, err := logOfKey(l.vkey)
	if err != nil && l.label == "" {
		l.label = "log " + strconv.FormatInt(l.number, 10) + ": "
	}
	switch {
	case key == nil:
		v.findf(l, KindCheckpoint, -1, uuid.Nil, "its public key, %s, is missing", fileKey)
		return
	case err != nil:
		v.findf(l, KindCheckpoint, -1, uuid.Nil, "%s is malformed, or its name is not that of its log", fileKey)
		return
	}
	l.id = id
	c, err := ParseCheckpoint(note, l.vkey)
	switch {
	case note == nil:
		v.findf(l, KindCheckpoint, -1, uuid.Nil, "its checkpoint is missing")
	case err != nil:
		v.findf(l, KindCheckpoint, -1, uuid.Nil, "its checkpoint is forged, damaged or of another log: %s", faultOf(err))
	case c.Size > maxLog:
		v.findf(l, KindCheckpoint, -1, uuid.Nil, "its checkpoint claims more entries than any log has")
	default:
		l.point, l.valid = c, true
	}
}

// judgeSuccession demands that the key of the log before vouches for this one,
// and that the two meet.
func (v *exportVerifier) judgeSuccession(l *link) {
	p := l.previous
	switch {
	case p == nil && l.note != nil:
		v.findf(l, KindDeleted, -1, uuid.Nil, "the logs before it are missing")
		return
	case p == nil:
		return
	case l.note == nil:
		v.findf(l, KindForeign, -1, uuid.Nil, "nothing shows that it follows log %d", p.number)
		return
	}
	s, err := ParseSuccession(l.note, p.vkey)
	if err != nil || s.Next != l.vkey {
		v.findf(l, KindForeign, -1, uuid.Nil, "the key of log %d does not vouch for it", p.number)
		return
	}
	l.succession, l.base = &s, p.base+s.Previous.Size
	end := s.Previous
	switch {
	case !p.valid || p.point == end:
	case p.point.Size < end.Size:
		v.findf(p, KindTailCut, p.point.Size, uuid.Nil, "it ended with %d entries, but its checkpoint covers %d", end.Size, p.point.Size)
	case p.point.Size > end.Size:
		v.findf(p, KindCheckpoint, p.point.Size, uuid.Nil, "it ended with %d entries, but its checkpoint covers %d: it was continued beside the log that follows", end.Size, p.point.Size)
	default:
		v.findf(p, KindCheckpoint, p.point.Size, uuid.Nil, "its checkpoint is not the head with which it ended: the log was rewritten")
	}
}

// begun reports whether a leaf is the first of a log that follows another.
func (l *link) begun(first *Leaf) bool {
	want := partDigest(uuid.Nil, l.note)
	return l.previous != nil && first.Action == actionBegin && first.Object == l.previous.id && first.Outcome == tenancy.Done &&
		string(first.Digests) == string(want[:])
}

// opened demands that the platform's log holds that each log was opened for this
// tenant, and that this is the platform whose key is held outside.
func (v *exportVerifier) opened() error {
	chain := v.platform
	if v.tenant == uuid.Nil {
		chain = v.logs
	} else if err := v.readBegins(); err != nil {
		return err
	}
	trusted := trust(chain, strings.TrimSpace(v.o.PlatformKey))
	if len(trusted) == 0 {
		v.findf(nil, KindForeign, -1, uuid.Nil, "the platform's key that is held outside is none of those of this export, or no key leads from it to them")
		return nil
	}
	v.report.PlatformKey = trusted[len(trusted)-1].vkey
	if v.tenant == uuid.Nil {
		for _, l := range chain {
			if !slices.Contains(trusted, l) {
				v.findf(l, KindForeign, -1, uuid.Nil, "no key leads from the one that is held outside to this log")
			}
		}
		return nil
	}
	for _, l := range v.logs {
		if err := v.judgeOpening(l, trusted); err != nil {
			return err
		}
	}
	return nil
}

// readBegins reads what shows that a log of the platform names the one before, so
// that a newer key vouches for an older one.
func (v *exportVerifier) readBegins() error {
	for _, l := range v.platform {
		b, err := v.files.read(in(l.dir, fileBegin), maxProof)
		if err != nil {
			return err
		}
		p, err := VerifyProof(b, l.vkey)
		l.begins = err == nil && p.Index == 0 && l.begun(&p.Leaf)
	}
	return nil
}

// trust picks the logs for whose keys the held one vouches: forwards by
// successions, backwards by first entries. Without a held key the newest one is
// believed.
func trust(chain []*link, held string) []*link {
	at := len(chain) - 1
	for ; held != "" && at >= 0 && chain[at].vkey != held; at-- {
	}
	if at < 0 || chain[at].id == uuid.Nil {
		return nil
	}
	first, last := at, at+1
	for first > 0 && (chain[first].begins || held == "" && chain[first].succession != nil) {
		first--
	}
	for last < len(chain) && chain[last].succession != nil {
		last++
	}
	return chain[first:last]
}

// judgeOpening demands the proof that a log was opened here.
func (v *exportVerifier) judgeOpening(l *link, trusted []*link) error {
	if l.dropped || l.id == uuid.Nil {
		return nil // the log that follows names it in its first entry
	}
	b, err := v.files.read(in(l.dir, fileOpening), maxProof)
	if err != nil {
		return err
	}
	for _, p := range trusted {
		proven, err := VerifyProof(b, p.vkey)
		if err == nil && isOpening(&proven.Leaf, v.tenant, l.id) {
			return nil
		}
	}
	text := "its %s does not show that the platform's log holds that it was opened for this tenant"
	if b == nil {
		text = "its %s is missing: nothing shows that it was opened for this tenant"
	}
	v.findf(l, KindForeign, -1, openingOf(v.tenant, l.id), text, fileOpening)
	return nil
}

// isOpening reports whether a leaf of the platform opens a tenant's log.
func isOpening(f *Leaf, tenant, log uuid.UUID) bool {
	return f.Tenant == uuid.Nil && f.Action == actionOpen && f.Outcome == tenancy.Done &&
		f.Object == log && f.Event == openingOf(tenant, log)
}

// judgeDropped accepts a log without entries only where a sealed entry says that
// it, or one behind it, was dropped: the oldest goes first. A range of entries need
// not hold that one.
func (v *exportVerifier) judgeDropped() {
	excused := false
	for i := len(v.logs) - 1; i >= 0; i-- {
		l := v.logs[i]
		if excused = excused || v.dropped[l.id]; !l.dropped || excused {
			continue
		}
		if newest := i == len(v.logs)-1; newest || v.whole() {
			v.findf(l, KindDeleted, 0, uuid.Nil, "its %d entries are gone, and no sealed entry says that it was dropped", l.point.Size)
		}
		l.dropped = false
	}
}

// whole reports whether all entries are compared.
func (v *exportVerifier) whole() bool { return v.o.From == 0 && v.o.To == 0 }

// held compares the logs with the checkpoints that are held outside.
func (v *exportVerifier) held() error {
	for _, signed := range v.o.Checkpoints {
		l, c := v.logOf(signed)
		if l == nil {
			v.findf(nil, KindCheckpoint, -1, uuid.Nil, "a checkpoint that is held outside is forged, damaged or of another log")
			continue
		}
		if err := v.compare(l, c); err != nil {
			return err
		}
	}
	return nil
}

// logOf finds the log whose key has signed a checkpoint.
func (v *exportVerifier) logOf(signed []byte) (*link, Checkpoint) {
	for _, l := range v.logs {
		if c, err := ParseCheckpoint(signed, l.vkey); err == nil && l.id != uuid.Nil {
			return l, c
		}
	}
	return nil, Checkpoint{}
}

// compare demands that a log has grown from a checkpoint.
func (v *exportVerifier) compare(l *link, c Checkpoint) error {
	switch {
	case !l.valid:
		return nil // its own checkpoint was found
	case c.Size > l.point.Size:
		if !v.restored(l, c) {
			v.findf(l, KindTailCut, l.point.Size, uuid.Nil,
				"the log has %d entries; a checkpoint held outside covers %d: the end was cut, or an old backup restored", l.point.Size, c.Size)
		}
		return nil
	case l.tiles == nil && c.Size < l.point.Size:
		return nil // without entries there is nothing to compare it with
	}
	root, known := l.point.Root, true
	if c.Size < l.point.Size {
		root, known = l.tiles.rootAt(c.Size)
		if l.tiles.err != nil {
			return l.tiles.err
		}
	}
	switch {
	case !known:
		v.findf(l, KindCheckpoint, c.Size, uuid.Nil, "the checkpoint of size %d that is held outside cannot be compared: tiles are damaged", c.Size)
	case root != c.Root:
		v.findf(l, KindCheckpoint, c.Size, uuid.Nil,
			"the first %d entries are not those of the checkpoint held outside: the log was rewritten", c.Size)
	}
	return nil
}

// restored reports whether the succession that ended a log owns that what c covers
// was lost with a restore.
func (v *exportVerifier) restored(l *link, c Checkpoint) bool {
	for _, next := range v.logs {
		if next.previous == l && next.succession != nil && next.succession.Held != nil {
			h := next.succession.Held
			return h.Size > c.Size || h.Size == c.Size && h.Root == c.Root
		}
	}
	return false
}

// rootAt is the root of the first n entries, as the tiles tell; false where they
// do not.
func (t *fileTiles) rootAt(n int64) (tlog.Hash, bool) {
	if t == nil || !t.rooted {
		return tlog.Hash{}, false
	}
	root, err := tlog.TreeHash(n, t)
	return root, err == nil
}
