package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// QueryStatement is what a query runs.
func QueryStatement(ctx context.Context, l *Log, db *tenancy.DB, q Query) (engine.Stmt, error) {
	if err := q.check(); err != nil {
		return engine.Stmt{}, err
	}
	r, err := l.reading(ctx, db, q)
	if err != nil {
		return engine.Stmt{}, err
	}
	return r.statement(), nil
}

// ReadRecords gives the records that an import reads as text, and how long their texts
// are together.
func ReadRecords(source Source, in io.Reader) (string, int, error) {
	var all strings.Builder
	n := 0
	r := recordReader{in: bufio.NewReaderSize(in, MaxImport), goesOn: sources[source].goesOn}
	for {
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			return all.String(), n, nil
		}
		if err != nil {
			return "", 0, err
		}
		if len(rec.text) > MaxImport {
			return "", 0, fmt.Errorf("a record of %d bytes", len(rec.text))
		}
		n += len(rec.text)
		fmt.Fprintf(&all, "%q %x %t %t\n", rec.text, rec.digest, rec.cut, sources[source].is.Match(rec.text))
	}
}

// OnStep calls fn between the steps of sealing a batch.
func (s *Sealer) OnStep(fn func(name string)) { s.step = fn }

// OnStep calls fn between the steps of a batch.
func (f *Feed) OnStep(fn func(name string)) { f.step = fn }

// CSVRow writes an entry as a row.
func CSVRow(b []byte, e *SealedEntry) ([]byte, error) { return csvRow(b, e) }

// NewTestSigner gives the public key of a seed and a function that signs.
func NewTestSigner(origin string, seed []byte) (vkey string, sign func(size int64, root tlog.Hash) ([]byte, error), err error) {
	s, err := newSigner(origin, seed)
	if err != nil {
		return "", nil, err
	}
	return s.vkey, s.checkpoint, nil
}

// TestTree grows a tree batch by batch as the sealer does.
type TestTree struct {
	Size  int64
	Root  tlog.Hash
	Tiles map[string][]byte
	all   map[tileKey][]byte
}

// Grow adds leaves.
func (t *TestTree) Grow(leaves []tlog.Hash) error {
	if t.all == nil {
		t.all, t.Tiles, t.Root = make(map[tileKey][]byte), make(map[string][]byte), emptyRoot()
	}
	e := edge{size: t.Size, root: t.Root, tiles: make(map[tileKey][]byte)}
	for level := range 7 {
		k := tileKey{level, t.Size >> (tileHeight * (level + 1))}
		if data, ok := t.all[k]; ok {
			e.tiles[k] = data
		}
	}
	g, err := e.grow(leaves)
	if err != nil {
		return err
	}
	t.Size, t.Root = g.size, g.root
	for k, data := range g.tiles {
		t.all[k], t.Tiles[k.path()] = data, data
	}
	return nil
}

// Damage flips a bit of each tile.
func (t *TestTree) Damage() {
	for _, data := range t.all {
		data[len(data)-1] ^= 1
	}
}

// FoldRoot is the root by constant memory.
func FoldRoot(leaves []tlog.Hash) tlog.Hash {
	var f fold
	for _, h := range leaves {
		f.add(h)
	}
	return f.root()
}

// OnStep calls fn between the steps of a drop.
func (r *Retention) OnStep(fn func(name string)) { r.step = fn }

// At sets both clocks, Ahead that of the process alone.
func (r *Retention) At(now time.Time) {
	r.Ahead(now)
	r.dbClock = func(context.Context) (time.Time, error) { return now, nil }
}

func (r *Retention) Ahead(now time.Time) { r.clock = func() time.Time { return now } }

// SetBeginsWithin sets how long after its opening a log must have begun, and returns
// what sets it back.
func SetBeginsWithin(d time.Duration) (back func()) {
	was := beginsWithin
	beginsWithin = d
	return func() { beginsWithin = was }
}
