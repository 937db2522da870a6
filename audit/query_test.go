package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

func (w *world) query(ctx context.Context, tb testing.TB, q audit.Query) audit.Page {
	tb.Helper()
	p, err := w.log.Query(ctx, w.db, q)
	must(tb, err)
	return p
}

// pages reads all pages of a query.
func (w *world) pages(ctx context.Context, tb testing.TB, q audit.Query) (all []audit.Entry) {
	tb.Helper()
	for range 100 {
		p := w.query(ctx, tb, q)
		all = append(all, p.Entries...)
		if q.Cursor = p.Next; q.Cursor == "" {
			return all
		}
		if q.Limit > 0 && len(p.Entries) != q.Limit {
			tb.Fatalf("a page of %d, limit %d", len(p.Entries), q.Limit)
		}
	}
	tb.Fatal("no end")
	return nil
}

func objects(all []audit.Entry) (ids []uuid.UUID) {
	for _, e := range all {
		ids = append(ids, e.Object)
	}
	return ids
}

// Pages hold each event once, in the order asked for, sealed or not, while others
// write.
func TestQueryPages(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var want []uuid.UUID
		for _, c := range w.customers(t, 9) {
			want = append(want, c.ID)
		}
		w.seal(t)
		for _, c := range w.customers(t, 4) { // which wait
			want = append(want, c.ID)
		}
		ctx := w.in(t.Context(), w.a)
		inserts := audit.Filter{Action: "customers.insert"}
		for _, limit := range []int{0, 1, 4, 13, 14, 1000} {
			got := objects(w.pages(ctx, t, audit.Query{Filter: inserts, Order: audit.OldestFirst, Limit: limit}))
			if !slices.Equal(got, want) {
				t.Errorf("oldest first, limit %d: got %d", limit, len(got))
			}
			got = objects(w.pages(ctx, t, audit.Query{Filter: inserts, Limit: limit}))
			slices.Reverse(got)
			if !slices.Equal(got, want) {
				t.Errorf("newest first, limit %d: got %d", limit, len(got))
			}
		}
		first := w.query(ctx, t, audit.Query{Filter: inserts, Limit: 5})
		w.customers(t, 3)
		rest := w.pages(ctx, t, audit.Query{Filter: inserts, Limit: 5, Cursor: first.Next})
		got := append(objects(first.Entries), objects(rest)...)
		slices.Reverse(got)
		if !slices.Equal(got, want) {
			t.Errorf("with a writer between the pages: got %d", len(got))
		}
		if e := first.Entries[0]; e.Sealed || len(e.Fields) == 0 || e.Reason == "" {
			t.Errorf("got %v without its payload", e)
		}
		if got := w.query(w.in(t.Context(), w.b), t, audit.Query{}).Entries; len(got) != 0 {
			t.Errorf("tenant b sees %v", got)
		}
	})
}

func TestQueryFilters(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.customers(t, 3)
		ctx := w.in(t.Context(), w.a)
		before := w.entries(ctx, t, audit.Filter{})
		middle := before[len(before)-1].At.Add(time.Microsecond)
		agent, user := tenancy.Person(uuid.New()), tenancy.Person(uuid.New())
		must(t, customers.Edit(tenancy.WithActor(ctx, agent.For(user)), w.db, c[1].ID, func(c *customer) error { c.Plan = "pro"; return nil }))
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Write(ctx, tx, audit.Event{Action: "customers.merge", Parts: parts(c[0].ID, c[1].ID)})
		}))
		all := audit.Filter{Action: "customers."}
		with := func(fn func(f *audit.Filter)) audit.Filter { f := all; fn(&f); return f }
		for name, k := range map[string]struct {
			filter audit.Filter
			want   int
		}{
			"all":         {all, 5},
			"action":      {audit.Filter{Action: "customers.update"}, 1},
			"actor":       {with(func(f *audit.Filter) { f.Actor = agent.String() }), 1},
			"for":         {with(func(f *audit.Filter) { f.For = user.String() }), 1},
			"object":      {with(func(f *audit.Filter) { f.Object = c[1].ID }), 2},
			"subject":     {with(func(f *audit.Filter) { f.Subject = c[1].ID }), 3},
			"both":        {with(func(f *audit.Filter) { f.Subject, f.Object = c[1].ID, c[1].ID }), 2},
			"since":       {with(func(f *audit.Filter) { f.Since = middle }), 2},
			"until":       {with(func(f *audit.Filter) { f.Until = middle }), 3},
			"span":        {with(func(f *audit.Filter) { f.Since, f.Until = middle.Add(-time.Hour), middle }), 3},
			"long ago":    {with(func(f *audit.Filter) { f.Until = middle.Add(-time.Hour) }), 0},
			"in future":   {with(func(f *audit.Filter) { f.Since = middle.Add(time.Hour) }), 0},
			"before 1970": {with(func(f *audit.Filter) { f.Since = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) }), 5},
		} {
			if got := len(w.pages(ctx, t, audit.Query{Filter: k.filter, Limit: 2})); got != k.want {
				t.Errorf("%s: got %d, want %d", name, got, k.want)
			}
		}
		exact := w.query(ctx, t, audit.Query{Filter: all, Order: audit.OldestFirst, Limit: 2}).Entries
		f := with(func(f *audit.Filter) { f.Since, f.Until = exact[1].At, exact[1].At.Add(time.Microsecond) })
		if got := w.query(ctx, t, audit.Query{Filter: f}).Entries; len(got) != 1 || got[0].ID != exact[1].ID {
			t.Errorf("one microsecond: got %v", got)
		}
		for name, q := range map[string]audit.Query{
			"order": {Order: 7}, "limit": {Limit: 1001}, "below zero": {Limit: -1},
			"span": {Filter: audit.Filter{Since: middle, Until: middle}},
		} {
			if _, err := w.log.Query(ctx, w.db, q); !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A log of the platform's lists its events by their time, though ids of openings
// have none.
func TestQueryPlatform(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 1)
		w.seal(t) // opens a log
		ctx := w.as(t.Context())
		got := w.pages(ctx, t, audit.Query{Filter: audit.Filter{Platform: true}, Order: audit.OldestFirst, Limit: 1})
		if len(got) < 2 || got[0].Action != "tenant.create" || got[1].Action != "tenant.create" || got[1].Object != w.b.UUID() {
			t.Errorf("got %v", got)
		}
		if len(got) != 2 {
			t.Errorf("got %v", got)
		}
		if got := w.query(ctx, t, audit.Query{Filter: audit.Filter{Platform: true, Action: "audit.open", Since: time.Now().Add(-time.Hour)}}).Entries; len(got) != 1 {
			t.Errorf("openings: %v", got)
		}
		_, err := w.log.Query(ctx, w.db, audit.Query{})
		wantErr(t, err, tenancy.ErrNoTenant)
	})
}

