package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// eventPage is how many events are read at once.
const eventPage = 256

// Filter narrows [Log.Events]. Zero fields do not narrow.
type Filter struct {
	// Platform reads the platform's log in place of the context's tenant's.
	Platform bool
	Actor    string // as tenancy.Actor.String writes it
	Action   string
	Object   uuid.UUID
	Since    time.Time // inclusive
	Until    time.Time // exclusive
}

// Events yields the events of the context's tenant in the order in which they
// were written, page by page; the loop may use the database. What was erased is
// marked, and no error. Without a tenant it yields [tenancy.ErrNoTenant].
func (l *Log) Events(ctx context.Context, db *tenancy.DB, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var tenant uuid.UUID
		if !f.Platform {
			id, err := tenancy.TenantFrom(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			tenant = id.UUID()
		}
		q := query{log: l, db: db, tenant: tenant, filter: f}
		for {
			page, err := q.next(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < eventPage {
				return
			}
		}
	}
}

// query is one walk through the events.
type query struct {
	log    *Log
	db     *tenancy.DB
	tenant uuid.UUID
	filter Filter
	after  int64 // seq
}

// storedPart is a part of a payload as it was read.
type storedPart struct {
	event, subject uuid.UUID
	number         int64
	ciphertext     []byte
}

func (q *query) next(ctx context.Context) ([]Entry, error) {
	var rows []*row
	err := read(ctx, q.db, q.tenant, q.events(), func(r engine.Row) error {
		row, err := scanEvent(r)
		rows = append(rows, row)
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	parts, err := q.parts(ctx, rows)
	if err != nil {
		return nil, err
	}
	q.after = rows[len(rows)-1].seq
	keys, err := q.ciphers(ctx, parts)
	if err != nil {
		return nil, err
	}
	page := make([]Entry, len(rows))
	for i, r := range rows {
		if page[i], err = q.entry(r, parts[r.leaf.Event], keys); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// events is the statement of the next page. Parameters that do not narrow take
// part in every query, so that there is one text and one plan.
func (q *query) events() engine.Stmt {
	d := q.db.Engine(engine.Library).Dialect()
	until := int64(math.MaxInt64)
	if !q.filter.Until.IsZero() {
		until = q.filter.Until.UnixMicro()
	}
	since := int64(math.MinInt64)
	if !q.filter.Since.IsZero() {
		since = q.filter.Since.UnixMicro()
	}
	s := engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND e.seq > $2 AND e.at >= $3 AND e.at < $4 AND (e.leaf IS NULL OR e.leaf >= 0)",
		Args: []any{q.tenant, q.after, since, until},
	}
	and := func(column string, value any) {
		s.Args = append(s.Args, value)
		s.SQL += " AND e." + column + " = $" + strconv.Itoa(len(s.Args))
	}
	if q.filter.Actor != "" {
		and("actor", q.filter.Actor)
	}
	if q.filter.Action != "" {
		and("action", q.filter.Action)
	}
	if q.filter.Object != uuid.Nil {
		and("object", q.filter.Object)
	}
	s.SQL += " ORDER BY e.seq LIMIT " + strconv.Itoa(eventPage)
	return s
}

// parts reads the payloads of a page.
func (q *query) parts(ctx context.Context, rows []*row) (map[uuid.UUID][]storedPart, error) {
	d := q.db.Engine(engine.Library).Dialect()
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.seq
	}
	parts := make(map[uuid.UUID][]storedPart, len(rows))
	err := read(ctx, q.db, q.tenant, engine.Stmt{
		SQL: "SELECT CAST(p.event_id AS TEXT), p.part, COALESCE(CAST(p.subject AS TEXT), ''), p.ciphertext FROM " +
			engine.Table(d, "events") + " e JOIN " + engine.Table(d, "event_parts") +
			" p ON p.tenant_id = e.tenant_id AND p.event_id = e.id WHERE e.tenant_id = $1 AND e.seq IN " + numbers(d, 2) + " ORDER BY p.part",
		Args: []any{q.tenant, list(d, seqs)},
	}, func(r engine.Row) error {
		var p storedPart
		var event, subject string
		err := r.Scan(&event, &p.number, &subject, &p.ciphertext)
		p.event, p.subject = parseID(event), parseID(subject)
		parts[p.event] = append(parts[p.event], p)
		return err
	})
	return parts, err
}

// ciphers fetches the keys of all people of a page at once.
func (q *query) ciphers(ctx context.Context, parts map[uuid.UUID][]storedPart) (map[uuid.UUID]*field.Cipher, error) {
	seen := make(map[uuid.UUID]bool)
	var subjects []uuid.UUID
	own := false
	for _, ps := range parts {
		for _, p := range ps {
			own = own || p.subject == uuid.Nil && p.ciphertext != nil
			if p.subject != uuid.Nil && !seen[p.subject] {
				seen[p.subject] = true
				subjects = append(subjects, p.subject)
			}
		}
	}
	keys := make(map[uuid.UUID]*field.Cipher)
	if len(subjects) > 0 {
		found, err := q.log.keys.Ciphers(ctx, q.tenant, subjects)
		if err != nil {
			return nil, fmt.Errorf("audit: keys of data subjects: %w", err)
		}
		keys = found
	}
	if own {
		c, err := q.log.keys.TenantCipher(ctx, q.tenant)
		if err != nil {
			return nil, fmt.Errorf("audit: key of the tenant: %w", err)
		}
		keys[uuid.Nil] = c
	}
	return keys, nil
}

func (q *query) entry(r *row, parts []storedPart, keys map[uuid.UUID]*field.Cipher) (Entry, error) {
	l := &r.leaf
	e := Entry{
		ID: l.Event, At: l.At, Actor: l.Actor, Session: l.Session, Action: l.Action,
		Object: l.Object, Outcome: l.Outcome, Sealed: r.at >= 0, Index: max(r.at, 0),
	}
	if l.Action == actionErase {
		return e, nil // its part is no payload
	}
	e.Erased = len(parts) < len(l.Digests)/digestSize
	for _, p := range parts {
		c := keys[p.subject]
		if p.ciphertext == nil || c == nil {
			e.Erased = true
			continue
		}
		plain, err := c.Open(nil, p.ciphertext, payloadScope(q.tenant, p.event, int(p.number)))
		if errors.Is(err, field.ErrErased) {
			e.Erased = true
			continue
		}
		if err != nil {
			return e, fmt.Errorf("audit: payload of event %s: %w", p.event, err)
		}
		if err := e.fill(plain); err != nil {
			return e, fmt.Errorf("audit: payload of event %s: %w", p.event, ErrDamaged)
		}
	}
	return e, nil
}
