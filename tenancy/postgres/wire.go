package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/art32/art32/internal/engine"
)

// maxPrepared bounds the prepared statements of one connection. Beyond it the next
// takes the place of any other: texts differ by what callers choose, such as the size
// of a page.
const maxPrepared = 256

// mostTexts is the room for parameters that a connection keeps, in bytes.
const mostTexts = 1 << 16

// maxParams is what the protocol can number in one statement.
const maxParams = 65535

// resultFormat is how the server encodes results.
type resultFormat int16

const (
	textFormat   resultFormat = 0
	binaryFormat resultFormat = 1
)

// wire sends statements over one connection, as many as there are in one round
// trip.
type wire struct {
	pg *pgconn.PgConn
	// pooled says that a pooler may be in between, which can give up a connection
	// in the server's place.
	pooled bool
	// prepared holds the named statements; nil where text comes from callers, who
	// could replace a name by a statement of their own, and where a pooler gives the
	// next transaction another connection.
	prepared map[string]*pgconn.StatementDescription
	names    int // given to prepared statements so far
	params   [][]byte
	formats  []int16
	texts    []byte // of the parameters
	callers  bool   // the statement that is being answered has text of a caller's
	written  []engine.Written
}

// batch is what goes over the wire in one round trip.
type batch struct {
	stmts []engine.Stmt
	// main is the statement whose rows are wanted, context the one that opens
	// the tenant's context; -1 for none.
	main, context int
	// format is how the rows of main travel.
	format resultFormat
	// clears says that the last statement ends the transaction, and that DISCARD ALL
	// runs behind it, before the sync: until the server has answered that, a pooler
	// gives the connection to nobody else.
	clears bool
}

func batchOf(stmts ...engine.Stmt) batch {
	if stmts == nil {
		stmts = make([]engine.Stmt, 0, 4)
	}
	return batch{stmts: stmts, main: -1, context: -1, format: binaryFormat}
}

// add appends a statement and returns its index.
func (b *batch) add(s ...engine.Stmt) int {
	b.stmts = append(b.stmts, s...)
	return len(b.stmts) - 1
}

// reply is what came back.
type reply struct {
	rows    int64    // of the main statement
	columns []string // of the main statement
	wrong   int      // index of the statement that hit a wrong number of rows, or -1
	// answered counts the statements that the server finished.
	answered int
	// stale says that a statement failed because a table had changed since it was
	// prepared on the connection, or because the name was gone.
	stale bool
}

// exchange sends b and reads all answers. The rows of the main statement go
// to row. After an error that is not the server's the connection is closed.
func (w *wire) exchange(ctx context.Context, b batch, row func(engine.Row) error) (rep reply, err error) {
	for _, s := range b.stmts {
		if err := countable(s); err != nil {
			return reply{}, err
		}
	}
	p := w.pg.StartPipeline(ctx)
	defer func() {
		if cerr := p.Close(); err == nil {
			err = cerr
		}
		if w.pooled && w.pg.IsClosed() {
			err = givenUp(err)
		}
	}()
	before, err := w.send(p, b)
	if err != nil {
		return reply{}, err // Close closes the connection: half a batch is on it
	}
	rep, err = w.receive(p, b, before, row)
	rep.stale = err != nil && rep.answered < len(before) && before[rep.answered].name == "" &&
		w.prepared[b.stmts[rep.answered].SQL] != nil && outdated(err)
	return rep, err
}

// countable refuses more parameters than the protocol can number.
func countable(s engine.Stmt) error {
	if len(s.Args) > maxParams {
		return &engine.Error{Kind: engine.BadValue, Text: fmt.Sprintf("%d parameters, more than %d", len(s.Args), maxParams)}
	}
	return nil
}

// outdated reports whether an error can come of a statement that was prepared
// before a table changed: the types of its parameters and results are those of
// then. An error with a context arose in a function or trigger.
func outdated(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Where == "" && slices.Contains([]string{
		"0A000",                   // cached plan must not change result type
		"26000",                   // prepared statement does not exist
		"42804", "42846", "42883", // a parameter of the old type
	}, e.Code)
}

// binaryResults asks for every column in binary format.
//
//nolint:gochecknoglobals // immutable
var binaryResults = []int16{int16(binaryFormat)}

// sent says what was written before a statement.
type sent struct {
	name   string // under which it is prepared on the way; "" if it is not
	closes bool   // another has made room for it
}

// send writes the batch.
func (w *wire) send(p *pgconn.Pipeline, b batch) (before []sent, err error) {
	before = make([]sent, 0, len(b.stmts))
	for i, s := range b.stmts {
		results := binaryResults
		if i == b.main && b.format == textFormat {
			results = nil
		}
		one, err := w.sendOne(p, s, results)
		if err != nil {
			return nil, err
		}
		before = append(before, one)
	}
	if b.clears {
		p.SendQueryParams("DISCARD ALL", nil, nil, nil, nil)
	}
	p.SendPipelineSync()
	return before, p.Flush()
}

