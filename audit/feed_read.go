package audit

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// SealedEntry is a sealed entry with its place.
type SealedEntry struct {
	// Log is the origin of the log, Number the entry's number in its tree, from 0.
	Log    string
	Number int64
	// Tenant is whose log it is; zero for the platform's.
	Tenant tenancy.ID
	// Entry is what it says. Where the payload is not told, of Reason, Detail, Fields,
	// Attrs, Withheld, Erased and Damaged nothing is set.
	Entry Entry
	// Payload says that the payload is told.
	Payload bool
}

// feedBatch is what is sent at once.
type feedBatch struct {
	entries []SealedEntry
	from    int64 // where the cursor stood; -1: there is none yet
	next    int64 // where it goes
	last    bool  // there was nothing behind
}

// readBatch reads what follows the cursor.
func (f *Feed) readBatch(ctx context.Context, tenant uuid.UUID) (*feedBatch, error) {
	b := &feedBatch{from: -1}
	rows, err := f.rows(ctx, tenant)
	if err != nil || len(rows) == 0 {
		return b, err
	}
	if err := f.readCursor(ctx, tenant, b); err != nil {
		return b, err
	}
	if rows[0].at < b.from {
		return b, fmt.Errorf("audit: feed: %w", errFeedMoved)
	}
	r := &placer{db: f.db, tenant: tenant}
	if err := r.read(ctx); err != nil {
		return b, err
	}
	b.last = len(rows) < f.o.Batch
	rows, places := r.placed(rows)
	if len(rows) == 0 {
		return b, nil
	}
	b.next = rows[len(rows)-1].at + 1
	f.tellGaps(ctx, max(b.from, 0), rows, r)
	b.entries, err = f.entries(ctx, tenant, rows, places)
	return b, err
}

var errFeedMoved = fmt.Errorf("another instance sends it too: %w", tenancy.ErrNotFound)

// rows are the next in the order of the tree, in one statement with the cursor: where
// there is nothing to send, it is the only one.
func (f *Feed) rows(ctx context.Context, tenant uuid.UUID) ([]*row, error) {
	var rows []*row
	d := f.db.Engine(engine.Library).Dialect()
	err := read(ctx, f.db, tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf >= 0 AND e.leaf >=" +
			" COALESCE((SELECT f.next FROM " + engine.Table(d, "feeds") + " f WHERE f.tenant_id = $1 AND f.name = $2), 0) ORDER BY e.leaf, e.seq LIMIT " + strconv.Itoa(f.o.Batch),
		Args: []any{tenant, f.name},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

func (f *Feed) readCursor(ctx context.Context, tenant uuid.UUID, b *feedBatch) error {
	d := f.db.Engine(engine.Library).Dialect()
	return read(ctx, f.db, tenant, engine.Stmt{
		SQL:  "SELECT next FROM " + engine.Table(d, "feeds") + " WHERE tenant_id = $1 AND name = $2",
		Args: []any{tenant, f.name},
	}, func(r engine.Row) error { return r.Scan(&b.from) })
}

// move sets the cursor, on condition that nobody else has.
func (f *Feed) move(ctx context.Context, tenant uuid.UUID, b *feedBatch) error {
	return inTx(ctx, f.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		table := engine.Table(t.Dialect(), "feeds")
		if b.from < 0 {
			t.Queue(engine.Stmt{SQL: "INSERT INTO " + table + " (tenant_id, name, next) VALUES ($1, $2, $3)", Args: []any{tenant, f.name, b.next}})
			return nil
		}
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + table + " SET next = $3 WHERE tenant_id = $1 AND name = $2 AND next = $4",
			Args: []any{tenant, f.name, b.next, b.from}, Rows: 1,
		})
		return nil
	})
}

// tellGaps logs that entries are missing: what is left is sent, since whoever deletes
// an entry must not silence the feed by that.
func (f *Feed) tellGaps(ctx context.Context, from int64, rows []*row, p *placer) {
	var missing int64
	for _, r := range rows {
		missing += max(0, r.at-from) - p.dropped(from, r.at)
		from = r.at + 1
	}
	if missing > 0 {
		f.o.Logger.ErrorContext(ctx, "audit: entries are missing in a log that is sent: verify it",
			slog.String("feed", f.name), slog.String("log", p.logs[len(p.logs)-1].origin), slog.Int64("missing", missing))
	}
}

// entries opens payloads where the feed carries them.
func (f *Feed) entries(ctx context.Context, tenant uuid.UUID, rows []*row, places []SealedEntry) ([]SealedEntry, error) {
	if f.o.Content == OpenHalf {
		for i, r := range rows {
			places[i].Entry = openHalf(r)
		}
		return places, nil
	}
	q := query{log: f.log, db: f.db, tenant: tenant}
	return places, q.fill(ctx, rows, places)
}

// openHalf is what the tree holds of an event in clear.
func openHalf(r *row) Entry {
	l := &r.leaf
	return Entry{
		ID: l.Event, At: l.At, Actor: l.Actor, Session: l.Session, Action: l.Action,
		Object: l.Object, Outcome: l.Outcome, Sealed: true, Index: r.at,
	}
}

// fill adds what rows say, with their payloads.
func (q *query) fill(ctx context.Context, rows []*row, places []SealedEntry) error {
	parts, err := q.parts(ctx, rows)
	if err != nil {
		return err
	}
	keys, err := q.ciphers(ctx, parts)
	if err != nil {
		return err
	}
	for i, r := range rows {
		places[i].Entry = q.entry(r, false, parts[r.leaf.Event], keys)
		places[i].Payload = true
	}
	return nil
}

// placer knows in which of a tenant's logs an entry stands.
type placer struct {
	db     *tenancy.DB
	tenant uuid.UUID
	logs   []*head // oldest first
}

func (p *placer) read(ctx context.Context) (err error) {
	p.logs, err = readLogs(ctx, p.db, p.tenant)
	return err
}

// placed gives rows their logs and numbers. Rows that claim a place behind the end of
// the logs are left out: they were never sealed, and a cursor behind them would pass
// over what is sealed later.
func (p *placer) placed(rows []*row) ([]*row, []SealedEntry) {
	var in []*row
	var out []SealedEntry
	for _, r := range rows {
		if l := p.at(r.at); l != nil {
			in = append(in, r)
			out = append(out, SealedEntry{Log: originOf(l.id), Number: r.at - l.base, Tenant: tenancy.ID(p.tenant)})
		}
	}
	return in, out
}

func (p *placer) at(leaf int64) *head {
	for _, l := range p.logs {
		if leaf >= l.base && leaf < l.base+l.size {
			return l
		}
	}
	return nil
}

// dropped counts the places from one leaf to before another that are gone with their
// logs.
func (p *placer) dropped(from, to int64) (n int64) {
	for _, l := range p.logs {
		if l.dropped {
			n += max(0, min(to, l.base+l.size)-max(from, l.base))
		}
	}
	return n
}