// Who reads the log stands in it, with what was asked for; no reading is shown that
// could not be written down.
func TestQueryIsAnEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.customers(t, 2)
		ctx := w.in(t.Context(), w.a)
		q := audit.Query{Filter: audit.Filter{Action: "customers.", Subject: c[0].ID}}
		if got := w.query(ctx, t, q).Entries; len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		w.query(ctx, t, audit.Query{Filter: audit.Filter{Subject: uuid.New()}}) // of a stranger
		reads := w.entries(ctx, t, audit.Filter{Action: "audit.read"})
		if len(reads) != 2 {
			t.Fatalf("got %v", reads)
		}
		e, actor := reads[0], tenancy.Person(uuid.MustParse("6f9619ff-8b86-4d11-b42d-00c04fc964ff"))
		if e.Actor != actor.String() || e.Session != "session-1" || string(e.Attrs["action"]) != `"customers."` ||
			len(e.Parts) != 1 || e.Parts[0].Subject != c[0].ID || e.Reason == "" {
			t.Errorf("got %v %s %v", e, e.Attrs, len(e.Parts))
		}
		if len(reads[1].Parts) != 0 || !slices.Equal(reads[1].Withheld, []string{"reason"}) {
			t.Errorf("a search for a stranger made a key: %v", reads[1].Withheld)
		}
		w.seal(t)
		must(t, w.db.Erase(ctx, c[0].ID))
		w.seal(t)
		w.wantOK(t, nil)
		if e := w.entries(ctx, t, audit.Filter{Action: "audit.read"})[0]; !e.Erased || len(e.Parts) != 0 || string(e.Attrs["action"]) != `"customers."` {
			t.Errorf("who was asked for is not forgotten: %v %v", e.Parts, e.Erased)
		}
		if _, err := w.log.Query(tenancy.WithActor(ctx, tenancy.Actor{}), w.db, q); !errors.Is(err, tenancy.ErrNoActor) {
			t.Errorf("nobody reads: %v", err)
		}
		if w.engine == "postgres" {
			w.raw(t, "REVOKE INSERT ON art32.events FROM art32_library")
			if p, err := w.log.Query(ctx, w.db, audit.Query{}); err == nil || len(p.Entries) != 0 {
				t.Errorf("shown without an event: %v, %v", p.Entries, err)
			}
		}
	})
}

