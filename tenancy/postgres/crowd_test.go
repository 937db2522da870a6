package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// crowd is many tenants at work at once through a pooler, while connections break on
// both sides of it and processes of the server are ended.
type crowd struct {
	*testing.T
	*world
	log    *audit.Log
	chaos  *tenancy.DB // behind all that breaks
	calm   *tenancy.DB // straight to the server
	broken [2]*breaker // before and behind the pooler
	stop   chan struct{}

	ops, reads, unknown, lost, done, refused, kills atomic.Int64
}

// resident is one tenant, who alone works on its rows and remembers them.
type resident struct {
	*crowd
	ctx    context.Context
	canary string
	rows   map[uuid.UUID]*known
	sure   []uuid.UUID // rows that are there
	raw    bounds      // what callers' text has counted
}

// known is what must be true of a row in the end.
type known struct{ inserted, updated, deleted bounds }

// bounds say how often something was done: for certain, and at most.
type bounds struct{ least, most int }

// note takes an attempt down.
func (b *bounds) note(err error) {
	switch {
	case err == nil:
		b.least++
		b.most++
	case errors.Is(err, tenancy.ErrUnknownOutcome):
		b.most++
	}
}

func (b *bounds) allow(n int) bool { return b.least <= n && n <= b.most }

// TestCrowd is 50 tenants and random operations. Nobody meets another's canary, in
// rows, errors or what sessions keep; every write that was answered is there once and
// with one event; none that failed is there, but where the error says that nobody
// knows. The logs verify.
func TestCrowd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	c := newCrowd(t)
	residents := make([]*resident, 50)
	for i := range residents {
		ctx := c.tenant(t, fmt.Sprintf("tenant-%02d", i))
		residents[i] = &resident{crowd: c, ctx: ctx, canary: fmt.Sprintf("kanarie%02dx", i), rows: map[uuid.UUID]*known{}}
		must(t, c.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "INSERT INTO tallies VALUES ($1, 0)", tenantOf(t, ctx))
			return err
		}))
	}
	var havoc, work sync.WaitGroup
	havoc.Go(c.havoc)
	start := time.Now()
	for _, m := range residents {
		work.Go(func() {
			for range crowdOperations / len(residents) {
				m.operate()
			}
		})
	}
	work.Wait()
	took := time.Since(start)
	close(c.stop)
	havoc.Wait()
	c.idle(t)()
	for _, m := range residents {
		m.verify()
	}
	t.Logf("%d operations of %d tenants in %v: %d done, %d reads, %d outcomes unknown, %d lost, %d refused; %d connections broken or ended",
		c.ops.Load(), len(residents), took.Round(time.Second), c.done.Load(), c.reads.Load(), c.unknown.Load(), c.lost.Load(), c.refused.Load(), c.kills.Load())
	if c.lost.Load() == 0 || c.refused.Load() == 0 || c.done.Load() < c.ops.Load()/2 {
		t.Error("nothing was tested")
	}
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	w := &world{owner: dbtest.Postgres(t)}
	setup := postgres.SetupOptions{Migrations: migrations(t), Lines: []tenancy.Line{audit.Line()}}
	var err error
	w.logins, err = postgres.Setup(t.Context(), w.owner, &setup)
	must(t, err)
	w.asOwner(t, "CREATE TABLE tallies (tenant_id uuid PRIMARY KEY, n int NOT NULL); SELECT art32.protect('tallies')")
	c := &crowd{T: t, world: w, stop: make(chan struct{})}
	calm := "&application_name=calm" // which havoc spares
	c.calm, c.log = c.openBy(postgres.Logins{Library: w.logins.Library + calm, App: w.logins.App + calm}, setup)
	w.db = c.calm
	c.broken[1] = newBreaker(t, host(t, w.owner))
	behind := w.behind(t, dbtest.PoolTransactions, &dbtest.PoolerOptions{Server: c.broken[1].addr, Settings: []string{"server_login_retry = 0"}})
	c.broken[0] = newBreaker(t, host(t, behind.Library))
	through := postgres.Logins{Library: dbtest.At(t, behind.Library, c.broken[0].addr), App: dbtest.At(t, behind.App, c.broken[0].addr)}
	c.chaos, _ = c.openBy(through, setup)
	return c
}

