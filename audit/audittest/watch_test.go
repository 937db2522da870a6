package audittest_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject" db:"id"`
	Tenant tenancy.ID              `art32:"tenant"      db:"tenant_id"`
	Name   field.Encrypted[string] `db:"name"`
	City   string                  `art32:"personal"    db:"city"`
	Plan   string                  `art32:"open"        db:"plan"`
}

var (
	customers = tenancy.MustRepository[customer]("customers")
	schema    = tenancy.Schema{customers}
)

func migrations() fs.FS {
	return fstest.MapFS{
		"sqlite/0001_customers.sql": {Data: []byte(`CREATE TABLE customers (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY,
			name BLOB, city TEXT NOT NULL, plan TEXT NOT NULL)`)},
		"postgres/0001_customers.sql": {Data: []byte(`CREATE TABLE customers (tenant_id uuid NOT NULL, id uuid NOT NULL,
			name bytea, city text NOT NULL, plan text NOT NULL, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('customers')`)},
	}
}

// ear hears what an assertion would have failed the test with.
type ear struct {
	testing.TB

	said string
}

type fatal struct{}

func (*ear) Helper() {}

func (e *ear) Errorf(format string, args ...any) { e.said = fmt.Sprintf(format, args...) }

func (e *ear) Fatalf(format string, args ...any) {
	e.Errorf(format, args...)
	panic(fatal{})
}

// hear runs an assertion and returns what it said.
func (e *ear) hear(assert func()) (said string) {
	e.said = ""
	defer func() {
		if r := recover(); r != nil && r != any(fatal{}) {
			panic(r)
		}
		said = e.said
	}()
	assert()
	return e.said
}

const canary = "Kanarienvogel"

func onBoth(t *testing.T, fn func(t *testing.T, w *tenancytest.World)) {
	t.Helper()
	tenancytest.Each(t, schema, &tenancytest.Options{Migrations: migrations()}, func(t *testing.T, w *tenancytest.World) {
		t.Attr("art32.measure", "TOM-5.1")
		fn(t, w)
	})
}

func TestWrote(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *tenancytest.World) {
		ctx := tenancy.WithReason(w.In(t, w.A), canary)
		c := customer{Name: field.New(canary), City: canary, Plan: "free"}
		must(t, customers.Insert(ctx, w.DB, &c)) // before the watch
		e := &ear{TB: t}
		a := audittest.Watch(e, w.Log, w.DB, w.A)
		if s := e.hear(a.Nothing); s != "" {
			t.Errorf("nothing was written, but %q", s)
		}
		must(t, customers.Edit(ctx, w.DB, c.ID, func(c *customer) error { c.Plan, c.City = "pro", canary+"2"; return nil }))
		must(t, w.Recorder.Record(ctx, "mail.send", slog.String("to", canary)))

		update := audittest.Event{Action: "customers.update", Object: c.ID, Actor: w.Actor, Reason: canary, Fields: []string{"plan", "city"}}
		wrong := map[string]func(*audittest.Event){
			"action":  func(e *audittest.Event) { e.Action = "customers.insert" },
			"object":  func(e *audittest.Event) { e.Object = uuid.New() },
			"actor":   func(e *audittest.Event) { e.Actor = tenancy.MustService("other") },
			"outcome": func(e *audittest.Event) { e.Outcome = tenancy.Refused },
			"reason":  func(e *audittest.Event) { e.Reason = "another" },
			"fewer":   func(e *audittest.Event) { e.Fields = []string{"plan"} },
			"more":    func(e *audittest.Event) { e.Fields = []string{"city", "name", "plan"} },
			"none":    func(e *audittest.Event) { e.Fields = []string{} },
		}
		for name, spoil := range wrong {
			want := update
			spoil(&want)
			said := e.hear(func() { a.Wrote(want) })
			if !strings.Contains(said, "customers.update of "+c.ID.String()+" by service:test fields [city plan]") {
				t.Errorf("another %s: %q", name, said)
			}
			if strings.Contains(said, canary) {
				t.Errorf("another %s: the message tells the payload: %s", name, said)
			}
		}
		if said := e.hear(a.Nothing); !strings.Contains(said, "mail.send") || strings.Contains(said, canary) {
			t.Errorf("two events that nobody expects: %q", said)
		}
		if said := e.hear(func() {
			if entry := a.Wrote(update); len(entry.Fields) != 2 || string(entry.Fields[1].New) != `"pro"` {
				t.Errorf("entry %v", entry)
			}
			a.Wrote(audittest.Event{Action: "mail.send"})
			a.Nothing()
		}); said != "" {
			t.Errorf("all was as expected, but %q", said)
		}
		if said := e.hear(func() { a.Wrote(update) }); !strings.Contains(said, "there are: none") {
			t.Errorf("one event answers two calls: %q", said)
		}
	})
}

// TestWatch: each log is watched by itself, the platform's too; refusals count.
func TestWatch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *tenancytest.World) {
		a, b := audittest.Watch(t, w.Log, w.DB, w.A), audittest.Watch(t, w.Log, w.DB, w.B)
		platform := audittest.Watch(t, w.Log, w.DB, tenancy.ID{})
		foreign := customer{Tenant: w.A, City: "Köln"}
		if err := customers.Insert(w.In(t, w.B), w.DB, &foreign); err == nil {
			t.Fatal("a foreign row was taken")
		}
		a.Nothing()
		platform.Nothing()
		b.Wrote(audittest.Event{Action: "customers.insert", Object: foreign.ID, Outcome: tenancy.Refused})
		w.Seal(t)
		b.Nothing()
		made, err := w.DB.CreateTenant(w.In(t, tenancy.ID{}), tenancy.Tenant{Name: "C"})
		must(t, err)
		platform.Wrote(audittest.Event{Action: "tenant.create", Object: made.ID.UUID()})
		must(t, w.DB.Erase(w.In(t, w.A), uuid.New()))
		a.Wrote(audittest.Event{Action: "audit.erase"})
		a.Nothing()
	})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var _ interface {
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
} = (*audittest.Recorder)(nil)