// A cursor holds for one tenant, one filter, one order.
func TestQueryCursor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 3)
		for range 3 {
			must(t, customers.Insert(w.in(t.Context(), w.b), w.db, &customer{Email: field.New("b@example.org")}))
		}
		a, b := w.in(t.Context(), w.a), w.in(t.Context(), w.b)
		q := audit.Query{Filter: audit.Filter{Action: "customers."}, Limit: 1}
		q.Cursor = w.query(a, t, q).Next
		if got := len(w.pages(a, t, q)); got != 2 {
			t.Fatalf("behind the first page: %d", got)
		}
		wider := q
		wider.Limit = 2
		if got := w.query(a, t, wider); len(got.Entries) != 2 {
			t.Errorf("another limit: got %v", got.Entries)
		}
		turned, narrower, other := q, q, q
		turned.Order, narrower.Actor, other.Platform = audit.OldestFirst, "service:test", true
		flipped := q
		flipped.Cursor = flip(q.Cursor)
		short, broken, feed := q, q, q
		short.Cursor, broken.Cursor, feed.Cursor = q.Cursor[:8], "!", q.Cursor+"\n"
		for name, k := range map[string]struct {
			ctx context.Context
			q   audit.Query
		}{
			"another tenant": {b, q}, "another order": {a, turned}, "another filter": {a, narrower}, "the platform": {a, other},
			"changed": {a, flipped}, "too short": {a, short}, "no cursor": {a, broken}, "a line feed": {a, feed},
		} {
			if _, err := w.log.Query(k.ctx, w.db, k.q); !errors.Is(err, tenancy.ErrBadCursor) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, e := range w.entries(a, t, audit.Filter{}) {
			if strings.Contains(q.Cursor, e.ID.String()) {
				t.Error("the cursor shows an id")
			}
		}
	})
}

// flip changes one letter in the middle.
func flip(s string) string {
	b := []byte(s)
	b[len(b)/2] ^= 1
	return string(b)
}

// No query sorts the log or walks through all of it: an index gives the order, or the
// few events of an object or a person.
func TestQueryUsesAnIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.customers(t, 1)[0]
		w.fill(t, 20000)
		ctx := w.in(t.Context(), w.a)
		hour := time.Hour
		for name, k := range map[string]struct {
			q    audit.Query
			want []string // one of them
		}{
			"newest":  {audit.Query{}, []string{"events_id"}},
			"oldest":  {audit.Query{Order: audit.OldestFirst}, []string{"events_id"}},
			"span":    {audit.Query{Filter: audit.Filter{Since: time.Now().Add(-hour), Until: time.Now()}}, []string{"events_id"}},
			"actor":   {audit.Query{Filter: audit.Filter{Actor: "service:other", Since: time.Now().Add(-hour)}}, []string{"events_id"}},
			"object":  {audit.Query{Filter: audit.Filter{Object: c.ID}}, []string{"events_object"}},
			"subject": {audit.Query{Filter: audit.Filter{Subject: c.ID}}, []string{"event_parts_subject"}},
		} {
			plan := w.explain(ctx, t, k.q)
			if !slices.ContainsFunc(k.want, func(index string) bool { return strings.Contains(plan, index) }) ||
				strings.Contains(plan, "Seq Scan on events") || strings.Contains(plan, "SCAN e\n") {
				t.Errorf("%s:\n%s", name, plan)
			}
		}
	})
}

// fill adds n events of other people's, of 1970, to the log of tenant a, past all
// protection.
func (w *world) fill(tb testing.TB, n int) {
	tb.Helper()
	text := `INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac)
		SELECT %[5]s, TENANT, CAST(1000000 AS bigint) * i, %[1]s, i, 'service:test', '', 'customers.update', %[1]s, 1, %[2]s, %[3]s FROM %[4]s`
	parts := `INSERT INTO art32.event_parts (tenant_id, event_id, part, subject, ciphertext) SELECT TENANT, %[1]s, 0, %[1]s, %[2]s FROM %[3]s`
	count := strconv.Itoa(n)
	if w.engine == "postgres" {
		series := "generate_series(1, " + count + ") i"
		w.raw(tb, fmt.Sprintf(text, "gen_random_uuid()", "''::bytea", "decode(repeat('00', 32), 'hex')", series, "('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid"),
			fmt.Sprintf(parts, "gen_random_uuid()", "''::bytea", series), "ANALYZE art32.events", "ANALYZE art32.event_parts")
		return
	}
	series := "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < " + count + ") SELECT i FROM s)"
	w.raw(tb, fmt.Sprintf(text, "lower(hex(randomblob(16)))", "x''", "zeroblob(32)", series, "printf('00000000-0000-7000-8000-%012x', i)"),
		fmt.Sprintf(parts, "lower(hex(randomblob(16)))", "x''", series))
}

// explain is the plan of a query.
func (w *world) explain(ctx context.Context, tb testing.TB, q audit.Query) string {
	tb.Helper()
	s, err := audit.QueryStatement(ctx, w.log, w.db, q)
	must(tb, err)
	db := w.rawDB(tb)
	defer db.Close()
	verb := "EXPLAIN (COSTS OFF) "
	args := make([]any, len(s.Args))
	for i, a := range s.Args {
		if args[i] = a; w.engine == "sqlite" {
			verb = "EXPLAIN QUERY PLAN "
			if id, ok := a.(uuid.UUID); ok {
				args[i] = id.String()
			}
		}
	}
	rows, err := db.QueryContext(ctx, verb+s.SQL, args...)
	must(tb, err)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		dest := []any{&line}
		if w.engine == "sqlite" {
			dest = []any{new(int), new(int), new(int), &line}
		}
		must(tb, rows.Scan(dest...))
		plan.WriteString(line + "\n")
	}
	must(tb, rows.Err())
	return plan.String()
}
