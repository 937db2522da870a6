package tenancytest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func newCustomer(email string) *customer {
	return &customer{Email: field.New(email), City: "Köln", Plan: "free"}
}

// TestWorld: what New promises is there, on both engines.
func TestWorld(t *testing.T) {
	t.Parallel()
	tenancytest.Each(t, schema, options(t), func(t *testing.T, w *tenancytest.World) {
		c := newCustomer("a@example.org")
		if err := customers.Insert(w.In(t, w.A), w.DB, c); err != nil {
			t.Fatal(err)
		}
		if err := w.Recorder.Record(w.In(t, w.B), "backup.read", slog.Int("n", 1)); err != nil {
			t.Fatal(err)
		}
		if err := w.Recorder.Record(w.In(t, tenancy.ID{}), "backup.run"); err != nil {
			t.Fatal(err)
		}
		second := w.Reopen(t)
		if got, err := customers.Get(second.In(t, w.A), second.DB, c.ID); err != nil || got.City != "Köln" {
			t.Errorf("second instance: %v", err)
		}
		if second.Keys == w.Keys || second.DB == w.DB {
			t.Error("the second instance is the first")
		}
		if _, err := customers.Get(w.In(t, w.B), w.DB, c.ID); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("tenant B: %v", err)
		}
		w.Verify(t)
		if n := w.Seal(t); n != 5 { // two logs opened, and what the test wrote; the making of the tenants was sealed at once
			t.Errorf("sealed %d events", n)
		}
		w.Verify(t)
		keys := 0
		for _, err := range w.Store.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			keys++
		}
		if keys == 0 {
			t.Error("the keystore is empty")
		}
	})
}

// TestPlace: what another process is told about a world is enough to open it.
func TestPlace(t *testing.T) {
	t.Parallel()
	tenancytest.Each(t, schema, options(t), func(t *testing.T, w *tenancytest.World) {
		c := newCustomer("a@example.org")
		if err := customers.Insert(w.In(t, w.A), w.DB, c); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(w.Place)
		if err != nil {
			t.Fatal(err)
		}
		var p tenancytest.Place
		if err := json.Unmarshal(text, &p); err != nil || p != w.Place {
			t.Fatalf("%+v, %v", p, err)
		}
		other := tenancytest.Open(t, schema, p, options(t))
		if n, err := customers.Count(other.In(t, other.A), other.DB); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

// TestRaw: an administrator gets past all protection, and Verify finds it.
func TestRaw(t *testing.T) {
	t.Parallel()
	tenancytest.Each(t, schema, options(t), func(t *testing.T, w *tenancytest.World) {
		t.Attr("art32.measure", "TOM-5.1")
		if err := customers.Insert(w.In(t, w.A), w.DB, newCustomer("a@example.org")); err != nil {
			t.Fatal(err)
		}
		if w.Seal(t) == 0 {
			t.Fatal("nothing was sealed")
		}
		table := "art32.events"
		if w.Engine == tenancytest.SQLite {
			table = "art32_events"
		}
		for _, tenant := range []tenancy.ID{w.A, {}} {
			var n int
			err := w.Raw(t, tenant).QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n)
			if err != nil || n == 0 {
				t.Errorf("%d events, %v", n, err)
			}
		}
		listener := &listener{TB: t}
		w.Verify(listener)
		if len(listener.said) != 0 {
			t.Errorf("before the attack: %q", listener.said)
		}
		edit := "UPDATE " + table + " SET actor = 'service:other' WHERE action = 'customers.insert'"
		if _, err := w.Raw(t, w.A).ExecContext(t.Context(), edit); err != nil {
			t.Fatal(err)
		}
		w.Verify(listener)
		if len(listener.said) != 1 || !strings.Contains(listener.said[0], string(audit.KindEdited)) {
			t.Errorf("Verify said %q", listener.said)
		}
	})
}

// listener hears what a helper would have failed the test with.
type listener struct {
	testing.TB

	said []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

func (*listener) Helper() {}

// TestBubble: a world lives inside a bubble, where time passes at once.
func TestBubble(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := tenancytest.New(t, schema, options(t))
			c := newCustomer("a@example.org")
			if err := customers.Insert(w.In(t, w.A), w.DB, c); err != nil {
				t.Fatal(err)
			}
			<-time.After(365 * 24 * time.Hour)
			if got, err := customers.Get(w.In(t, w.A), w.DB, c.ID); err != nil || got.ID != c.ID {
				t.Error(err)
			}
			w.Verify(t)
			if err := tenancytest.Cases()[0].Check(t.Context(), w); err != nil { // Run needs subtests, which a bubble has not
				t.Error(err)
			}
		})
	})
}

// TestFill: rows that the application makes serve in place of made ones.
func TestFill(t *testing.T) {
	t.Parallel()
	o := options(t)
	filled := 0
	o.Fill = func(ctx context.Context, c tenancy.Conn) error {
		filled++
		person := newCustomer(uuid.NewString() + "@example.org")
		return errors.Join(
			customers.Insert(ctx, c, person),
			tickets.Insert(ctx, c, &ticket{Customer: person.ID, Text: field.New("help")}),
			settings.Insert(ctx, c, &setting{Word: "w", Secret: field.New([]byte("s"))}),
			orderLines.Insert(ctx, c, &line{Customer: person.ID, Kind: "it's", Position: 0, Text: field.New("one")}),
			orderLines.Insert(ctx, c, &line{Customer: person.ID, Kind: "it's", Position: 1, Text: field.New("two")}),
			limits.Insert(ctx, c, &limit{Name: fmt.Sprint("limit ", filled), Value: 1}),
			counters.Insert(ctx, c, &counter{ID: int64(filled)}),
		)
	}
	w := tenancytest.New(t, schema, o)
	for _, c := range tenancytest.Cases() {
		before := filled
		if err := c.Check(t.Context(), w); err != nil || filled == before {
			t.Errorf("%s: filled %d times, %v", c.Name, filled-before, err)
		}
	}
	o.Fill = func(ctx context.Context, c tenancy.Conn) error { return settings.Insert(ctx, c, &setting{Word: "w"}) }
	w = tenancytest.New(t, schema, o)
	if err := tenancytest.Cases()[2].Check(t.Context(), w); err == nil || !strings.Contains(err.Error(), "Options.Fill") {
		t.Errorf("tables without rows: %v", err)
	}
}
