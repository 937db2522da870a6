package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// told is a DSN that tells of a pooler.
func told(dsn string) string { return dsn + "&default_query_exec_mode=exec" }

// behind starts a pooler before the world's database and gives the logins that lead
// through it.
func (w *world) behind(tb testing.TB, mode dbtest.PoolMode, o *dbtest.PoolerOptions) postgres.Logins {
	tb.Helper()
	dsns := dbtest.Pooler(tb, mode, o, w.logins.Library, w.logins.App)
	return postgres.Logins{Library: told(dsns[0]), App: told(dsns[1])}
}

// through opens the world's database once more, keystore and all, by other logins.
func (w *world) through(tb testing.TB, logins postgres.Logins, o *postgres.Options) *tenancy.DB {
	tb.Helper()
	store, err := postgres.OpenKeystore(tb.Context(), logins.Library)
	must(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.New(w.root, store, nil)
	must(tb, err)
	db, err := postgres.Open(tb.Context(), logins, schema, keys, trace{}, o)
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// TestPoolerIsTold: a pooler of which the DSN does not tell is found, and with it
// nothing is opened.
func TestPoolerIsTold(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	for _, mode := range []dbtest.PoolMode{dbtest.PoolTransactions, dbtest.PoolSessions} {
		logins := w.behind(t, mode, nil)
		for _, change := range []string{"", "cache_statement", "cache_describe", "describe_exec", "simple_protocol"} {
			bad := func(dsn string) string {
				u, err := url.Parse(dsn)
				must(t, err)
				q := u.Query()
				q.Del("default_query_exec_mode")
				if change != "" {
					q.Set("default_query_exec_mode", change)
				}
				u.RawQuery = q.Encode()
				return u.String()
			}
			for who, l := range map[string]postgres.Logins{
				"library": {Library: bad(logins.Library), App: logins.App},
				"app":     {Library: logins.Library, App: bad(logins.App)},
			} {
				_, err := postgres.Open(t.Context(), l, schema, w.keys, trace{}, nil)
				refused, ok := errors.AsType[*postgres.RefusedError](err)
				if !ok || len(refused.Findings) != 1 || !strings.HasPrefix(refused.Findings[0].What, who+" login: a pooler") ||
					!strings.Contains(refused.Findings[0].Mend, "default_query_exec_mode=exec") {
					t.Errorf("%s, %s, %q: %v", mode, who, change, err)
				}
			}
			found, err := postgres.Inspect(t.Context(), postgres.Logins{Library: bad(logins.Library), App: bad(logins.App)}, nil, nil)
			if err != nil || len(found) != 2 {
				t.Errorf("%s, %q: inspection: %v, %v", mode, change, found, err)
			}
			if _, err := postgres.OpenKeystore(t.Context(), bad(logins.Library)); err == nil || !strings.Contains(err.Error(), "a pooler stands") {
				t.Errorf("%s, %q: keystore: %v", mode, change, err)
			}
		}
		must(t, w.through(t, logins, nil).Close())
	}
}

// TestPoolerRefusesParameters: what a pooler does not let pass is told as the DSN's.
func TestPoolerRefusesParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	logins := w.behind(t, dbtest.PoolTransactions, nil)
	logins.App += "&search_path=public"
	_, err := postgres.Open(t.Context(), logins, schema, w.keys, trace{}, nil)
	if !errors.Is(err, tenancy.ErrUnavailable) || !strings.Contains(err.Error(), "parameter of the DSN") {
		t.Errorf("%v", err)
	}
}

// pooledLeftovers are what a session keeps beyond a transaction, those too that a
// rollback does not take back, and those of which a pooler keeps a copy.
var pooledLeftovers = append([]leftover{
	{"prepared name", "PREPARE mine AS SELECT 'of A'", "SELECT count(*) FROM pg_prepared_statements"},
	{"sequence", "SELECT nextval('numbers')", "SELECT count(*) FROM pg_sequences WHERE sequencename = 'numbers' AND lastval_of('numbers') IS NOT NULL"},
	{"zone", "SET timezone = 'Asia/Tokyo'", "SELECT (current_setting('timezone') = 'Asia/Tokyo')::int"},
	{"style of dates", "SET datestyle = 'SQL, DMY'", "SELECT (current_setting('datestyle') LIKE 'SQL%')::int"},
	{"encoding", "SET client_encoding = 'LATIN1'", "SELECT (current_setting('client_encoding') = 'LATIN1')::int"},
	{"quoting", "SET standard_conforming_strings = off", "SELECT (current_setting('standard_conforming_strings') = 'off')::int"},
	{"name", "SET application_name = 'of A'", "SELECT (current_setting('application_name') = 'of A')::int"},
	{"time limit", "SET statement_timeout = '1ms'", "SELECT (current_setting('statement_timeout') = '1ms')::int"},
}, leftovers...)

// lastingTables are the functions and tables that the residue is made with and seen by.
const lastingTables = `CREATE SEQUENCE numbers; GRANT USAGE ON numbers TO art32_app;
	CREATE FUNCTION lastval_of(name text) RETURNS bigint LANGUAGE plpgsql AS
		$$ BEGIN RETURN currval(name); EXCEPTION WHEN object_not_in_prerequisite_state THEN RETURN NULL; END $$;
	CREATE TABLE links (tenant_id uuid NOT NULL, id uuid, to_id uuid, PRIMARY KEY (tenant_id, id),
		FOREIGN KEY (tenant_id, to_id) REFERENCES customers (tenant_id, id) DEFERRABLE INITIALLY DEFERRED);
	SELECT art32.protect('links')`

// endings are the ways in which A's transaction ends behind what it left.
var endings = map[string]func(ctx context.Context, tx *tenancy.SQLTx, tenant tenancy.ID) error{
	"commit":   func(context.Context, *tenancy.SQLTx, tenancy.ID) error { return nil },
	"rollback": func(context.Context, *tenancy.SQLTx, tenancy.ID) error { return errStop },
	"failed": func(ctx context.Context, tx *tenancy.SQLTx, _ tenancy.ID) error {
		_, err := tx.SQLX().ExecContext(ctx, "SELECT 1 / 0")
		return err
	},
	"failed, passed over": func(ctx context.Context, tx *tenancy.SQLTx, _ tenancy.ID) error {
		_, _ = tx.SQLX().ExecContext(ctx, "SELECT 1 / 0")
		return nil
	},
	"commit that fails": func(ctx context.Context, tx *tenancy.SQLTx, tenant tenancy.ID) error {
		_, err := tx.SQLX().ExecContext(ctx, "INSERT INTO links VALUES ($1, $2, $2)", tenant, uuid.New())
		return err
	},
	"large commit": func(ctx context.Context, tx *tenancy.SQLTx, _ tenancy.ID) error {
		c := newCustomer("x@example.org", strings.Repeat("x", 100_000)) // the events ride with COMMIT
		return customers.Insert(ctx, tx, c)
	},
	"many names": func(ctx context.Context, tx *tenancy.SQLTx, _ tenancy.ID) error { // which take their time to clear
		var errs []error
		for i := range 300 {
			_, err := tx.SQLX().ExecContext(ctx, fmt.Sprintf("PREPARE many_%d AS SELECT 1", i))
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	},
}

var errStop = errors.New("stop")

// TestResidueThroughPooler: the next client of a pooler has another's connection to
// the server, and meets nothing on it.
func TestResidueThroughPooler(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.asOwner(t, lastingTables)
	w.insert(w.a, t, "Anton")
	logins := w.behind(t, dbtest.PoolTransactions, &dbtest.PoolerOptions{Size: 1})
	a, b := w.through(t, logins, nil), w.through(t, logins, nil)
	// Without the library everything stays for the next client.
	t.Run("undefended", func(t *testing.T) {
		for _, l := range pooledLeftovers {
			if l.look == "" || slices.Contains([]string{"role", "zone", "style of dates", "encoding", "quoting", "name"}, l.name) { // PgBouncer sets these itself
				continue
			}
			if n := strangers(t, logins.App, l); n == 0 {
				t.Errorf("%s: the next client of the pooler meets nothing; the attack proves nothing", l.name)
			}
		}
	})
	for _, l := range pooledLeftovers {
		for ending, end := range endings {
			var before, after, n int
			_ = a.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				must(t, tx.SQLX().GetContext(ctx, &before, "SELECT pg_backend_pid()"))
				_, err := tx.SQLX().ExecContext(ctx, l.leave)
				must(t, err)
				return end(ctx, tx, tenantOf(t, w.a))
			})
			for name, db := range map[string]*tenancy.DB{"another client": b, "the same client": a} {
				must(t, db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
					err := tx.SQLX().GetContext(ctx, &after, "SELECT pg_backend_pid()")
					if l.look != "" {
						err = errors.Join(err, tx.SQLX().GetContext(ctx, &n, l.look))
					}
					return err
				}))
				if n != 0 {
					t.Errorf("%s of A, %s: meets B (%s)", l.name, ending, name)
				}
				if before != after {
					t.Errorf("%s, %s: B was on another connection (%d, %d): nothing was tested", l.name, ending, before, after)
				}
			}
		}
	}
}

// strangers counts what a client without the library leaves for another.
func strangers(t *testing.T, dsn string, l leftover) (n int) {
	t.Helper()
	a, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer a.Close(context.Background())
	_, err = a.Exec(t.Context(), "BEGIN")
	must(t, err)
	_, err = a.Exec(t.Context(), strings.Replace(l.leave, "SELECT plan FROM customers", "SELECT 1", 1))
	must(t, err)
	_, err = a.Exec(t.Context(), "COMMIT")
	must(t, err)
	b, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer b.Close(context.Background())
	must(t, b.QueryRow(t.Context(), l.look).Scan(&n))
	_, err = b.Exec(t.Context(), "DISCARD ALL")
	must(t, err)
	return n
}
