package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// meter is a proxy in front of the server that counts round trips: how often a
// client that had heard an answer began to send again.
type meter struct {
	addr  string
	trips atomic.Int64
}

func newMeter(tb testing.TB, server string) *meter {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	m := &meter{addr: l.Addr().String()}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c, server)
		}
	}()
	return m
}

func (m *meter) serve(client net.Conn, addr string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	var mu sync.Mutex
	heard := true // the client has heard the server since it last sent
	go func() {
		defer client.Close()
		m.pump(client, server, func() { mu.Lock(); heard = true; mu.Unlock() })
	}()
	m.pump(server, client, func() {
		mu.Lock()
		defer mu.Unlock()
		if heard {
			m.trips.Add(1)
			heard = false
		}
	})
}

func (m *meter) pump(dst io.Writer, src io.Reader, seen func()) {
	buf := make([]byte, 1<<16)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			seen()
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through is the DSN with the meter in place of the server.
func (m *meter) through(tb testing.TB, dsn string) (string, string) {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	server := u.Host
	u.Host = m.addr
	return u.String(), server
}

// metered is a world whose database lies behind a meter.
func metered(tb testing.TB) (*world, *meter) {
	tb.Helper()
	return meteredAs(tb, func(dsn string) string { return dsn })
}

// meteredAs is metered with other DSNs.
func meteredAs(tb testing.TB, change func(dsn string) string) (*world, *meter) {
	tb.Helper()
	w := newWorld(tb)
	u, err := url.Parse(w.owner)
	if err != nil {
		tb.Fatal(err)
	}
	m := newMeter(tb, u.Host)
	library, _ := m.through(tb, w.logins.Library)
	app, _ := m.through(tb, w.logins.App)
	w.db, err = postgres.Open(tb.Context(), postgres.Logins{Library: change(library), App: change(app)}, schema, w.keys, trace{},
		&postgres.Options{MaxConns: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	return w, m
}

// TestRoundTrips counts those of each verb, with names for statements and without, as
// behind a pooler. The keystore is not behind the meter: these are warm keys.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	t.Run("named", func(t *testing.T) {
		t.Parallel()
		roundTrips(t, func(dsn string) string { return dsn }, 1)
	})
	t.Run("unnamed", func(t *testing.T) {
		t.Parallel()
		roundTrips(t, told, 2)
	})
}

