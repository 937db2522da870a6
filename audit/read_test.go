package audit_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// visits adds n rows about as many people.
func (w *world) visits(tb testing.TB, n int) []visit {
	tb.Helper()
	all := make([]visit, n)
	for i := range all {
		all[i] = visit{Patient: uuid.New(), Finding: field.New("Otitis"), Room: "R" + string(rune('a'+i%20))}
	}
	must(tb, visits.InsertAll(w.in(tb.Context(), w.a), w.db, all))
	return all
}

// readings are the events of reads so far, and the people whom each is about.
func (w *world) readings(tb testing.TB) (events []audit.Entry, people [][]uuid.UUID) {
	tb.Helper()
	events = w.entries(w.in(tb.Context(), w.a), tb, audit.Filter{Action: "visits.read"})
	for _, e := range events {
		var of []uuid.UUID
		for _, p := range e.Parts {
			of = append(of, p.Subject)
		}
		people = append(people, of)
	}
	return events, people
}

func patients(rows []visit) (ids []uuid.UUID) {
	for _, v := range rows {
		ids = append(ids, v.Patient)
	}
	return ids
}

func sameIDs(a, b []uuid.UUID) bool {
	order := func(x, y uuid.UUID) int { return slices.Compare(x[:], y[:]) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}

// Whatever way rows of such a table are handed over, one event for each query says
// who read whose.
func TestReadsAreRecorded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.visits(t, 5)
		ctx := w.in(t.Context(), w.a)
		id := all[1].ID
		list := func(ctx context.Context, c tenancy.Conn, clauses ...tenancy.Clause) (rows []visit, err error) {
			for v, err := range visits.List(ctx, c, clauses...) {
				if err != nil {
					return rows, err
				}
				rows = append(rows, v)
			}
			return rows, nil
		}
		type step struct {
			name   string
			do     func() ([]visit, error)
			rows   int
			object uuid.UUID
		}
		one := func(v visit, err error) ([]visit, error) { return []visit{v}, err }
		inTx := func(fn func(ctx context.Context, tx *tenancy.Tx) ([]visit, error)) func() ([]visit, error) {
			return func() (rows []visit, err error) {
				err = w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) (err error) { rows, err = fn(ctx, tx); return err })
				return rows, err
			}
		}
		raw := tenancy.Where("room = $1", "Rb")
		for _, s := range []step{
			{"get", func() ([]visit, error) { return one(visits.Get(ctx, w.db, id)) }, 1, id},
			{"list", func() ([]visit, error) { return list(ctx, w.db) }, 5, uuid.Nil},
			{"list by a narrow index", func() ([]visit, error) { return list(ctx, w.db, visitFinding.Eq("Otitis"), tenancy.Limit(2)) }, 2, uuid.Nil},
			{"caller's condition", func() ([]visit, error) { return list(ctx, w.db, raw) }, 1, uuid.Nil},
			{"page", func() ([]visit, error) {
				p, err := visits.Page(ctx, w.db, "", tenancy.Limit(2))
				return p.Rows, err
			}, 2, uuid.Nil},
			{"get in a transaction", inTx(func(ctx context.Context, tx *tenancy.Tx) ([]visit, error) { return one(visits.Get(ctx, tx, id)) }), 1, id},
			{"list in a transaction", inTx(func(ctx context.Context, tx *tenancy.Tx) ([]visit, error) { return list(ctx, tx, visitRoom.Eq("Ra")) }), 1, uuid.Nil},
			{"in callers' SQL", func() (rows []visit, err error) {
				err = w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) (err error) { rows, err = list(ctx, tx, raw); return err })
				return rows, err
			}, 1, uuid.Nil},
			{"over tenants", func() (rows []visit, err error) {
				err = w.db.Across(w.as(t.Context()), tenancy.Access{Ticket: "T-1", Life: 1e9}, func(ctx context.Context, x *tenancy.Across) (err error) {
					rows, err = list(tenancy.WithTenant(ctx, w.a), x)
					return err
				})
				return rows, err
			}, 5, uuid.Nil},
			{"edit that changes nothing", func() (rows []visit, err error) {
				err = visits.Edit(ctx, w.db, id, func(v *visit) error { rows = append(rows, *v); return nil })
				return rows, err
			}, 1, id},
		} {
			before, _ := w.readings(t)
			rows, err := s.do()
			if err != nil || len(rows) != s.rows {
				t.Fatalf("%s: %d rows, %v", s.name, len(rows), err)
			}
			if _, err := rows[0].Finding.Reveal(); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			events, people := w.readings(t)
			if len(events) != len(before)+1 {
				t.Errorf("%s: %d events", s.name, len(events)-len(before))
				continue
			}
			e := events[len(before)]
			if e.Object != s.object || !sameIDs(people[len(before)], patients(rows)) || e.Reason == "" {
				t.Errorf("%s: got %v about %v, want %v", s.name, e, people[len(before)], patients(rows))
			}
			if rows, fields := string(e.Attrs["rows"]), string(e.Attrs["fields"]); rows != string(rune('0'+s.rows)) || fields != rows {
				t.Errorf("%s: %s rows, %s fields", s.name, rows, fields)
			}
		}
		before, _ := w.readings(t)
		for name, fn := range map[string]func() error{
			"count":                 func() error { _, err := visits.Count(ctx, w.db); return err },
			"count by narrow index": func() error { _, err := visits.Count(ctx, w.db, visitFinding.Eq("Otitis")); return err },
			"nothing found": func() error {
				_, err := list(ctx, w.db, visitRoom.Eq("none"))
				if _, gerr := visits.Get(ctx, w.db, uuid.New()); !errors.Is(gerr, tenancy.ErrNotFound) {
					return gerr
				}
				return err
			},
			"an edit has its own event":     func() error { return visits.Edit(ctx, w.db, id, func(v *visit) error { v.Room = "X"; return nil }) },
			"as have deletes":               func() error { _, err := visits.DeleteAll(ctx, w.db, visitRoom.Eq("X")); return err },
			"another table does not say so": func() error { w.customers(t, 1); return nil },
		} {
			if err := fn(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if after, _ := w.readings(t); len(after) != len(before) {
				t.Errorf("%s: %d events", name, len(after)-len(before))
			}
		}
		w.seal(t)
		w.wantOK(t, nil)
	})
}