// openBy opens keystore and database by the same logins.
func (c *crowd) openBy(l postgres.Logins, setup postgres.SetupOptions) (*tenancy.DB, *audit.Log) {
	c.Helper()
	store, err := postgres.OpenKeystore(c.Context(), l.Library)
	must(c, err)
	c.Cleanup(func() { _ = store.Close() })
	if c.root == nil {
		path := c.TempDir() + "/root.key"
		must(c, keyring.CreateKeyFile(path))
		c.root, err = keyring.KeyFile(path)
		must(c, err)
	}
	keys, err := keyring.New(c.root, store, nil)
	must(c, err)
	log, err := audit.New(keys, nil)
	must(c, err)
	db, err := postgres.Open(c.Context(), l, schema, keys, log, &postgres.Options{SetupOptions: setup, MaxConns: 12})
	must(c, err)
	c.Cleanup(func() { _ = db.Close() })
	return db, log
}

// havoc breaks connections and ends processes until it is told to stop.
func (c *crowd) havoc() {
	admin := c.admin(c.T)
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(time.Duration(rand.IntN(int(2 * havocEvery)))):
		}
		c.kills.Add(1)
		switch rand.IntN(3) {
		case 0:
			_, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
				WHERE usename LIKE current_database() || '\_%' AND application_name <> 'calm' ORDER BY random() LIMIT 1) p`)
			must(c, err)
		case 1:
			c.broken[0].breakOne()
		default:
			c.broken[1].breakOne()
		}
	}
}

// verify compares what is there with what must be.
func (m *resident) verify() {
	m.Helper()
	events := map[string]int{}
	for e, err := range m.log.Events(m.ctx, m.calm, audit.Filter{}) {
		if err != nil {
			m.Fatal(err)
		}
		events[e.Action+" "+e.Object.String()]++
		for _, f := range e.Fields {
			m.own(fmt.Sprint(f.Old, f.New))
		}
	}
	there := map[uuid.UUID]customer{}
	for row, err := range customers.List(m.ctx, m.calm) {
		if err != nil {
			m.Fatal(err)
		}
		m.check(&row)
		there[row.ID] = row
		if m.rows[row.ID] == nil {
			m.Errorf("%s has a row that it never wrote", m.canary)
		}
	}
	for id, k := range m.rows {
		ins, upd, del := events["customers.insert "+id.String()], events["customers.update "+id.String()], events["customers.delete "+id.String()]
		row, ok := there[id]
		if !k.inserted.allow(ins) || !k.updated.allow(upd) || !k.deleted.allow(del) {
			m.Errorf("%s: events %d, %d, %d, allowed %+v", m.canary, ins, upd, del, *k)
		}
		if ok != (ins-del == 1) || ok && int(row.Visits) != upd {
			m.Errorf("%s: row there %v with %d visits, events %d, %d, %d", m.canary, ok, row.Visits, ins, upd, del)
		}
	}
	var n int
	must(m, m.calm.InSQL(m.ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().GetContext(ctx, &n, "SELECT n FROM tallies")
	}))
	if !m.raw.allow(n) {
		m.Errorf("%s: callers' text counted %d, allowed %+v", m.canary, n, m.raw)
	}
	m.verifyLog()
}

func (m *resident) verifyLog() {
	m.Helper()
	sealer, err := audit.NewSealer(m.log, m.calm, nil)
	must(m, err)
	for n := 1; n > 0; {
		n, err = sealer.SealDue(m.ctx)
		must(m, err)
	}
	report, err := audit.Verify(m.ctx, m.calm, tenantOf(m.T, m.ctx), nil)
	must(m, err)
	if !report.OK() || report.Size == 0 {
		m.Errorf("%s: the log of %d entries does not verify: %v", m.canary, report.Size, report.Findings)
	}
}

// own sees to it that a text holds no other's canary.
func (m *resident) own(text string) {
	if strings.Contains(strings.ReplaceAll(text, m.canary, ""), "kanarie") {
		m.Errorf("%s meets another's canary", m.canary)
	}
}

// check looks at a row that was read.
func (m *resident) check(row *customer) {
	email, err := row.Email.Reveal()
	if err != nil || row.Tenant != tenantOf(m.T, m.ctx) || row.City != m.canary || !strings.HasPrefix(email, m.canary) {
		m.Errorf("%s reads a row of another: city %q, email %q, %v", m.canary, row.City, email, err)
	}
}

// fresh is a new row of the resident's, and what is known of it.
func (m *resident) fresh() (*customer, *known) {
	row := &customer{
		ID: uuid.New(), Email: field.New(m.canary + "@example.org"), Name: field.New(m.canary),
		City: m.canary, Plan: fmt.Sprint("p", rand.IntN(4)),
	}
	k := &known{}
	m.rows[row.ID] = k
	return row, k
}
