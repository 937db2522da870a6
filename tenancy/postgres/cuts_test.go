package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// objects is a recorder whose event names the row.
type objects struct{}

func (objects) Change(_ context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	tx.Engine(engine.Library).Queue(engine.Stmt{
		SQL:  "INSERT INTO public.trace (tenant_id, id, action, outcome, detail) VALUES ($1, $2, $3, $4, $5)",
		Args: []any{tx.Tenant().UUID(), uuid.New(), c.Action, int64(c.Outcome), c.Object.String()},
	})
	return nil
}

// job is a write that shows whether it was done: row has then been visited once more,
// and events tells of it as often.
type job struct {
	name string
	// fresh says that the row is not there before.
	fresh bool
	// reads says that it writes nothing: its outcome is always known.
	reads bool
	event string
	do    func(w *world, c *customer) error
}

var jobs = []job{
	{"insert", true, false, "insert", func(w *world, c *customer) error { return customers.Insert(w.a, w.db, c) }},
	{"insert all", true, false, "insert", func(w *world, c *customer) error {
		more := newCustomer("y@example.org", "Y")
		return customers.InsertAll(w.a, w.db, []customer{*more, *c})
	}},
	{"edit", false, false, "update", func(w *world, c *customer) error { return customers.Edit(w.a, w.db, c.ID, visit) }},
	{"edit all", false, false, "update", func(w *world, c *customer) error {
		_, err := customers.EditAll(w.a, w.db, visit, customerPlan.Eq(c.Plan))
		return err
	}},
	{"upsert, new", true, false, "insert", func(w *world, c *customer) error { return customers.Upsert(w.a, w.db, c) }},
	{"upsert, there", false, false, "update", func(w *world, c *customer) error {
		c.Visits++
		return customers.Upsert(w.a, w.db, c)
	}},
	{"in", false, false, "update", func(w *world, c *customer) error {
		return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
			_, err := customers.Get(ctx, tx, c.ID)
			return errors.Join(err, customers.Edit(ctx, tx, c.ID, visit), customers.Insert(ctx, tx, newCustomer("x@example.org", "X")))
		})
	}},
	{"in sql", false, false, "update", func(w *world, c *customer) error {
		return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "SELECT count(*) FROM customers")
			return errors.Join(err, customers.Edit(ctx, tx, c.ID, visit))
		})
	}},
	{"in sql, raw", false, false, "", func(w *world, c *customer) error {
		return w.raw(w.a, "UPDATE customers SET visits = visits + 1 WHERE id = $1", c.ID)
	}},
	{"get", false, true, "", func(w *world, c *customer) error { _, err := customers.Get(w.a, w.db, c.ID); return err }},
	{"where", false, true, "", func(w *world, c *customer) error {
		_, err := customers.Count(w.a, w.db, tenancy.Where("plan = $1", c.Plan))
		return err
	}},
}

func visit(c *customer) error { c.Visits++; return nil }

// cutting is a world behind a knife.
type cutting struct {
	*world
	knife *knife
	super *sqlx.DB
	// ended waits until the server works on nothing more.
	ended func()
	// cuts, and what came of them, in all jobs.
	cuts, unknown, done int
}

// topologies are the places where a connection can break.
var topologies = map[string]func(t *testing.T, w *world) *cutting{
	"client and server": func(t *testing.T, w *world) *cutting {
		t.Helper()
		k := newKnife(t, host(t, w.owner))
		w.logins.Library, w.logins.App = dbtest.At(t, w.logins.Library, k.addr), dbtest.At(t, w.logins.App, k.addr)
		return &cutting{world: w, knife: k, ended: func() {}}
	},
	"client and pooler": func(t *testing.T, w *world) *cutting {
		t.Helper()
		logins := w.behind(t, dbtest.PoolTransactions, nil)
		k := newKnife(t, host(t, logins.Library))
		w.logins = postgres.Logins{Library: dbtest.At(t, logins.Library, k.addr), App: dbtest.At(t, logins.App, k.addr)}
		return &cutting{world: w, knife: k, ended: w.idle(t)}
	},
	"pooler and server": func(t *testing.T, w *world) *cutting {
		t.Helper()
		k := newKnife(t, host(t, w.owner))
		w.logins = w.behind(t, dbtest.PoolTransactions, &dbtest.PoolerOptions{Server: k.addr})
		return &cutting{world: w, knife: k, ended: w.idle(t)}
	},
}