func (w *wire) sendOne(p *pgconn.Pipeline, s engine.Stmt, results []int16) (before sent, err error) {
	if err := w.encode(s.Args); err != nil {
		return before, err
	}
	if w.prepared == nil || s.Once {
		p.SendQueryParams(s.SQL, w.params, nil, w.formats, results)
		return before, nil
	}
	if sd := w.prepared[s.SQL]; sd != nil {
		p.SendQueryStatement(sd, w.params, w.formats, results)
		return before, nil
	}
	before.closes = w.makeRoom(p)
	before.name = "art32_" + strconv.Itoa(w.names)
	w.names++
	p.SendPrepare(before.name, s.SQL, nil)
	p.SendQueryPrepared(before.name, w.params, w.formats, results)
	return before, nil
}

// makeRoom forgets a prepared statement where there are too many.
func (w *wire) makeRoom(p *pgconn.Pipeline) bool {
	if len(w.prepared) < maxPrepared {
		return false
	}
	for text, sd := range w.prepared {
		p.SendDeallocate(sd.Name)
		delete(w.prepared, text)
		break
	}
	return true
}

// encode writes the parameters of one statement, which stand until the next; each is
// copied when it is sent.
func (w *wire) encode(args []any) error {
	if cap(w.texts) > mostTexts {
		w.texts = nil
	}
	w.params, w.formats, w.texts = w.params[:0], w.formats[:0], w.texts[:0]
	for i, a := range args {
		grown, param, format, err := encode(w.texts, a)
		if err != nil {
			return fmt.Errorf("parameter $%d: %w", i+1, err)
		}
		w.texts = grown
		w.params = append(w.params, param)
		w.formats = append(w.formats, int16(format))
	}
	return nil
}

func (w *wire) receive(
	p *pgconn.Pipeline, b batch, before []sent, row func(engine.Row) error,
) (rep reply, err error) {
	rep = reply{wrong: -1}
	for i, s := range b.stmts {
		if err := w.receivePrepare(p, s, before[i]); err != nil {
			return rep, err
		}
		var each func(engine.Row) error
		if i == b.main {
			each = row
		}
		w.callers = s.Caller
		n, fields, err := receiveOne(p, each)
		w.callers = false
		if err != nil {
			return rep, err
		}
		rep.note(i, n, s, b)
		rep.answered++
		if i == b.main && b.format == textFormat {
			rep.columns = fields
		}
	}
	if b.clears {
		if _, _, err := receiveOne(p, nil); err != nil {
			return rep, err
		}
	}
	_, err = p.GetResults() // the sync
	return rep, err
}

func (rep *reply) note(i int, n int64, s engine.Stmt, b batch) {
	if i == b.main {
		rep.rows = n
	}
	if s.Rows != 0 && n != s.Rows && rep.wrong < 0 {
		rep.wrong = i
	}
}

// receivePrepare reads the answers to what the batch carried before a statement.
func (w *wire) receivePrepare(p *pgconn.Pipeline, s engine.Stmt, before sent) error {
	if before.name == "" {
		return nil
	}
	if before.closes {
		if _, err := p.GetResults(); err != nil {
			return err
		}
	}
	res, err := p.GetResults()
	if err != nil {
		return err
	}
	sd, ok := res.(*pgconn.StatementDescription)
	if !ok {
		return fmt.Errorf("unexpected answer %T", res)
	}
	sd.Name, sd.SQL = before.name, s.SQL
	w.prepared[s.SQL] = sd
	return nil
}

// receiveOne reads the answer to one statement, counts its rows and names its
// columns.
func receiveOne(p *pgconn.Pipeline, row func(engine.Row) error) (n int64, columns []string, err error) {
	res, err := p.GetResults()
	if err != nil {
		return 0, nil, err
	}
	rr, ok := res.(*pgconn.ResultReader)
	if !ok {
		return 0, nil, fmt.Errorf("unexpected answer %T", res)
	}
	returns := len(rr.FieldDescriptions()) > 0
	if f := rr.FieldDescriptions(); returns && f[0].Format == int16(textFormat) {
		columns = names(f)
	}
	n, rowErr := eachRow(rr, row)
	tag, err := rr.Close()
	if err != nil {
		return n, nil, err
	}
	if !returns {
		n = tag.RowsAffected()
	}
	return n, columns, rowErr
}

func names(fields []pgconn.FieldDescription) []string {
	out := make([]string, len(fields))
	for i := range fields {
		out[i] = fields[i].Name
	}
	return out
}

// eachRow hands the rows to row until it fails, and counts all.
func eachRow(rr *pgconn.ResultReader, row func(engine.Row) error) (n int64, err error) {
	d := &decoder{fields: rr.FieldDescriptions()}
	for rr.NextRow() {
		n++
		if row == nil || err != nil {
			continue
		}
		d.values = rr.Values()
		err = row(d)
	}
	return n, err
}
