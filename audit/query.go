package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// The default and the greatest number of events of a [Page].
const (
	defaultPage = 50
	mostPage    = 1000
)

// Order is the order of a [Query], by the time of the events.
type Order int

// The orders.
const (
	NewestFirst Order = iota // the default
	OldestFirst
)

// Query selects a page of events.
type Query struct {
	Filter

	Order Order // by time; default NewestFirst
	Limit int   // events of a page, 1 to 1,000; default 50
	// Cursor is where the page begins: [Page].Next of the one before, or empty. It
	// goes with the tenant, the filter and the order; Limit may change.
	Cursor string
}

// Page is a part of a log, for a screen or an API.
type Page struct {
	Entries []Entry // in the order asked for
	// Next is where the next page begins; empty at the end. It may stand in an
	// address: what it says is encrypted.
	Next string
}

// Query reads a page of the log of the context's tenant, or of the platform's, and
// is what shows events to people: in the transaction that reads it writes the event
// audit.read, with what was asked for as its payload. Where that cannot be written
// nothing is shown. Sealed or not, events come in the order of their time; those of
// one process at one microsecond in the order in which they were written. Left out are
// the entries audit.open, which have no place in that order, unless the filter asks
// for them by name, and what tells of readings since the first page: a list that began
// with the oldest would never end.
//
// It finds the place of a page by the last event and not by its number, so that the
// last page costs what the first does. It returns [tenancy.ErrNoTenant],
// [tenancy.ErrNoActor], [tenancy.ErrBadCursor] for a cursor of another tenant, filter
// or order or one that was changed, [tenancy.ErrBadValue] for a query without sense,
// and [tenancy.ErrTxInUse] inside a transaction.
func (l *Log) Query(ctx context.Context, db *tenancy.DB, q Query) (Page, error) {
	if db == nil {
		return Page{}, errors.New("audit: query: database must not be nil")
	}
	if tenancy.TxFrom(ctx) != nil {
		return Page{}, fmt.Errorf("audit: query: its own entry commits by itself, so that it cannot be part of a transaction: %w", tenancy.ErrTxInUse)
	}
	if err := q.check(); err != nil {
		return Page{}, err
	}
	r, err := l.reading(ctx, db, q)
	if err != nil {
		return Page{}, err
	}
	if err := r.read(ctx); err != nil {
		return Page{}, err
	}
	return r.page(ctx)
}

func (q *Query) check() error {
	switch {
	case q.Order != NewestFirst && q.Order != OldestFirst:
		return fmt.Errorf("audit: query: unknown order: %w", tenancy.ErrBadValue)
	case q.Limit < 0 || q.Limit > mostPage:
		return fmt.Errorf("audit: query: the limit is not from 1 to %d: %w", mostPage, tenancy.ErrBadValue)
	case !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until):
		return fmt.Errorf("audit: query: the span ends before it begins: %w", tenancy.ErrBadValue)
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	q.Since, q.Until = q.Since.UTC(), q.Until.UTC() // a cursor holds for the moment, however it is written
	return nil
}

// reading is one query under way.
type reading struct {
	walk  query // opens payloads
	q     Query
	seal  *cursorSeal
	at    place
	event *event // that says that the log is read
	rows  []*row
}

func (l *Log) reading(ctx context.Context, db *tenancy.DB, q Query) (*reading, error) {
	tenant, err := tenantOf(ctx, q.Platform)
	if err != nil {
		return nil, err
	}
	r := &reading{walk: query{log: l, db: db, tenant: tenant}, q: q}
	if r.event, err = l.written(ctx, tenant, q.event()); err != nil {
		return nil, err
	}
	if r.seal, err = l.cursorSeal(ctx, tenant, &q); err != nil {
		return nil, err
	}
	if q.Cursor != "" {
		r.at, err = r.seal.open(q.Cursor)
	} else {
		r.at.began = r.event.leaf.Event
	}
	return r, err
}

// tenantOf is whose log is read; nil is the platform.
func tenantOf(ctx context.Context, platform bool) (uuid.UUID, error) {
	if platform {
		return uuid.Nil, nil
	}
	id, err := tenancy.TenantFrom(ctx)
	return id.UUID(), err
}

