package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// eventPage is how many events are read at once.
const eventPage = 256

// actionRead is the entry that says that somebody read the log.
const actionRead = "audit.read"

// Filter narrows [Log.Events]. Zero fields do not narrow.
type Filter struct {
	// Platform reads the platform's log in place of the context's tenant's.
	Platform bool
	// Actor is who acted, as [tenancy.Actor.String] writes it: for itself, or on
	// behalf of anybody. One who acts for another finds what it did for that one.
	Actor string
	// For is on whose behalf somebody acted.
	For string
	// Action is a word of the code; one that ends in a full stop stands for all
	// that begin with it.
	Action string
	Object uuid.UUID
	// Subject is a data subject of whom the payload tells. What was erased is not
	// found.
	Subject uuid.UUID
	Since   time.Time // inclusive
	Until   time.Time // exclusive
}

// acting and behalf are the two halves of an actor in SQL.
func acting(d migrate.Dialect) string {
	if d == migrate.SQLite {
		return "substr(e.actor, 1, instr(e.actor || ' for ', ' for ') - 1)"
	}
	return "split_part(e.actor, ' for ', 1)"
}

func behalf(d migrate.Dialect) string {
	if d == migrate.SQLite {
		return "substr(e.actor, instr(e.actor || ' for ', ' for ') + 5)"
	}
	return "split_part(e.actor, ' for ', 2)"
}

// actedBy is true for what the actors of a subquery did, for themselves or for
// others. One among them that acts for another is found as it stands.
func actedBy(d migrate.Dialect, actors string) string {
	return "(e.actor IN " + actors + " OR " + acting(d) + " IN " + actors + ")"
}

// Events yields the events of the context's tenant, page by page; the loop may
// use the database. Those that are sealed come first, in the order of the tree;
// those that wait for the sealer follow in the order in which they were written,
// and are [Entry].Forged where no writer vouches for them. What was erased is
// marked, and no error. Without a tenant it yields [tenancy.ErrNoTenant]. It leaves
// no event: it is for the program's own checks, for jobs and tests. What shows
// events to people calls [Log.Query].
// Whether sealed entries are as they were sealed is for [Verify] to say.
func (l *Log) Events(ctx context.Context, db *tenancy.DB, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		tenant, err := tenantOf(ctx, f.Platform)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		q := query{log: l, db: db, tenant: tenant, filter: f, seq: minSeq, shown: make(map[int64]bool)}
		if err := q.walk(ctx, func(e Entry) bool { return yield(e, nil) }); err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

// errStop says that the loop wants no more.
var errStop = errors.New("audit: stop")

// query is one walk through the events.
type query struct {
	log    *Log
	db     *tenancy.DB
	tenant uuid.UUID
	filter Filter
	leaf   int64          // the next place in the tree
	seq    int64          // the next among those that wait
	shown  map[int64]bool // seq of what was yielded while it waited
}

// walk reads a page of those that wait before it looks for the end of those
// that are sealed: what is sealed in between is not missed.
func (q *query) walk(ctx context.Context, yield func(Entry) bool) error {
	for {
		waiting, err := q.rows(ctx, q.waiting())
		if err != nil {
			return err
		}
		more := len(waiting) == eventPage
		if len(waiting) > 0 {
			q.seq = waiting[len(waiting)-1].seq + 1
		}
		for full := true; full; {
			sealed, err := q.rows(ctx, q.sealed())
			if err != nil {
				return err
			}
			if full = len(sealed) == eventPage; len(sealed) > 0 {
				q.leaf = sealed[len(sealed)-1].at + 1
			}
			sealed = slices.DeleteFunc(sealed, func(r *row) bool { return q.shown[r.seq] })
			if err := q.yield(ctx, sealed, yield); err != nil {
				return err
			}
			waiting = without(waiting, sealed)
		}
		for _, r := range waiting {
			q.shown[r.seq] = true
		}
		if err := q.yield(ctx, waiting, yield); err != nil || !more {
			return err
		}
	}
}

// without leaves out of rows those of others.
func without(rows, others []*row) []*row {
	if len(rows) == 0 {
		return nil
	}
	seen := make(map[int64]bool, len(others))
	for _, r := range others {
		seen[r.seq] = true
	}
	return slices.DeleteFunc(rows, func(r *row) bool { return seen[r.seq] })
}

// storedPart is a part of a payload as it was read.
type storedPart struct {
	event, subject uuid.UUID
	number         int64
	ciphertext     []byte
}

func (q *query) rows(ctx context.Context, s engine.Stmt) ([]*row, error) {
	var rows []*row
	d := q.db.Engine(engine.Library).Dialect()
	err := readIn(ctx, q.db, engine.Scope{Tenant: q.tenant}, s, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		rows = append(rows, row)
		return err
	})
	return rows, err
}