// What was read was read, whatever becomes of the transaction.
func TestReadsSurviveARollback(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.visits(t, 3)
		ctx, failed := w.in(t.Context(), w.a), errors.New("failed")
		wantErr(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			_, err := visits.Get(ctx, tx, all[0].ID)
			return errors.Join(err, failed)
		}), failed)
		wantErr(t, visits.Edit(ctx, w.db, all[1].ID, func(*visit) error { return failed }), failed)
		wantErr(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			var f field.Encrypted[string]
			cell := tenancy.Cell{Table: visits, Column: "finding", Row: all[2].ID, Subject: all[2].Patient}
			if err := tx.SQLX().QueryRowContext(ctx, tx.SQLX().Rebind("SELECT finding FROM visits WHERE id = ?"), all[2].ID.String()).Scan(&f); err != nil {
				return err
			}
			if err := tx.Attach(ctx, cell, &f); err != nil {
				return err
			}
			if text, err := f.Reveal(); err != nil || text != "Otitis" {
				t.Errorf("revealed %q, %v", text, err)
			}
			return failed
		}), failed)
		events, people := w.readings(t)
		if len(events) != 3 {
			t.Fatalf("got %v", events)
		}
		for i, e := range events {
			if e.Object != all[i].ID || !sameIDs(people[i], patients(all[i:i+1])) {
				t.Errorf("got %v about %v", e, people[i])
			}
		}
	})
}

