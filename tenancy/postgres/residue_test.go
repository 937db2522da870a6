package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/tenancy"
)

// trap is what A leaves on a connection to get at B's rows: a table that stands
// in for customers, whose trigger changes what is written to it.
const trap = `CREATE TEMP TABLE customers (LIKE public.customers);
	CREATE FUNCTION pg_temp.steal() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN NEW.plan := 'stolen'; RETURN NEW; END $$;
	CREATE TRIGGER steal BEFORE INSERT ON pg_temp.customers FOR EACH ROW EXECUTE FUNCTION pg_temp.steal()`

// tempTables are ways to put something in the way of another's names.
var tempTables = []string{
	"CREATE TEMP TABLE customers (id uuid)",
	"CREATE TABLE pg_temp.customers (id uuid)",
	"CREATE TEMP VIEW customers AS SELECT 1",
	"CREATE TEMP SEQUENCE customers",
	"SELECT * INTO TEMP customers FROM public.customers",
	"CREATE TEMP TABLE customers AS SELECT 1",
	"CREATE FUNCTION pg_temp.steal() RETURNS int LANGUAGE sql AS 'SELECT 1'",
	"DO $$ BEGIN CREATE TEMP TABLE customers (id uuid); END $$",
	"CREATE TABLE public.other (id uuid)",
	"CREATE SCHEMA evil",
	"CREATE FUNCTION public.steal() RETURNS int LANGUAGE sql AS 'SELECT 1'",
}

func TestTemporaryTable(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)

	t.Run("undefended", func(t *testing.T) {
		conn, err := w.admin(t).Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// A superuser stands for a role that may make temporary tables.
		if _, err := conn.ExecContext(t.Context(), trap); err != nil {
			t.Fatal(err)
		}
		var plan string
		if err := conn.GetContext(t.Context(), &plan,
			"INSERT INTO customers (tenant_id, id, city, plan, visits) VALUES ($1, $2, '', 'free', 0) RETURNING plan",
			tenantOf(t, w.b), uuid.New()); err != nil {
			t.Fatal(err)
		}
		if plan != "stolen" {
			t.Errorf("B's row was written with plan %q, want the trap to spring", plan)
		}
	})

	w.narrow(t)
	for _, text := range tempTables {
		if err := w.raw(w.a, text); !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", text, err)
		}
	}
	if err := w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var plan string
		err := tx.SQLX().GetContext(ctx, &plan,
			"INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $2, '', 'free') RETURNING plan", tenantOf(t, w.b), uuid.New())
		if err == nil && plan != "free" {
			t.Errorf("plan %q, want free", plan)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Where statements are prepared under names, A can put a statement of its own
// under the name that B's code will execute.
func TestPreparedName(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)

	t.Run("undefended", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), w.owner)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		const text = "SELECT 'B''s own'"
		var name, got string
		if err := errors.Join(
			conn.QueryRow(t.Context(), text).Scan(&got),
			conn.QueryRow(t.Context(), "SELECT name FROM pg_prepared_statements WHERE statement = $1", text).Scan(&name),
		); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"DEALLOCATE " + name, "PREPARE " + name + " AS SELECT 'of A'"} {
			if _, err := conn.Exec(t.Context(), q, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.QueryRow(t.Context(), text).Scan(&got); err != nil || got != "of A" {
			t.Errorf("B executed %q, %v; want A's text", got, err)
		}
	})

	w.narrow(t)
	if err := w.raw(w.a, "PREPARE art32_0 AS SELECT 'of A'"); err != nil { // it ends with the transaction
		t.Errorf("PREPARE: %v", err)
	}
	if err := w.raw(w.a, "DEALLOCATE ALL"); err != nil {
		t.Errorf("DEALLOCATE ALL: %v", err)
	}
	for range 2 {
		err := w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
			var got string
			var names int
			err := errors.Join(tx.SQLX().GetContext(ctx, &got, "SELECT 'B''s own'"),
				tx.SQLX().GetContext(ctx, &names, "SELECT count(*) FROM pg_prepared_statements"))
			if err == nil && (got != "B's own" || names != 0) {
				t.Errorf("B executed %q, with %d prepared names; want its own text and none", got, names)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	// A prepared statement of database/sql keeps its text here.
	if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		stmt, err := tx.SQLX().PreparexContext(ctx, "SELECT count(*) + $1::int FROM customers")
		if err != nil {
			return err
		}
		defer stmt.Close()
		var n int
		return errors.Join(stmt.GetContext(ctx, &n, 1), stmt.GetContext(ctx, &n, 2))
	}); err != nil {
		t.Error(err)
	}
}

