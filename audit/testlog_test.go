package audit

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/tenancy"
)

// TestLog is a log under a key of the test's, written without a database: what a
// holder of the key could write too.
type TestLog struct {
	ID     uuid.UUID
	Vkey   string
	Tenant uuid.UUID
	Leaves [][]byte
	// Succession is the note that opened the log, Opening what opens it at the
	// platform.
	Succession, Opening []byte

	signer *signer
}

// NewTestLog makes the log of the key whose seed is one byte repeated.
func NewTestLog(tb testing.TB, seed byte, tenant uuid.UUID) *TestLog {
	tb.Helper()
	s, err := newLogSigner(bytes.Repeat([]byte{seed}, 32))
	testOK(tb, err)
	return &TestLog{ID: s.log, Vkey: s.vkey, Tenant: tenant, signer: s}
}

// Add adds an entry.
func (l *TestLog) Add(tb testing.TB, action string, object uuid.UUID, digests []byte) uuid.UUID {
	tb.Helper()
	f := Leaf{
		Log: l.ID, Tenant: l.Tenant, Event: uuid.NewSHA1(l.ID, []byte(strconv.Itoa(len(l.Leaves)))), At: time.UnixMicro(1e15 + int64(len(l.Leaves))).UTC(),
		Writer: l.ID, Counter: int64(len(l.Leaves)), Actor: "service:test", Action: action, Object: object, Outcome: tenancy.Done, Digests: digests,
	}
	if action == actionOpen {
		f.Event = openingOf(uuid.UUID(digests[:16]), object)
		f.Digests = nil
	}
	b, err := f.AppendBinary(nil)
	testOK(tb, err)
	l.Leaves = append(l.Leaves, b)
	return f.Event
}

// Fill adds entries until there are n.
func (l *TestLog) Fill(tb testing.TB, n int) {
	tb.Helper()
	for len(l.Leaves) < n {
		l.Add(tb, "customers.update", l.ID, nil)
	}
}

// Open adds the entry that opens a tenant's log to this, the platform's, and keeps
// where.
func (l *TestLog) Open(tb testing.TB, of *TestLog) func() {
	tb.Helper()
	index := len(l.Leaves)
	l.Add(tb, actionOpen, of.ID, append(of.Tenant[:], make([]byte, 16)...))
	return func() { of.Opening = l.Prove(tb, index) }
}

// Follow ends the log and begins the next.
func (l *TestLog) Follow(tb testing.TB, next *TestLog, cause Cause, held *Checkpoint) {
	tb.Helper()
	c := l.Head(tb, len(l.Leaves))
	signed, err := l.signer.succession(&Succession{Previous: c, Next: next.Vkey, Cause: cause, At: time.UnixMicro(1e15).UTC(), Held: held})
	testOK(tb, err)
	next.Succession = signed
	digest := partDigest(uuid.Nil, signed)
	next.Add(tb, actionBegin, l.ID, digest[:])
}

// Head is the head over the first n entries.
func (l *TestLog) Head(tb testing.TB, n int) Checkpoint {
	tb.Helper()
	var f fold
	for _, b := range l.Leaves[:n] {
		f.add(tlog.RecordHash(b))
	}
	return Checkpoint{Origin: originOf(l.ID), Size: int64(n), Root: f.root()}
}

// Sign signs a head.
func (l *TestLog) Sign(tb testing.TB, c Checkpoint) []byte {
	tb.Helper()
	signed, err := note.Sign(&note.Note{Text: c.text()}, l.signer)
	testOK(tb, err)
	return signed
}

func (l *TestLog) stored(tb testing.TB) tlog.HashReaderFunc {
	tb.Helper()
	var all []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = all[index]
		}
		return out, nil
	})
	for i, b := range l.Leaves {
		more, err := tlog.StoredHashes(int64(i), b, read)
		testOK(tb, err)
		all = append(all, more...)
	}
	return read
}

// Prove proves an entry under the present head.
func (l *TestLog) Prove(tb testing.TB, index int) []byte {
	tb.Helper()
	hashes, err := tlog.ProveRecord(int64(len(l.Leaves)), int64(index), l.stored(tb))
	testOK(tb, err)
	p := proof{index: int64(index), hashes: hashes, leaf: l.Leaves[index], checkpoint: l.Sign(tb, l.Head(tb, len(l.Leaves)))}
	return p.text()
}

// Write writes the log's folder, of the platform's in the export of a tenant
// without entries.
func (l *TestLog) Write(tb testing.TB, dir string, entries bool) {
	tb.Helper()
	put := func(name string, data []byte) {
		if data != nil {
			testOK(tb, writeFile(filepath.Join(dir, filepath.FromSlash(name)), data))
		}
	}
	put(fileKey, []byte(l.Vkey+"\n"))
	put(fileCheckpoint, l.Sign(tb, l.Head(tb, len(l.Leaves))))
	put(fileSuccession, l.Succession)
	put(fileOpening, l.Opening)
	if !entries {
		if l.Succession != nil {
			put(fileBegin, l.Prove(tb, 0))
		}
		return
	}
	read := l.stored(tb)
	for _, t := range tlog.NewTiles(tileHeight, 0, int64(len(l.Leaves))) {
		data, err := tlog.ReadTileData(t, read)
		testOK(tb, err)
		put(exportPath(t), data)
		if t.L > 0 {
			continue
		}
		t.L = -1
		put(exportPath(t), MakeBundle(l.Leaves[t.N<<tileHeight:][:t.W]))
	}
}

// MakeBundle writes entries after their lengths.
func MakeBundle(leaves [][]byte) []byte {
	b := []byte{}
	for _, leaf := range leaves {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(leaf))), leaf...)
	}
	return b
}

// SplitBundle reads them.
func SplitBundle(b []byte) (leaves [][]byte) {
	for len(b) > 0 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		leaves, b = append(leaves, b[2:n]), b[n:]
	}
	return leaves
}

func testOK(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// ParseTestProof reads a proof and writes it again.
func ParseTestProof(b []byte) ([]byte, error) {
	p, err := parseProof(b)
	if err != nil {
		return nil, err
	}
	return p.text(), nil
}

// Replace puts a file in place of another.
func Replace(tb testing.TB, path string, data []byte) {
	tb.Helper()
	testOK(tb, os.Remove(path))
	testOK(tb, writeFile(path, data))
}

// TestEdge is the right edge of a tree that nobody has grown.
type TestEdge struct {
	Head  Checkpoint
	Files map[string][]byte
}

// NewTestTreeEdge makes up the edge of a tree of any size: its holder can sign it
// without having the entries.
func NewTestTreeEdge(tb testing.TB, l *TestLog, size int64) TestEdge {
	tb.Helper()
	e := edge{size: size, tiles: make(map[tileKey][]byte)}
	out := TestEdge{Files: make(map[string][]byte)}
	for level := 0; level <= topLevel(size); level++ {
		k := tileKey{level, size >> (tileHeight * (level + 1))}
		if width := k.widthAt(size); width > 0 {
			e.tiles[k] = bytes.Repeat([]byte{byte(level)}, int(width)*tlog.HashSize)
			out.Files[exportPath(tlog.Tile{H: tileHeight, L: k.level, N: k.n, W: int(width)})] = e.tiles[k]
		}
	}
	root, err := tlog.TreeHash(size, &overlay{edge: &e, base: tlog.StoredHashCount(size)})
	testOK(tb, err)
	out.Head = Checkpoint{Origin: originOf(l.ID), Size: size, Root: root}
	return out
}
