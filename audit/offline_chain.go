package audit

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

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
	orphan     bool // it does so, and there is none before
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
	key, err := v.files.read(in(l.dir, fileKey), maxKey)
	if err != nil {
		return err
	}
	checkpoint, err := v.files.read(in(l.dir, fileCheckpoint), maxCheckpoint)
	if err != nil {
		return err
	}
	if l.note, err = v.files.read(in(l.dir, fileSuccession), maxCheckpoint); err != nil {
		return err
	}
	v.judgeHead(l, key, checkpoint)
	v.judgeSuccession(l)
	entries, err := v.files.has(in(l.dir, dirTiles))
	l.dropped = !entries && l.point.Size > 0
	return err
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
