package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/art32/art32/tenancy"
)

// lasting is what one statement of one tenant's would change for all of them,
// and what the attempt would have to leave behind.
var lasting = []string{
	"ALTER ROLE CURRENT_USER PASSWORD 'x'",
	"ALTER USER CURRENT_USER PASSWORD 'x'",
	"ALTER ROLE CURRENT_USER SET statement_timeout = 1",
	"ALTER ROLE CURRENT_USER IN DATABASE DATABASE SET search_path = x",
	"DO $$ BEGIN ALTER ROLE CURRENT_USER PASSWORD 'x'; END $$",
	"DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SET statement_timeout = 1'; END $$",
}

// A login may change its own password and settings: nothing in PostgreSQL
// refuses it.
func TestLoginChangesItself(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	names := w.names(t)
	state := func() (s string) {
		if err := w.admin(t).Get(&s, `SELECT coalesce(rolpassword, '') || coalesce((SELECT string_agg(setconfig::text, ' ') FROM pg_db_role_setting
			WHERE setrole = a.oid), '') FROM pg_authid a WHERE rolname = $1`, strings.Trim(w.role(t, "app"), `"`)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := state()
	for _, text := range lasting {
		if err := w.raw(w.a, names.Replace(text)); !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", text, err)
		}
	}
	if state() != before {
		t.Error("the login's password or settings changed")
	}
	if n := w.recorded(w.a, t, "sql.refused", tenancy.Refused); n != len(lasting) {
		t.Errorf("%d refusals were recorded, want %d", n, len(lasting))
	}
	conn := w.asApp(t)
	if _, err := conn.Exec(t.Context(), lasting[2]); err != nil {
		t.Errorf("undefended: %v; the attack proves nothing", err)
	}
	if _, err := conn.Exec(t.Context(), lasting[4]); code(err) != "42501" {
		t.Errorf("DO under the app login: %v, want that the database refuses the language", err)
	}
}

// asApp is a plain connection under the app login: what remains where the
// library is not in between.
func (w *world) asApp(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), w.logins.App)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// refusedWords begin statements that are refused before they are sent.
var refusedWords = []string{
	"", " ", ";", "-- nothing", "1", `"select" 1`, "\ufeffSELECT 1", "ſELECT 1",
	"ALTER ROLE CURRENT_USER PASSWORD 'x'", "alter/**/role CURRENT_USER SET x = 1", "/* a /* b */ c */ ; ALTER ROLE x SET y = 1", "-- x\nDO ''",
	"DO 'BEGIN END'", "CREATE TABLE t ()", "DROP TABLE customers", "GRANT art32_app TO art32_app", "REVOKE art32_app FROM art32_app",
	"COPY customers TO STDOUT", "COPY (SELECT 1) TO STDOUT", "CALL f()", "LOCK TABLE customers", "TRUNCATE customers", "ANALYZE customers",
	"VACUUM", "CHECKPOINT", "CLUSTER", "REINDEX TABLE customers", "REFRESH MATERIALIZED VIEW v", "COMMENT ON TABLE customers IS ''",
	"SECURITY LABEL ON TABLE customers IS ''", "REASSIGN OWNED BY a TO b", "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "LOAD 'x'", "DISCARD ALL",
	"PREPARE TRANSACTION 'x'", "PREPARE /* x */ transaction 'x'", "ROLLBACK PREPARED 'x'",
	"EXPLAIN", "EXPLAIN ALTER ROLE x SET y = 1", "EXPLAIN CREATE TABLE t AS SELECT 1", "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
	"EXPLAIN (ANALYZE) CREATE TABLE t AS SELECT 1", "EXPLAIN (ANALYZE, FORMAT JSON) REFRESH MATERIALIZED VIEW v",
	"EXPLAIN (FORMAT ')SELECT') CREATE TABLE t AS SELECT 1", "EXPLAIN (FORMAT \")SELECT\") CREATE TABLE t AS SELECT 1",
	"EXPLAIN (ANALYZE -- ) SELECT\n) CREATE TABLE t AS SELECT 1", "EXPLAIN (ANALYZE /* ) SELECT */) CREATE TABLE t AS SELECT 1",
	"EXPLAIN SELECT 1", "EXPLAIN (SELECT 1)", "EXPLAIN ((SELECT 1))", "EXPLAIN ANALYZE VERBOSE SELECT 1", "explain /* x */ analyze select 1", "EXPLAIN VERBOSE SELECT 1", "EXPLAIN (ANALYZE, COSTS off, FORMAT JSON) SELECT 1", "EXPLAIN ( analyze false ) (SELECT 1)", "EXPLAIN (ANALYZE) WITH x AS (SELECT 1) TABLE x", "EXPLAIN DELETE FROM customers", "EXPLAIN (COSTS) VALUES (1)", "EXPLAIN DECLARE c CURSOR FOR SELECT 1", "EXPLAIN EXECUTE p",
	"EXPLAIN (ANALYZE", "EXPLAIN VERBOSE", "EXPLAIN EXPLAIN SELECT 1", "( ALTER ROLE x SET y = 1 )", "(", "/*",
}

