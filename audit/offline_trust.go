package audit

import (
	"slices"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

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