// roundTrips takes what a read with a condition of a caller's costs: its connection is
// cleared by itself where a pooler may be in between.
func roundTrips(t *testing.T, change func(dsn string) string, where int64) {
	t.Helper()
	w, m := meteredAs(t, change)
	c := newCustomer("a@example.org", "Anton")
	count := func(f func() error) int64 {
		t.Helper()
		before := m.trips.Load()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		return m.trips.Load() - before
	}
	get := func(ctx context.Context, conn tenancy.Conn) error {
		_, err := customers.Get(ctx, conn, c.ID)
		return err
	}
	var rows []customer
	var next string
	steps := []struct {
		name string
		want int64
		do   func() error
	}{
		{"insert", 1, func() error { return customers.Insert(w.a, w.db, c) }},
		{"get", 1, func() error { return get(w.a, w.db) }},
		{"list", 1, func() error {
			for _, err := range customers.List(w.a, w.db, customerEmail.Eq("a@example.org")) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"count", 1, func() error { _, err := customers.Count(w.a, w.db, customerPlan.Eq("free")); return err }},
		{"edit", 2, func() error {
			return customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.Visits++; return nil })
		}},
		{"in: 3 gets", 4, func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				return errors.Join(get(ctx, tx), get(ctx, tx), get(ctx, tx))
			})
		}},
		{"in: 2 inserts", 3, func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				return errors.Join(customers.Insert(ctx, tx, newCustomer("x@example.org", "X")),
					customers.Insert(ctx, tx, newCustomer("y@example.org", "Y")))
			})
		}},
		{"in sql: 2 raw, 1 get", 4, func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				var n int
				_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET visits = visits + 1 WHERE id = $1", c.ID)
				return errors.Join(err, tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers"), get(ctx, tx))
			})
		}},
		{"in sql: select into struct", 2, func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				return tx.SQLX().SelectContext(ctx, &rows,
					"SELECT id, tenant_id, email, name, city, plan, visits, born FROM customers")
			})
		}},
		{"in: nothing", 0, func() error {
			return w.db.In(w.a, func(context.Context, *tenancy.Tx) error { return nil })
		}},
		{"in sql: nothing", 0, func() error {
			return w.db.InSQL(w.a, func(context.Context, *tenancy.SQLTx) error { return nil })
		}},
		{"insert all", 1, func() error {
			return customers.InsertAll(w.a, w.db, []customer{*newCustomer("v@example.org", "V"), *newCustomer("w@example.org", "W")})
		}},
		{"edit all", 2, func() error {
			_, err := customers.EditAll(w.a, w.db, visit, customerPlan.Eq("free"))
			return err
		}},
		{"delete all", 2, func() error {
			_, err := customers.DeleteAll(w.a, w.db, customerEmail.In("v@example.org", "w@example.org"))
			return err
		}},
		{"page", 1, func() error {
			p, err := customers.Page(w.a, w.db, "", customerPlan.Asc(), tenancy.Limit(1))
			next = p.Next
			return err
		}},
		{"next page", 1, func() error {
			_, err := customers.Page(w.a, w.db, next, customerPlan.Asc(), tenancy.Limit(1))
			return err
		}},
		{"where", where, func() error { _, err := customers.Count(w.a, w.db, tenancy.Where("visits > $1", 1)); return err }},
		{"upsert, there", 2, func() error { c.Visits += 10; return customers.Upsert(w.a, w.db, c) }},
		{"upsert, new", 2, func() error {
			u := newCustomer("u@example.org", "U")
			u.ID = uuid.New()
			return customers.Upsert(w.a, w.db, u)
		}},
		{"delete", 2, func() error { return customers.Delete(w.a, w.db, c.ID) }},
	}
	// The first call opens the connections and prepares.
	if err := customers.Insert(w.a, w.db, newCustomer("warm@example.org", "W")); err != nil {
		t.Fatal(err)
	}
	if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, "SELECT 1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if got := count(s.do); got != s.want {
			t.Errorf("%s: %d round trips, want %d", s.name, got, s.want)
		}
	}
	if len(rows) != 4 {
		t.Errorf("raw select read %d rows, want 4", len(rows))
	}
}

// TestColdRoundTrips puts the keystore behind the meter too, under a key cache
// that is empty at each step: keys cost one round trip more.
func TestColdRoundTrips(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w, m := metered(t)
	c := newCustomer("a@example.org", "Anton")
	if err := customers.Insert(w.a, w.db, c); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := customers.Insert(w.a, w.db, newCustomer("x@example.org", "X")); err != nil {
			t.Fatal(err)
		}
	}
	library, _ := m.through(t, w.logins.Library)
	app, _ := m.through(t, w.logins.App)
	for _, s := range []struct {
		name string
		want int64
		do   func(db *tenancy.DB) error
	}{
		{"get", 2, func(db *tenancy.DB) error { _, err := customers.Get(w.a, db, c.ID); return err }},
		{"list of 41 people", 2, func(db *tenancy.DB) error {
			for _, err := range customers.List(w.a, db) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		db := coldDB(t, w, library, app)
		before := m.trips.Load()
		if err := s.do(db); err != nil {
			t.Fatal(err)
		}
		if got := m.trips.Load() - before; got != s.want {
			t.Errorf("%s: %d round trips, want %d", s.name, got, s.want)
		}
	}
}

// coldDB opens the database with an empty key cache and warm connections.
func coldDB(t *testing.T, w *world, library, app string) *tenancy.DB {
	t.Helper()
	store, err := postgres.OpenKeystore(t.Context(), library)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.New(w.root, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), postgres.Logins{Library: library, App: app}, schema, keys, trace{},
		&postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := customers.Count(w.a, db); err != nil { // no keys, but the connection
		t.Fatal(err)
	}
	for range 2 {
		if _, err := store.Get(t.Context(), uuid.Nil, []string{"warm"}); err != nil { // likewise
			t.Fatal(err)
		}
	}
	return db
}
