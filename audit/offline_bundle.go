package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// maxBundle is how many entries of one bundle are looked at: more than it may
// hold, so that what was inserted shows.
const maxBundle = 2 * tileWidth

// bundle is what an export holds as the entries of one tile.
type bundle struct {
	missing bool // there is no such file
	excess  bool // there is more, or the last entry is incomplete
	entries []bundled
}

// bundled is one entry, as far as it is a leaf.
type bundled struct {
	hash  tlog.Hash
	leaf  bool // it is one
	event uuid.UUID
	log   uuid.UUID
	owner uuid.UUID // the tenant
	drops uuid.UUID // the log that it says was dropped
	first *Leaf     // the first entry of the log
}

// hashes are those of the entries, one after another.
func (b *bundle) hashes() []byte {
	data := make([]byte, 0, len(b.entries)*tlog.HashSize)
	for i := range b.entries {
		data = append(data, b.entries[i].hash[:]...)
	}
	return data
}

// bundle reads the entries of tile n. It never holds more than one of them.
func (t *fileTiles) bundle(n int64) *bundle { return t.bundleWith(n, func(int, []byte) {}) }

// bundleWith shows each entry on the way, which must not keep its bytes.
func (t *fileTiles) bundleWith(n int64, show func(i int, leaf []byte)) *bundle {
	b := &bundle{}
	width := tileKey{0, n}.widthAt(t.size)
	file, err := t.v.files.open(in(t.l.dir, exportPath(tlog.Tile{H: tileHeight, L: -1, N: n, W: int(width)})))
	if err != nil {
		b.missing = errors.Is(err, fs.ErrNotExist)
		if !b.missing {
			t.err = err
		}
		return b
	}
	defer file.Close()
	if t.reader == nil {
		t.reader, t.scratch = bufio.NewReaderSize(nil, 1<<16), make([]byte, MaxLeaf)
	}
	t.reader.Reset(file)
	b.entries = make([]bundled, 0, width)
	for len(b.entries) < maxBundle {
		leaf, err := t.next()
		if errors.Is(err, io.EOF) {
			return b
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.err = err
			break
		}
		show(len(b.entries), leaf)
		b.entries = append(b.entries, readBundled(leaf, n == 0 && len(b.entries) == 0))
	}
	b.excess = true
	return b
}

// next reads one entry after its length.
func (t *fileTiles) next() ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(t.reader, size[:]); err != nil {
		return nil, err
	}
	leaf := t.scratch[:binary.BigEndian.Uint16(size[:])]
	if _, err := io.ReadFull(t.reader, leaf); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return leaf, nil
}

func readBundled(b []byte, first bool) bundled {
	e := bundled{hash: tlog.RecordHash(b)}
	leaf, err := ParseLeaf(b)
	if err != nil {
		return e
	}
	e.leaf, e.event, e.log, e.owner = true, leaf.Event, leaf.Log, leaf.Tenant
	if leaf.Action == actionDrop && leaf.Outcome == tenancy.Done {
		e.drops = leaf.Object
	}
	if first {
		leaf.Digests = append([]byte{}, leaf.Digests...) // the bytes are read over
		e.first = &leaf
	}
	return e
}

// tenantOf is the tenant that the first entry of the newest log names.
func (v *exportVerifier) tenantOf() (uuid.UUID, error) {
	for i := len(v.logs) - 1; i >= 0; i-- {
		l := v.logs[i]
		if !l.valid || l.dropped || l.point.Size == 0 {
			continue
		}
		t := &fileTiles{v: v, l: l, size: l.point.Size}
		if b := t.bundle(0); t.err != nil || len(b.entries) > 0 {
			if t.err != nil {
				return uuid.Nil, t.err
			}
			return b.entries[0].owner, nil
		}
	}
	return uuid.Nil, nil
}
