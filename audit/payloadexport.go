package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	// actionExport is the entry that says that payloads were exported.
	actionExport = "audit.export"
	// exportChunk is how many payloads are in memory at once.
	exportChunk = 16
)

// errInTx says that an export cannot be part of a transaction.
var errInTx = errors.New("audit: export payloads: the entry that tells of it must be committed first: not inside a transaction")

// WriteJSONL writes the sealed entries of the context's tenant with their payloads to w,
// as JSON lines (docs/formats/audit-jsonl.md), in the order of the tree. f narrows them;
// from is where an earlier export ended, 0 for the beginning. It returns where this one
// ended: what was sealed when it began is covered, and the next begins there.
//
// What w gets holds personal data in clear: the caller must have checked that whoever
// gets it may see all of it, and an erasure does not reach it any more. Before the first
// byte an event audit.export, with the reason of the context, is committed to the same
// log; without an actor nothing is written. Erased payloads are marked as such. After an
// error w has got whole lines, and part of one where w itself failed. It must not be
// called inside a transaction.
func (l *Log) WriteJSONL(ctx context.Context, db *tenancy.DB, w io.Writer, f Filter, from int64) (next int64, err error) {
	return l.export(ctx, db, w, f, payloadExport{name: "jsonl", format: JSONLines, from: from})
}

// WriteCSV is [Log.WriteJSONL] as CSV (RFC 4180) with a line of names, for people and
// spreadsheets. No cell begins with what a spreadsheet takes for a formula, wherever it
// may part cells: a ' stands before =, +, - and @ there (OWASP, CSV Injection).
// Characters that act on a terminal or end a line stand as \u000a. So the cells of
// reason and detail may differ from what was written; those of JSON values do not.
func (l *Log) WriteCSV(ctx context.Context, db *tenancy.DB, w io.Writer, f Filter, from int64) (next int64, err error) {
	return l.export(ctx, db, w, f, payloadExport{name: "csv", format: csvRow, header: csvHeader, from: from})
}

// payloadExport is the form of an export.
type payloadExport struct {
	name   string
	format Format
	header string
	from   int64 // events.leaf
}

func (l *Log) export(ctx context.Context, db *tenancy.DB, w io.Writer, f Filter, x payloadExport) (int64, error) {
	if db == nil || w == nil || x.from < 0 {
		return x.from, errors.New("audit: export payloads: a database, a writer and a place are required")
	}
	if tenancy.TxFrom(ctx) != nil {
		return x.from, errInTx
	}
	var tenant uuid.UUID
	if !f.Platform {
		id, err := tenancy.TenantFrom(ctx)
		if err != nil {
			return x.from, err
		}
		tenant = id.UUID()
	}
	p := &placer{db: db, tenant: tenant}
	if err := p.read(ctx); err != nil {
		return x.from, err
	}
	if err := l.recordExport(ctx, db, tenant, f, x); err != nil {
		return x.from, err
	}
	if _, err := io.WriteString(w, x.header); err != nil {
		return x.from, fmt.Errorf("audit: export payloads: %w", err)
	}
	q := &query{log: l, db: db, tenant: tenant, filter: f, leaf: x.from}
	return x.walk(ctx, w, q, p)
}

// recordExport commits the entry that tells of the export.
func (l *Log) recordExport(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, f Filter, x payloadExport) error {
	attrs := []slog.Attr{slog.String("format", x.name), slog.Int64("from", x.from)}
	for name, value := range map[string]string{"actor": f.Actor, "for": f.For, "action": f.Action} {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if f.Object != uuid.Nil {
		attrs = append(attrs, slog.String("object", f.Object.String()))
	}
	if !f.Since.IsZero() {
		attrs = append(attrs, slog.Time("since", f.Since))
	}
	if !f.Until.IsZero() {
		attrs = append(attrs, slog.Time("until", f.Until))
	}
	ev := Event{Action: actionExport, Attrs: attrs}
	if f.Subject != uuid.Nil {
		ev.Parts = []Part{{Subject: f.Subject}} // that it was about the person is erased with the person
	}
	e, err := l.written(ctx, tenant, ev)
	if err != nil {
		return err
	}
	scope := engine.Scope{Tenant: tenant, Actor: e.leaf.Actor, Session: e.leaf.Session}
	if err := inTx(ctx, db, scope, func(t engine.Tx) error { return l.queue(ctx, t, e) }); err != nil {
		return err
	}
	if !l.classOf(actionExport).Sealed {
		return nil
	}
	return l.hold(ctx, db, tenant, e.leaf.Event)
}

// walk writes page by page up to the end that the logs had.
func (x *payloadExport) walk(ctx context.Context, w io.Writer, q *query, p *placer) (int64, error) {
	end := p.end()
	for q.leaf < end {
		rows, err := q.rows(ctx, q.sealed())
		if err != nil {
			return q.leaf, err
		}
		full := len(rows) == eventPage
		in, places := p.placed(rows)
		for chunk := range slices.Chunk(in, exportChunk) {
			if err := x.write(ctx, w, q, chunk, places[:len(chunk)]); err != nil {
				return q.leaf, err
			}
			places = places[len(chunk):]
			q.leaf = chunk[len(chunk)-1].at + 1
		}
		if !full || len(in) < len(rows) {
			break
		}
	}
	return max(q.leaf, end), nil
}

func (x *payloadExport) write(ctx context.Context, w io.Writer, q *query, rows []*row, places []SealedEntry) error {
	if err := q.fill(ctx, rows, places); err != nil {
		return err
	}
	var lines []byte
	for i := range places {
		var err error
		if lines, err = x.format(lines, &places[i]); err != nil {
			return fmt.Errorf("audit: export payloads: %w", err)
		}
	}
	if _, err := w.Write(lines); err != nil {
		return fmt.Errorf("audit: export payloads: %w", err)
	}
	return nil
}

// end is where the logs end, as events.leaf of the next entry.
func (p *placer) end() int64 {
	if len(p.logs) == 0 {
		return 0
	}
	last := p.logs[len(p.logs)-1]
	return last.base + last.size
}
