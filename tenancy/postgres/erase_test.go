package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// reopen opens the database with other tables.
func (w *world) reopen(tb testing.TB, tables ...tenancy.Table) *tenancy.DB {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), w.logins, tables, w.keys, trace{}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func TestErase(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	c, other := w.insert(w.a, t, "Anton"), w.insert(w.a, t, "Else")
	c.Born = new(time.Now())
	if err := customers.Update(w.a, w.db, c); err != nil {
		t.Fatal(err)
	}
	if err := w.db.Erase(w.b, c.ID); err != nil { // B has no such person
		t.Fatal(err)
	}
	if got, err := customers.Get(w.a, w.db, c.ID); err != nil || got.City == "" {
		t.Fatalf("B erased A's customer: %v", err)
	}
	for range 2 {
		if err := w.db.Erase(w.a, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	got, err := customers.Get(w.a, w.db, c.ID)
	if err != nil || got.City != "" || got.Born != nil || got.Plan != "free" {
		t.Errorf("row: %+v, %v; want the personal columns empty and the open one as it was", got, err)
	}
	if _, err := got.Email.Reveal(); !errors.Is(err, field.ErrErased) {
		t.Errorf("Reveal: %v, want ErrErased", err)
	}
	if n, err := customers.Count(w.a, w.db, customerEmail.Eq("Anton@example.org")); err != nil || n != 0 {
		t.Errorf("found %d by blind index, %v; want none", n, err)
	}
	n := 0
	for row, err := range customers.List(w.a, w.db) {
		if err != nil {
			t.Fatal(err)
		}
		_, err = row.Name.Reveal()
		if erased := errors.Is(err, field.ErrErased); erased != (row.ID == c.ID) {
			t.Errorf("list: %v", err)
		}
		n++
	}
	if got, err := customers.Get(w.a, w.db, other.ID); err != nil || got.City != "Köln" || n != 2 {
		t.Errorf("the other person: %q, %v; %d rows", got.City, err, n)
	}
	w.erasedStaysErased(t, c.ID)
	if err := w.db.Erase(w.a, uuid.Nil); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("erase of nobody: %v, want ErrNotFound", err)
	}
}

func (w *world) erasedStaysErased(t *testing.T, id uuid.UUID) {
	t.Helper()
	edit := func(change func(c *customer)) error {
		return customers.Edit(w.a, w.db, id, func(c *customer) error { change(c); return nil })
	}
	if err := edit(func(c *customer) { c.Plan = "pro" }); err != nil {
		t.Errorf("an open column: %v", err)
	}
	for name, change := range map[string]func(c *customer){
		"encrypted": func(c *customer) { c.Name = field.New("Anton") },
		"personal":  func(c *customer) { c.City = "Bonn" },
		"pointer":   func(c *customer) { c.Born = new(time.Now()) },
	} {
		if err := edit(change); !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("%s: %v, want ErrErased", name, err)
		}
	}
	if err := customers.Delete(w.a, w.db, id); err != nil {
		t.Errorf("delete: %v", err)
	}
	for name, c := range map[string]*customer{
		"encrypted": {ID: id, Name: field.New("Anton")}, "personal": {ID: id, City: "Bonn"}, "empty": {ID: id},
	} {
		if err := customers.Insert(w.a, w.db, c); !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("insert, %s: %v, want ErrErased", name, err)
		}
	}
}

func TestEditIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	const writers = 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			if err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.Visits++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := customers.Get(w.a, w.db, c.ID)
	if err != nil || got.Visits != writers {
		t.Errorf("%d visits, %v; want %d", got.Visits, err, writers)
	}
	if n := w.recorded(w.a, t, "customers.update", tenancy.Done); n != writers {
		t.Errorf("%d events, want %d", n, writers)
	}
}

func TestEditKeepsIdentity(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	for name, change := range map[string]func(c *customer){
		"key":    func(c *customer) { c.ID = uuid.New(); c.City = "x" },
		"no key": func(c *customer) { c.ID = uuid.Nil },
	} {
		if err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { change(c); return nil }); err == nil {
			t.Errorf("%s was changed", name)
		}
	}
	err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.Tenant = tenantOf(t, w.b); c.City = "x"; return nil })
	if !errors.Is(err, tenancy.ErrOtherTenant) || w.recorded(w.a, t, "customers.update", tenancy.Refused) != 1 {
		t.Errorf("tenant: %v, want ErrOtherTenant and a refusal; events %v", err, w.events(w.a, t))
	}
	stop := errors.New("stop")
	if err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.City = "x"; return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want the caller's error", err)
	}
	if err := w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
		return customers.Edit(ctx, tx, c.ID, func(*customer) error { return customers.Delete(ctx, tx, c.ID) })
	}); err != nil {
		t.Errorf("a verb inside Edit: %v", err)
	}
	if err := customers.Edit(w.b, w.db, c.ID, func(*customer) error { t.Error("called"); return nil }); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("a row that is not there: %v, want ErrNotFound", err)
	}
}
