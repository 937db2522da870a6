package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// wireCut is a proxy that can lose what the client asks or what the server
// answers, and with it the connection.
type wireCut struct {
	addr string
	mode atomic.Int32
}

const (
	whole   int32 = iota
	request       // the next request is lost
	answer        // the next request arrives, its answer is lost
)

// cut is a world whose database lies behind a wireCut, on one connection per
// login.
func cut(tb testing.TB) (*world, *wireCut) {
	tb.Helper()
	w, p := newWorld(tb), &wireCut{}
	u, err := url.Parse(w.owner)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	p.addr = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, u.Host)
		}
	}()
	m := meter{addr: p.addr}
	library, _ := m.through(tb, w.logins.Library)
	app, _ := m.through(tb, w.logins.App)
	w.db, err = postgres.Open(tb.Context(), postgres.Logins{Library: library, App: app}, schema, w.keys, trace{},
		&postgres.Options{MaxConns: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	return w, p
}

func (p *wireCut) serve(client net.Conn, addr string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	var deaf atomic.Bool
	go func() {
		defer client.Close()
		p.pump(client, server, deaf.Load)
	}()
	p.pump(server, client, func() bool {
		if p.mode.CompareAndSwap(answer, whole) {
			deaf.Store(true)
		}
		return p.mode.CompareAndSwap(request, whole)
	})
}

// pump copies until lose says that what was read is lost.
func (p *wireCut) pump(dst io.Writer, src io.Reader, lose func() bool) {
	buf := make([]byte, 1<<16)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if lose() {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func TestConnectionLost(t *testing.T) {
	t.Parallel()
	w, p := cut(t)
	stays := w.insert(w.a, t, "Anton")
	insertIn := func(mode int32, sql bool) error {
		c := newCustomer("x@example.org", "X")
		if sql {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				err := customers.Insert(ctx, tx, c)
				p.mode.Store(mode)
				return err
			})
		}
		return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
			err := customers.Insert(ctx, tx, c)
			p.mode.Store(mode)
			return err
		})
	}
	at := func(mode int32, do func() error) func() error {
		return func() error { p.mode.Store(mode); return do() }
	}
	get := func() error { _, err := customers.Get(w.a, w.db, stays.ID); return err }
	insert := func() error { return customers.Insert(w.a, w.db, newCustomer("x@example.org", "X")) }
	for _, c := range []struct {
		name  string
		do    func() error
		want  error
		grows int // rows that are there afterwards
	}{
		{"get, request", at(request, get), tenancy.ErrUnavailable, 0},
		{"get, answer", at(answer, get), tenancy.ErrUnavailable, 0},
		{"insert, request", at(request, insert), tenancy.ErrUnknownOutcome, 0},
		{"insert, answer", at(answer, insert), tenancy.ErrUnknownOutcome, 1},
		{"in, commit lost", func() error { return insertIn(request, false) }, tenancy.ErrUnknownOutcome, 0},
		{"in, answer lost", func() error { return insertIn(answer, false) }, tenancy.ErrUnknownOutcome, 1},
		{"in sql, commit lost", func() error { return insertIn(request, true) }, tenancy.ErrUnknownOutcome, 0},
		{"in sql, answer lost", func() error { return insertIn(answer, true) }, tenancy.ErrUnknownOutcome, 1},
		{"in sql, statement lost", at(request, func() error { return w.raw(w.a, "UPDATE customers SET visits = 1") }), tenancy.ErrUnavailable, 0},
	} {
		before := w.rows(t)
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		p.mode.Store(whole)
		if err := eventually(t, get); err != nil {
			t.Errorf("%s: afterwards: %v", c.name, err)
		}
		if n := w.rows(t) - before; n != c.grows {
			t.Errorf("%s: %d rows more, want %d", c.name, n, c.grows)
		}
	}
	if done, n := w.recorded(w.a, t, "customers.insert", tenancy.Done), w.rows(t); done != n {
		t.Errorf("%d rows, %d events", n, done)
	}
}

func (w *world) rows(tb testing.TB) (n int) {
	tb.Helper()
	if err := w.admin(tb).Get(&n, "SELECT count(*) FROM customers"); err != nil {
		tb.Fatal(err)
	}
	return n
}

// eventually repeats do while the pool replaces a connection that was lost.
func eventually(t *testing.T, do func() error) (err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if err = do(); err == nil {
			return nil
		}
	}
	return err
}

