package audit

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// ImportReport says what became of the lines of a file.
type ImportReport struct {
	Lines    int // read; a record over several lines is one
	Imported int // new in the log
	Known    int // in the log before
	Other    int // of other programs
	Cut      int // longer than [MaxImport], of Imported and Known
}

// MaxImport is how many bytes of a line, or of a record over several lines, are kept.
const MaxImport = 8 << 10

// importBatch is how many lines are written in one transaction.
const importBatch = 64

// Import adds what another program logged to the platform's log, so that it is sealed
// with the rest: of each line of source an event "import.<source>", with the line in
// its encrypted payload ("line", and "cut" where it was longer). The event's time is
// that of the import; when it happened stands in the line, whose bytes are kept as
// they are but for those that are no UTF-8. Lines of other programs are left out.
//
// The id of an event follows from the source and the line, and from how many equal ones
// stand before it, so that a file that is imported again, also one that has grown,
// adds what is new. A file should be whole from its beginning on.
//
// Lines may hold data of people whom no erasure finds in them: a [Class] for the actions
// "import." says after what time a [Retention] empties them.
//
// Whoever may write the file can write what he likes into it: the log vouches for what
// was read, and when, not for its truth. After an error, what was counted is in the
// log. Without an actor in ctx it returns [tenancy.ErrNoActor].
func (r *Recorder) Import(ctx context.Context, source Source, in io.Reader) (ImportReport, error) {
	s, ok := sources[source]
	if !ok {
		return ImportReport{}, fmt.Errorf("audit: import: %w", ErrSource)
	}
	m := importing{rec: r, source: source, seen: map[[sha256.Size]byte]uint64{}}
	records := recordReader{in: bufio.NewReaderSize(in, MaxImport), goesOn: s.goesOn}
	for {
		rec, err := records.next()
		if errors.Is(err, io.EOF) {
			return m.report, m.flush(ctx)
		}
		if err == nil {
			m.report.Lines++
			if !s.is.Match(rec.text) {
				m.report.Other++
				continue
			}
			err = m.add(ctx, rec)
		}
		if err != nil {
			return m.report, err
		}
	}
}

// importing is one import under way.
type importing struct {
	rec    *Recorder
	source Source
	seen   map[[sha256.Size]byte]uint64 // how many lines with this digest there were
	batch  []imported
	report ImportReport
}

// imported is a line with the id of its event.
type imported struct {
	id   uuid.UUID
	line string
	cut  bool
}

func (m *importing) add(ctx context.Context, rec record) error {
	n := m.seen[rec.digest]
	m.seen[rec.digest] = n + 1
	m.batch = append(m.batch, imported{importID(m.source, rec.digest, n), string(rec.text), rec.cut})
	if len(m.batch) < importBatch {
		return nil
	}
	return m.flush(ctx)
}

// importID is the id of the event of the n-th line with a digest, from 0.
func importID(source Source, line [sha256.Size]byte, n uint64) uuid.UUID {
	return derived("art32/audit/import/v1", []byte(source), line[:], binary.BigEndian.AppendUint64(nil, n))
}

// flush writes the lines that are not in the log.
func (m *importing) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	known, err := m.known(ctx)
	if err != nil {
		return err
	}
	var fresh []*event
	for _, i := range m.batch {
		if known[i.id] {
			continue
		}
		e, err := m.event(ctx, i)
		if err != nil {
			return err
		}
		fresh = append(fresh, e)
	}
	if len(fresh) > 0 {
		if err := m.write(ctx, fresh); err != nil {
			return err
		}
	}
	for _, i := range m.batch {
		if i.cut {
			m.report.Cut++
		}
	}
	m.report.Imported += len(fresh)
	m.report.Known += len(m.batch) - len(fresh)
	m.batch = m.batch[:0]
	return nil
}

// known are the ids of the batch that the log has. A row for which no writer vouches
// is none: who knows a line could else keep it out with a row of his own. Where one
// stands, the import fails.
func (m *importing) known(ctx context.Context) (map[uuid.UUID]bool, error) {
	d := m.rec.db.Engine(engine.Library).Dialect()
	ids := make([]uuid.UUID, len(m.batch))
	for i := range m.batch {
		ids[i] = m.batch[i].id
	}
	known := map[uuid.UUID]bool{}
	mac, err := m.rec.log.mac(ctx)
	if err != nil {
		return nil, err
	}
	err = readIn(ctx, m.rec.db, engine.Scope{}, engine.Stmt{
		SQL:  "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.id " + amongIDs(d, 2),
		Args: []any{uuid.Nil, listIDs(d, ids)},
	}, func(r engine.Row) error {
		e, err := scanEvent(d, r)
		if err == nil && e.vouched(mac) {
			known[e.leaf.Event] = true
		}
		return err
	})
	return known, err
}

func (m *importing) event(ctx context.Context, i imported) (*event, error) {
	e, err := m.rec.log.open(ctx, uuid.Nil, "import."+string(m.source))
	if err != nil {
		return nil, err
	}
	e.leaf.Event = i.id
	attrs := []slog.Attr{slog.String("line", i.line)}
	if i.cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	e.parts, err = m.rec.log.seal(ctx, about{event: i.id}, &payload{Attrs: attrMap(attrs)})
	return e, err
}

func (m *importing) write(ctx context.Context, fresh []*event) error {
	scope := engine.Scope{Actor: fresh[0].leaf.Actor, Session: fresh[0].leaf.Session}
	return inTx(ctx, m.rec.db, scope, func(t engine.Tx) error {
		for _, e := range fresh {
			if err := m.rec.log.queue(ctx, t, e); err != nil {
				return err
			}
		}
		return nil
	})
}