// allowedTexts are statements that a program has a use for.
var allowedTexts = []string{
	"SELECT 1", "select 1;", "(SELECT 1)", " ( ( SELECT 1 ) UNION ALL (SELECT 2) ) ORDER BY 1", "/* x */ ( -- y\n SELECT 1)", "WITH x AS (SELECT 1) TABLE x",
	"(WITH x AS (SELECT 1) TABLE x)", "VALUES (1), (2)", "TABLE customers", "(TABLE customers)", "UPDATE customers SET visits = visits", "DELETE FROM customers",
	"INSERT INTO customers (tenant_id, id, city, plan) SELECT tenant, gen_random_uuid(), '', '' FROM art32.ctx",
	"MERGE INTO customers c USING (SELECT 1) s ON true WHEN MATCHED THEN DO NOTHING",
	"SET LOCAL work_mem = '8MB'", "RESET work_mem", "SHOW work_mem", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s",
	"DECLARE c CURSOR FOR SELECT 1", "FETCH c", "MOVE c", "CLOSE c",
	"PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "LISTEN l", "NOTIFY l", "UNLISTEN l",
}

func TestStatements(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	for _, text := range refusedWords {
		if err := w.raw(w.a, text); !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%q: %v, want ErrForbidden", text, err)
		}
	}
	if n := w.recorded(w.a, t, "sql.refused", tenancy.Refused); n != len(refusedWords) {
		t.Errorf("%d refusals were recorded, want %d", n, len(refusedWords))
	}
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		for _, text := range allowedTexts {
			if _, err := tx.SQLX().ExecContext(ctx, text); err != nil {
				t.Errorf("%q: %v", text, err)
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// Functions that run text run queries only.
	for _, text := range []string{
		"SELECT query_to_xml('ALTER ROLE CURRENT_USER SET statement_timeout = 1', true, true, '')",
		"SELECT ts_stat('ALTER ROLE CURRENT_USER SET statement_timeout = 1')",
		"SELECT ts_rewrite('a', 'ALTER ROLE CURRENT_USER SET statement_timeout = 1')",
	} {
		if err := w.raw(w.a, text); err == nil {
			t.Errorf("%s passed", text)
		}
	}
}

// What the library refuses to send, the database refuses too, but for what a
// login may do to itself.
func TestDatabaseRefusesToo(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	conn := w.asApp(t)
	for _, text := range append(append([]string{}, forbidden...), tempTables...) {
		switch first, _, _ := strings.Cut(text, " "); first {
		case "SELECT", "INSERT", "UPDATE", "MERGE", "SET", "LOCK":
			continue // these need the transaction of TestForbiddenStatements
		}
		if _, err := conn.Exec(t.Context(), text); code(err) != "42501" {
			t.Errorf("%s: %v, want that the privilege is missing", text, err)
		}
	}
}