// The server ends the connection, and says so: nothing was written.
func TestBackendTerminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	c := w.insert(w.a, t, "Anton")
	kill := func() {
		t.Helper()
		w.admin(t).MustExec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE current_database() || '\\_%' AND application_name <> 'keystore'")
	}
	insert := func(ctx context.Context, conn tenancy.Conn) error {
		return customers.Insert(ctx, conn, newCustomer("x@example.org", "X"))
	}
	for name, do := range map[string]func() error{
		"before a read":  func() error { kill(); _, err := customers.Get(w.a, w.db, c.ID); return err },
		"before a write": func() error { kill(); return insert(w.a, w.db) },
		"in a transaction": func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				if err := insert(ctx, tx); err != nil {
					return err
				}
				kill()
				return insert(ctx, tx)
			})
		},
		"in the caller's": func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				if err := insert(ctx, tx); err != nil {
					return err
				}
				kill()
				return insert(ctx, tx)
			})
		},
		"while it waits for a lock": func() error {
			lock := w.admin(t).MustBegin()
			defer lock.Rollback()
			lock.MustExec("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
			done := make(chan error, 1)
			go func() { done <- insert(w.a, w.db) }()
			for n := 0; n == 0; {
				if err := lock.Get(&n, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass"); err != nil {
					t.Error(err)
				}
			}
			kill()
			return <-done
		},
	} {
		err := do()
		if errors.Is(err, tenancy.ErrUnknownTenant) || errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !errors.Is(err, tenancy.ErrUnavailable) && !errors.Is(err, tenancy.ErrUnknownOutcome) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if name != "before a read" && name != "before a write" && !errors.Is(err, tenancy.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if err := eventually(t, func() error { _, err := customers.Get(w.a, w.db, c.ID); return err }); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
		if err := eventually(t, func() error { _, err := w.seen(w.a); return err }); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
	if n, done := w.rows(t), w.recorded(w.a, t, "customers.insert", tenancy.Done); n != done {
		t.Errorf("%d rows, %d events", n, done)
	}
	if n := w.recorded(w.a, t, "sql.refused", tenancy.Refused); n != 0 {
		t.Errorf("%d losses of the connection were recorded as refusals", n)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	c := w.insert(w.a, t, "Anton")
	cancelled := func(do func(ctx context.Context, cancel func()) error) func() error {
		return func() error {
			ctx, cancel := context.WithCancel(w.a)
			defer cancel()
			return do(ctx, cancel)
		}
	}
	for name, do := range map[string]func() error{
		"before": cancelled(func(ctx context.Context, cancel func()) error {
			cancel()
			return customers.Delete(ctx, w.db, c.ID)
		}),
		"in": cancelled(func(ctx context.Context, cancel func()) error {
			return w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				err := customers.Delete(ctx, tx, c.ID)
				cancel()
				return err
			})
		}),
		"in sql": cancelled(func(ctx context.Context, cancel func()) error {
			return w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "DELETE FROM customers")
				cancel()
				return err
			})
		}),
		"in sql, then a verb": cancelled(func(ctx context.Context, cancel func()) error {
			return w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "DELETE FROM customers")
				cancel()
				return errors.Join(err, customers.Insert(ctx, tx, newCustomer("x@example.org", "X")))
			})
		}),
		"deadline": func() error {
			ctx, cancel := context.WithTimeout(w.a, 200*time.Millisecond)
			defer cancel()
			return w.raw(ctx, "SELECT pg_sleep(20)")
		},
		"pool exhausted": func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				if _, err := customers.Get(ctx, tx, c.ID); err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(w.a, 200*time.Millisecond)
				defer cancel()
				return customers.Delete(ctx, w.db, c.ID)
			})
		},
		"pool of callers exhausted": func() error {
			return w.db.InSQL(w.a, func(context.Context, *tenancy.SQLTx) error {
				ctx, cancel := context.WithTimeout(w.a, 200*time.Millisecond)
				defer cancel()
				return w.raw(ctx, "DELETE FROM customers")
			})
		},
	} {
		err := do()
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		if _, err := customers.Get(w.a, w.db, c.ID); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
		if n, err := w.seen(w.a); err != nil || n != 1 {
			t.Errorf("%s: afterwards %d rows, %v", name, n, err)
		}
	}
	if n := w.recorded(w.a, t, "sql.refused", tenancy.Refused) + w.recorded(w.a, t, "customers.insert", tenancy.Refused); n != 0 {
		t.Errorf("%d ends of a context were recorded as refusals", n)
	}
}

// Refusals are recorded although what was refused rolls back, and although the
// context has ended.
func TestRefusalsAreRecorded(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t)
	foreign := newCustomer("x@example.org", "X")
	foreign.Tenant = tenantOf(t, w.b)
	ctx, cancel := context.WithCancel(w.a)
	err := w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		err := customers.Insert(ctx, tx, foreign)
		cancel()
		return err
	})
	if !errors.Is(err, tenancy.ErrOtherTenant) || w.recorded(w.a, t, "customers.insert", tenancy.Refused) != 1 {
		t.Errorf("%v; events %v", err, w.events(w.a, t))
	}
	if err := w.raw(w.a, "SELECT id FROM art32.tenants"); !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("control table: %v", err)
	}
	if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error { // and the caller goes on
		_, _ = tx.SQLX().ExecContext(ctx, "COMMIT")
		_, _ = tx.SQLX().ExecContext(ctx, "ROLLBACK")
		return nil
	}); err != nil {
		t.Error(err)
	}
	var details []string
	for _, e := range w.events(w.a, t) {
		if e.Action == "sql.refused" && e.Outcome == tenancy.Refused {
			details = append(details, e.Detail)
		}
	}
	if len(details) != 2 || details[0]+details[1] != "1 statements refused by the database2 statements refused by the database" {
		t.Errorf("refusals of raw SQL: %q", details)
	}
	if n := w.recorded(w.b, t, "customers.insert", tenancy.Refused); n != 0 {
		t.Errorf("B's log holds %d refusals of A's", n)
	}
	if err := customers.Update(w.a, w.db, &customer{ID: uuid.New(), Tenant: tenantOf(t, w.b)}); !errors.Is(err, tenancy.ErrOtherTenant) {
		t.Errorf("update: %v", err)
	}
	if n := w.recorded(w.a, t, "customers.update", tenancy.Refused); n != 1 {
		t.Errorf("%d refused updates were recorded, want 1", n)
	}
}