// Who read somebody's data is found by that person, and forgotten with it.
func TestReadersOfAPerson(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.visits(t, 3)
		ctx := w.in(t.Context(), w.a)
		agent := tenancy.Person(uuid.New())
		for _, err := range visits.List(tenancy.WithActor(ctx, agent), w.db) {
			must(t, err)
		}
		read := audit.Filter{Action: "visits.read", Subject: all[1].Patient}
		got := w.query(ctx, t, audit.Query{Filter: read}).Entries
		if len(got) != 1 || got[0].Actor != agent.String() {
			t.Fatalf("got %v", got)
		}
		w.seal(t)
		must(t, w.db.Erase(ctx, all[1].Patient))
		w.seal(t)
		w.wantOK(t, nil)
		if got := w.query(ctx, t, audit.Query{Filter: read}).Entries; len(got) != 0 {
			t.Errorf("an erased person is found: %v", got)
		}
		if _, people := w.readings(t); !sameIDs(people[0], []uuid.UUID{all[0].Patient, all[2].Patient}) {
			t.Errorf("about %v", people[0])
		}
		rows := 0
		for v, err := range visits.List(ctx, w.db) {
			must(t, err)
			rows++
			if _, err := v.Finding.Reveal(); (v.Patient == all[1].Patient) != errors.Is(err, field.ErrErased) {
				t.Errorf("reveal: %v", err)
			}
		}
		events, people := w.readings(t)
		if last := len(events) - 1; rows != 3 || last != 1 || len(people[last]) != 2 {
			t.Errorf("%d rows, %d events", rows, len(events))
		}
	})
}

// No event, no rows.
func TestNoEventNoRows(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.visits(t, 2)
		nobody := tenancy.WithTenant(t.Context(), w.a)
		got, err := visits.Get(nobody, w.db, all[0].ID)
		if !errors.Is(err, tenancy.ErrNoActor) || got.ID != uuid.Nil {
			t.Errorf("get: %v, %v", got.ID, err)
		}
		raw := tenancy.Where("1 = 1")
		for _, clauses := range [][]tenancy.Clause{nil, {raw}} {
			for v, err := range visits.List(nobody, w.db, clauses...) {
				if !errors.Is(err, tenancy.ErrNoActor) || v.ID != uuid.Nil {
					t.Errorf("list: %v, %v", v.ID, err)
				}
			}
		}
		if p, err := visits.Page(nobody, w.db, ""); !errors.Is(err, tenancy.ErrNoActor) || len(p.Rows) != 0 {
			t.Errorf("page: %d rows, %v", len(p.Rows), err)
		}
		if w.engine == "sqlite" {
			return // whose tables nobody can take rights from
		}
		ctx := w.in(t.Context(), w.a)
		w.raw(t, "REVOKE INSERT ON art32.events FROM art32_library, art32_app")
		if got, err := visits.Get(ctx, w.db, all[0].ID); err == nil || got.ID != uuid.Nil {
			t.Errorf("get: %v, %v", got.ID, err)
		}
		for _, clauses := range [][]tenancy.Clause{nil, {raw}} {
			for v, err := range visits.List(ctx, w.db, clauses...) {
				if err == nil || v.ID != uuid.Nil {
					t.Errorf("list: %v, %v", v.ID, err)
				}
			}
		}
		err = w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			got, err := visits.Get(ctx, tx, all[0].ID)
			if err == nil || got.ID != uuid.Nil {
				t.Errorf("get in a transaction: %v, %v", got.ID, err)
			}
			return err
		})
		if err == nil {
			t.Error("a transaction without its event committed")
		}
	})
}

// A reading of more people than a leaf has room for makes several events.
func TestReadOfManyPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		many := make([]uuid.UUID, audit.MaxParts+5)
		for i := range many {
			many[i] = uuid.New()
		}
		ctx := w.in(t.Context(), w.a)
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Read(ctx, tx, tenancy.Read{Action: "visits.read", Rows: len(many), Subjects: many})
		}))
		if _, people := w.readings(t); len(people) != 2 || !sameIDs(slices.Concat(people...), many) {
			t.Errorf("%d events", len(people))
		}
	})
}