func host(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	return u.Host
}

// idle waits until no process of the logins has a transaction: the end of a pooler's
// client is not yet that of its work.
func (w *world) idle(t *testing.T) func() {
	t.Helper()
	admin := w.admin(t)
	return func() {
		for calm := 0; calm < 2; time.Sleep(2 * time.Millisecond) {
			var n int
			must(t, admin.Get(&n, "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE current_database() || '\\_%' AND xact_start IS NOT NULL"))
			if calm++; n > 0 {
				calm = 0
			}
		}
	}
}

// TestCutEverywhere cuts the connection at each message, in each direction, of each
// way to write. What was answered is there once; what failed is not there, unless the
// error says that nobody knows.
func TestCutEverywhere(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	for name, place := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := place(t, w)
			c.super = w.admin(t)
			var err error
			w.db, err = postgres.Open(t.Context(), w.logins, schema, w.keys, objects{}, &postgres.Options{MaxConns: 1})
			must(t, err)
			t.Cleanup(func() { _ = w.db.Close() })
			for _, j := range jobs {
				for _, d := range []direction{toServer, toClient} {
					c.through(t, j, d)
				}
			}
			t.Logf("%d cuts, %d outcomes unknown, %d done", c.cuts, c.unknown, c.done)
			if c.cuts < 50 || c.unknown < 10 || c.done < 10 {
				t.Error("nothing was tested")
			}
		})
	}
}

// through cuts a job at one message after the other, until none is left.
func (c *cutting) through(t *testing.T, j job, d direction) {
	t.Helper()
	for n := 0; ; n += cutStep {
		must(t, eventually(t, func() error { // also what it prepares
			row := c.prepare(t, j)
			return j.do(c.world, row)
		}))
		row := c.prepare(t, j)
		c.knife.arm(d, n)
		err := j.do(c.world, row)
		cut := c.knife.disarm(t)
		c.ended()
		times := c.times(t, j, row)
		what := fmt.Sprintf("%s, %d messages %s pass", j.name, n, map[direction]string{toServer: "to the server", toClient: "to the client"}[d])
		switch {
		case errors.Is(err, tenancy.ErrUnknownOutcome) && j.reads:
			t.Errorf("%s: a read says that its outcome is unknown: %v", what, err)
		case errors.Is(err, tenancy.ErrUnknownOutcome):
			c.unknown++
		case err == nil && times != 1 && !j.reads:
			t.Errorf("%s: no error, and done %d times", what, times)
		case err != nil && times != 0:
			t.Errorf("%s: %v, and done %d times", what, err, times)
		case err != nil && !errors.Is(err, tenancy.ErrUnavailable):
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
		if times < 0 || times > 1 {
			t.Errorf("%s: %v, done %d times", what, err, times)
		}
		if !cut {
			break
		}
		c.cuts, c.done = c.cuts+1, c.done+times
	}
}

// prepare gives the row of a job, in a plan of its own.
func (c *cutting) prepare(t *testing.T, j job) *customer {
	t.Helper()
	row := newCustomer("x@example.org", "X")
	row.ID, row.Plan = uuid.New(), strings.ReplaceAll(uuid.NewString(), "-", "")
	if !j.fresh {
		must(t, eventually(t, func() error { row.ID = uuid.New(); return customers.Insert(c.a, c.db, row) }))
	}
	return row
}

// times counts how often a job was done to a row, by the row and by its events. It is
// -1 where the two differ.
func (c *cutting) times(t *testing.T, j job, row *customer) int {
	t.Helper()
	var rows, visits, events int
	must(t, c.super.QueryRow("SELECT count(*), coalesce(sum(visits), 0) FROM customers WHERE id = $1", row.ID).Scan(&rows, &visits))
	must(t, c.super.Get(&events, "SELECT count(*) FROM trace WHERE detail = $1 AND action = $2", row.ID.String(), "customers."+j.event))
	n := visits
	if j.fresh {
		n = rows
	}
	if j.event != "" && events != n {
		return -1
	}
	return n
}