// leftover is state of a session that outlives COMMIT, and a query that counts
// it.
type leftover struct{ name, leave, look string }

var leftovers = []leftover{
	{"setting", "SET statement_timeout = '77s'", "SELECT (current_setting('statement_timeout') = '77s')::int"},
	{"own setting", "SELECT set_config('app.tenant', 'A', false)", "SELECT (coalesce(current_setting('app.tenant', true), '') <> '')::int"},
	{"context", "SELECT set_config('art32.ctx', current_setting('art32.ctx'), false)", ""},
	{"search_path", "SET search_path = pg_catalog", "SELECT (current_setting('search_path') = 'pg_catalog')::int"},
	{"role", "SET ROLE art32_app", "SELECT (current_user = 'art32_app')::int"},
	{"cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT plan FROM customers", "SELECT count(*) FROM pg_cursors WHERE name = 'c'"},
	{"listen", "LISTEN news", "SELECT count(*) FROM pg_listening_channels()"},
	{"advisory lock", "SELECT pg_advisory_lock(42)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"},
	{"random seed", "SELECT setseed(0.5)", ""},
}

func TestSessionState(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.narrow(t)
	w.insert(w.a, t, "Anton")
	for _, l := range leftovers {
		t.Run(l.name, func(t *testing.T) {
			if l.look != "" && l.name != "role" {
				survives(t, w, l.leave, l.look)
			}
			var before, after int
			pid := func(ctx context.Context, tx *tenancy.SQLTx, dest *int) error {
				return tx.SQLX().GetContext(ctx, dest, "SELECT pg_backend_pid()")
			}
			if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, l.leave)
				return errors.Join(err, pid(ctx, tx, &before))
			}); err != nil {
				t.Fatal(err)
			}
			if err := w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
				n := 0
				if l.look != "" {
					if err := tx.SQLX().GetContext(ctx, &n, l.look); err != nil {
						return err
					}
				}
				if n != 0 {
					t.Errorf("%s of A meets B", l.name)
				}
				return pid(ctx, tx, &after)
			}); err != nil {
				t.Fatal(err)
			}
			if before != after {
				t.Errorf("B was on another connection (%d, %d): nothing was tested", before, after)
			}
			if n, err := w.seen(w.b); err != nil || n != 0 {
				t.Errorf("B sees %d rows, %v; want 0", n, err)
			}
		})
	}
}

// TestWhereLeavesNothing: what a condition of A's leaves in the session ends with its
// read, whether that succeeds or fails.
func TestWhereLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.narrow(t)
	w.insert(w.a, t, "Anton")
	const leave = "set_config('app.tenant', 'A', false) = 'A' AND pg_try_advisory_lock(42) AND pg_backend_pid() > $1"
	for _, c := range []struct {
		name, text string
		fails      bool
	}{{"read", leave, false}, {"read that fails", leave + " AND 1 / visits = 1", true}} {
		var pid, left int
		look := func(dest *int, text string) {
			must(t, w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error { return tx.SQLX().GetContext(ctx, dest, text) }))
		}
		look(&pid, "SELECT pg_backend_pid()")
		if n, err := customers.Count(w.a, w.db, tenancy.Where(c.text, 0)); c.fails != (err != nil) || !c.fails && n != 1 {
			t.Fatalf("%s: %d rows, %v", c.name, n, err)
		}
		look(&left, `SELECT (coalesce(current_setting('app.tenant', true), '') <> '')::int
			+ (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`)
		if left != 0 {
			t.Errorf("%s: %d things of A meet B", c.name, left)
		}
		before := pid
		if look(&pid, "SELECT pg_backend_pid()"); pid != before {
			t.Errorf("%s: B was on another connection: nothing was tested", c.name)
		}
	}
}

// survives shows that the state outlives a transaction on a connection that
// nobody resets.
func survives(t *testing.T, w *world, leave, look string) {
	t.Helper()
	db, err := sqlx.Open("pgx", w.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // with the connection, and its locks
	conn, err := db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	inTx := func(f func(*sqlx.Tx) error) {
		tx, err := conn.BeginTxx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f(tx), tx.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	inTx(func(tx *sqlx.Tx) error { _, err := tx.Exec(leave); return err })
	n := 0
	inTx(func(tx *sqlx.Tx) error { return tx.Get(&n, look) })
	if n == 0 {
		t.Errorf("undefended: %q left nothing; the attack proves nothing", leave)
	}
}