// yield opens the payloads of rows and hands on the entries.
func (q *query) yield(ctx context.Context, rows []*row, yield func(Entry) bool) error {
	if len(rows) == 0 {
		return nil
	}
	mac, err := q.log.mac(ctx)
	if err != nil {
		return err
	}
	parts, err := q.parts(ctx, rows)
	if err != nil {
		return err
	}
	keys, err := q.ciphers(ctx, parts)
	if err != nil {
		return err
	}
	page := make([]Entry, len(rows))
	for i, r := range rows {
		forged := r.at < 0 && !r.vouched(mac)
		page[i] = q.entry(r, forged, parts[r.leaf.Event], keys)
	}
	for _, e := range page {
		if !yield(e) {
			return errStop
		}
	}
	return nil
}

// sealed and waiting are the statements of the next page.
func (q *query) sealed() engine.Stmt {
	return q.events("leaf >= 0 AND e.leaf", q.leaf, "e.leaf, e.seq")
}
func (q *query) waiting() engine.Stmt { return q.events("leaf IS NULL AND e.seq", q.seq, "e.seq") }

// events is the statement of a page. Parameters that do not narrow take part in
// every query, so that there is one text and one plan.
func (q *query) events(which string, from int64, order string) engine.Stmt {
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
			" e WHERE e.tenant_id = $1 AND e." + which + " >= $2 AND e.at >= $3 AND e.at < $4",
		Args: []any{q.tenant, from, since, until},
	}
	q.filter.narrow(d, &s)
	s.SQL += " ORDER BY " + order + " LIMIT " + strconv.Itoa(eventPage)
	return s
}

// narrow adds the conditions of f to a statement over events e of the tenant in
// its first parameter, but those on the time.
func (f *Filter) narrow(d migrate.Dialect, s *engine.Stmt) {
	and := func(condition string, value any) {
		s.Args = append(s.Args, value)
		s.SQL += " AND " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(s.Args)))
	}
	if f.Actor != "" {
		and(actedBy(d, "(?)"), f.Actor)
	}
	if f.For != "" {
		and(behalf(d)+" = ?", f.For)
	}
	switch {
	case strings.HasSuffix(f.Action, "."):
		and("substr(e.action, 1, length(?)) = ?", f.Action)
	case f.Action != "":
		and("e.action = ?", f.Action)
	}
	if f.Object != uuid.Nil { // a subquery, so that SQLite does not prefer an index that spares it sorting
		and("e.id IN (SELECT o.id FROM "+engine.Table(d, "events")+" o WHERE o.tenant_id = $1 AND o.object = ?)", f.Object)
	}
	if f.Subject != uuid.Nil {
		and("e.id IN (SELECT p.event_id FROM "+engine.Table(d, "event_parts")+" p WHERE p.tenant_id = $1 AND p.subject = ?)", f.Subject)
	}
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
			engine.Table(d, "events") + " e CROSS JOIN " + engine.Table(d, "event_parts") + // SQLite keeps the order of a CROSS JOIN
			" p WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id AND e.tenant_id = $1 AND e.seq IN " + numbers(d) + " ORDER BY p.part",
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

func (q *query) entry(r *row, forged bool, parts []storedPart, keys map[uuid.UUID]*field.Cipher) Entry {
	l := &r.leaf
	e := Entry{
		ID: l.Event, At: l.At, Actor: l.Actor, Session: l.Session, Action: l.Action,
		Object: l.Object, Outcome: l.Outcome, Sealed: r.at >= 0, Index: max(r.at, 0), Forged: forged,
	}
	if forged || isClear(l.Action) {
		return e // its part is no payload
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
		if err != nil || e.fill(p.subject, plain) != nil {
			e.Damaged = true
		}
	}
	return e
}