// event tells what is asked for. A person in the filter has a part of its own: that
// somebody looked for it is erased with it.
func (q *Query) event() Event {
	var attrs []slog.Attr
	text := func(key, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(key, v))
		}
	}
	moment := func(key string, t time.Time) {
		if !t.IsZero() {
			attrs = append(attrs, slog.Time(key, t.UTC()))
		}
	}
	text("actor", q.Actor)
	text("for", q.For)
	text("action", q.Action)
	if q.Object != uuid.Nil {
		text("object", q.Object.String())
	}
	moment("since", q.Since)
	moment("until", q.Until)
	if q.Cursor != "" {
		attrs = append(attrs, slog.Bool("continued", true))
	}
	ev := Event{Action: actionRead, Attrs: attrs}
	if q.Subject != uuid.Nil {
		ev.Parts = []Part{{Subject: q.Subject}}
	}
	return ev
}

// read writes the event and reads the rows, in one transaction and one round trip.
func (r *reading) read(ctx context.Context) error {
	l, tenant := r.walk.log, r.walk.tenant
	scope := engine.Scope{Tenant: tenant, Actor: r.event.leaf.Actor, Session: r.event.leaf.Session}
	t, err := r.walk.db.Engine(engine.Library).Begin(ctx, scope)
	if err != nil {
		return dbError("begin", err)
	}
	d := t.Dialect()
	err = l.queue(ctx, t, r.event)
	if err == nil {
		_, err = t.Run(ctx, r.statement(), engine.Commit, func(row engine.Row) error {
			e, err := scanEvent(d, row)
			r.rows = append(r.rows, e)
			return err
		})
	}
	if err != nil {
		return errors.Join(dbError("query", err), t.Rollback(context.WithoutCancel(ctx)))
	}
	if !l.classOf(actionRead).Sealed {
		return nil
	}
	return l.hold(ctx, r.walk.db, tenant, r.event.leaf.Event)
}

// statement reads one event more than the page has, to see whether there is a next.
// The index on the ids serves the order and the span, since an id begins with the
// event's time.
func (r *reading) statement() engine.Stmt {
	d := r.walk.db.Engine(engine.Library).Dialect()
	s := engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND (e.id < $2 OR e.action <> '" + actionRead + "') AND e.at >= $3 AND e.at < $4",
		Args: []any{r.walk.tenant, r.at.began, micros(r.q.Since, math.MinInt64), micros(roundedUp(r.q.Until), math.MaxInt64)},
	}
	behind, order := " AND e.id < $", " ORDER BY e.id DESC"
	if r.q.Order == OldestFirst {
		behind, order = " AND e.id > $", " ORDER BY e.id"
	}
	and := func(condition string, id uuid.UUID) {
		s.Args = append(s.Args, id)
		s.SQL += condition + strconv.Itoa(len(s.Args))
	}
	if r.q.Action != actionOpen {
		s.SQL += " AND e.action <> '" + actionOpen + "'"
		if !r.q.Since.IsZero() {
			and(" AND e.id >= $", firstID(r.q.Since.Add(-idSlack)))
		}
		if !r.q.Until.IsZero() {
			and(" AND e.id < $", firstID(r.q.Until.Add(idSlack)))
		}
	}
	if r.at.last != uuid.Nil {
		and(behind, r.at.last)
	}
	r.q.narrow(d, &s)
	s.SQL += order + " LIMIT " + strconv.Itoa(r.q.Limit+1)
	return s
}

// page opens the payloads of what was read.
func (r *reading) page(ctx context.Context) (Page, error) {
	var p Page
	rows := r.rows
	if len(rows) > r.q.Limit {
		rows = rows[:r.q.Limit]
		next, err := r.seal.close(place{rows[len(rows)-1].leaf.Event, r.at.began})
		if err != nil {
			return p, err
		}
		p.Next = next
	}
	err := r.walk.yield(ctx, rows, func(e Entry) bool { p.Entries = append(p.Entries, e); return true })
	if err != nil {
		return Page{}, err
	}
	return p, nil
}
