package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// What TRUNCATE, the owner's view and a policy for all do where nothing is
// closed: the attacks below would succeed.
func TestUndefendedTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := tenantOf(t, w.a).String(), tenantOf(t, w.b).String()
	db := w.admin(t)
	db.MustExec(`CREATE TABLE open (tenant_id uuid, id int PRIMARY KEY);
		ALTER TABLE open ENABLE ROW LEVEL SECURITY;
		CREATE POLICY tenant ON open USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
		CREATE VIEW of_owner AS SELECT * FROM open;
		CREATE FUNCTION of_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.open';
		GRANT ALL ON open, of_owner TO art32_app;
		INSERT INTO open VALUES ('` + b + `', 1)`)
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec("SET LOCAL ROLE art32_app")
	tx.MustExec("SELECT set_config('app.tenant', $1, true)", a)
	var own, view, definer, id int
	if err := errors.Join(
		tx.Get(&own, "SELECT count(*) FROM open"),
		tx.Get(&view, "SELECT count(*) FROM of_owner"),
		tx.Get(&definer, "SELECT of_definer()"),
	); err != nil {
		t.Fatal(err)
	}
	if own != 0 || view != 1 || definer != 1 {
		t.Errorf("A sees %d rows in the table, %d in the view, %d by the function; want 0, 1, 1", own, view, definer)
	}
	// A key without the tenant tells that B has a row 1: nothing is inserted.
	err := tx.Get(&id, "INSERT INTO open VALUES ($1, 1) ON CONFLICT DO NOTHING RETURNING id", a)
	if err == nil {
		t.Error("the key of B's row was free; the oracle proves nothing")
	}
	tx.MustExec("TRUNCATE open")
	tx.MustExec("RESET ROLE")
	if err := tx.Get(&own, "SELECT count(*) FROM open"); err != nil || own != 0 {
		t.Errorf("TRUNCATE left %d rows of B, %v; want none", own, err)
	}
}

// forbidden is what callers' text may not do. B stands for B's tenant, ROW for
// one of its rows.
var forbidden = []string{
	"SET ROLE art32_library", "SET ROLE postgres", "SET LOCAL ROLE art32_library", "SELECT set_config('role', 'art32_library', true)",
	"SET SESSION AUTHORIZATION postgres", "SELECT set_config('session_authorization', 'postgres', false)",
	"TRUNCATE customers", "TRUNCATE customers, trace CASCADE",
	"CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	"CREATE TABLE child (tenant_id uuid, id uuid, FOREIGN KEY (tenant_id, id) REFERENCES customers)",
	"ALTER TABLE customers DISABLE ROW LEVEL SECURITY", "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
	"DROP POLICY art32_app_guard ON customers", "CREATE POLICY p ON customers USING (true)", "DROP TABLE customers",
	"ALTER TABLE customers OWNER TO art32_app", "GRANT art32_library TO art32_app",
	"CREATE RULE r AS ON INSERT TO customers DO INSTEAD NOTHING", "CREATE INDEX ON customers (city)", "COMMENT ON TABLE customers IS 'x'",
	"CREATE VIEW v AS SELECT * FROM customers", "CREATE EXTENSION dblink", "CREATE ROLE r",
	"CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)", "CREATE PUBLICATION p FOR TABLE customers",
	"COPY customers FROM '/etc/passwd'", "COPY customers TO '/tmp/x'", "COPY customers TO PROGRAM 'cat'", "COPY customers FROM PROGRAM 'id'",
	"SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('.')", "SELECT lo_import('/etc/passwd')", "SELECT lo_from_bytea(0, 'x')", "SELECT lo_create(0)",
	"SELECT * FROM art32.seal_keys", "SELECT * FROM art32.tenants", "SELECT * FROM art32.migrations", "SELECT * FROM art32_keys.keys", "SELECT * FROM art32_keys.uses",
	"INSERT INTO art32.tenants VALUES (gen_random_uuid(), 'x', now())", "UPDATE art32_keys.keys SET state = 'destroyed'",
	"SELECT art32.protect('customers')", "ALTER FUNCTION art32.sealed_part(int) OWNER TO art32_app", "DROP VIEW art32.ctx",
	"INSERT INTO customers (tenant_id, id, city, plan) VALUES ('B', gen_random_uuid(), '', '')",
	"UPDATE customers SET tenant_id = 'B'",
	"INSERT INTO customers (tenant_id, id, city, plan) VALUES ('B', 'ROW', '', '') ON CONFLICT DO NOTHING",
	"INSERT INTO customers (tenant_id, id, city, plan) VALUES ('B', 'ROW', '', '') ON CONFLICT (tenant_id, id) DO UPDATE SET city = 'stolen'",
	"MERGE INTO customers c USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT (tenant_id, id, city, plan) VALUES ('B', gen_random_uuid(), '', '')",
	"SELECT pg_terminate_backend(pg_backend_pid())", "SELECT pg_cancel_backend(pg_backend_pid())", "SELECT * FROM pg_stat_activity", "SELECT pg_stat_get_backend_activity(1)",
	"SELECT * FROM pg_authid", "SELECT * FROM pg_statistic", "SELECT pg_reload_conf()", "SET log_statement = 'none'",
	"SET session_replication_role = 'replica'", "ALTER ROLE art32_app SUPERUSER", "ALTER ROLE postgres PASSWORD 'x'", "SELECT pg_switch_wal()",
	"LOCK TABLE art32.tenants",
	"SELECT * FROM pg_create_logical_replication_slot('s', 'test_decoding')", "CLUSTER customers",
}

func TestForbiddenStatements(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "Anton")
	row := w.insert(w.b, t, "Berta")
	fill := strings.NewReplacer("'B'", "'"+tenantOf(t, w.b).String()+"'", "'ROW'", "'"+row.ID.String()+"'")
	for _, text := range forbidden {
		if err := w.raw(w.a, fill.Replace(text)); !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", text, err)
		}
	}
	for _, who := range []context.Context{w.a, w.b} {
		if n, err := w.seen(who); err != nil || n != 1 {
			t.Errorf("%d rows are left, %v; want 1", n, err)
		}
	}
	got, err := customers.Get(w.b, w.db, row.ID)
	if err != nil || got.City != "Köln" {
		t.Errorf("B's row: city %q, %v", got.City, err)
	}
	if n := w.recorded(w.a, t, "sql.refused", tenancy.Refused); n != len(forbidden) {
		t.Errorf("%d refusals were recorded, want %d", n, len(forbidden))
	}
}

// What answers, but tells nothing of B.
func TestNothingOfB(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	row := w.insert(w.b, t, "Berta")
	w.admin(t).MustExec("ANALYZE customers")
	b, id := tenantOf(t, w.b).String(), row.ID.String()
	for _, text := range []string{
		"SELECT count(*) FROM customers",
		"SELECT count(*) FROM customers WHERE tenant_id = '" + b + "'",
		"SELECT count(*) FROM ONLY customers TABLESAMPLE system (100)",
		"WITH u AS (UPDATE customers SET city = '' WHERE tenant_id = '" + b + "' RETURNING 1) SELECT count(*) FROM u",
		"WITH d AS (DELETE FROM customers RETURNING 1) SELECT count(*) FROM d",
		"SELECT count(*) FROM (SELECT * FROM customers FOR UPDATE) l",
		"SELECT count(*) FROM pg_stats WHERE tablename = 'customers'",
		"SELECT count(*) FROM trace",
		"SELECT length(query_to_xml('SELECT * FROM customers', true, true, '')::text)",
		"SELECT length(table_to_xml('customers', true, true, '')::text)",
		"SELECT count(*) FROM customers c JOIN customers d ON true",
		"SELECT count(*) FROM customers WHERE 1 / (visits - visits) = 1",
	} {
		var n int
		err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return tx.SQLX().GetContext(ctx, &n, text)
		})
		if err != nil || n != 0 {
			t.Errorf("%s: %d, %v; want 0", text, n, err)
		}
	}
	// The key is the tenant's and the row's: B's id is free for A.
	if err := w.raw(w.a, "INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $2, '', '')", tenantOf(t, w.a), id); err != nil {
		t.Errorf("an id of B's tells that it exists: %v", err)
	}
	if err := w.raw(w.a, "SET LOCAL row_security = off"); err != nil {
		t.Errorf("SET row_security: %v", err)
	}
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var n int
		_, err := tx.SQLX().ExecContext(ctx, "SET LOCAL row_security = off")
		return errors.Join(err, tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM customers"))
	})
	if !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("row_security = off: %v, want ErrForbidden", err)
	}
}

// A generic plan is made for A and run for B on the same connection.
func TestGenericPlan(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.admin(t).MustExec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database()); END $$")
	w.narrow(t)
	c := w.insert(w.a, t, "Anton")
	for range 10 {
		if _, err := customers.Get(w.a, w.db, c.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := customers.Get(w.b, w.db, c.ID); !errors.Is(err, tenancy.ErrNotFound) {
			t.Fatalf("B reads A's row: %v, want ErrNotFound", err)
		}
		if n, err := customers.Count(w.b, w.db); err != nil || n != 0 {
			t.Fatalf("B counts %d, %v; want 0", n, err)
		}
	}
}

// A second policy that lets everything through meets the guard.
func TestSecondPolicy(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "Anton")
	w.admin(t).MustExec("CREATE POLICY everyone ON customers USING (true) WITH CHECK (true)")
	if n, err := w.seen(w.b); err != nil || n != 0 {
		t.Errorf("B sees %d rows, %v; want 0", n, err)
	}
	err := w.raw(w.b, "INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $2, '', '')", tenantOf(t, w.a), uuid.New())
	if !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("B inserts as A: %v, want ErrForbidden", err)
	}
	if n, err := customers.Count(w.b, w.db); err != nil || n != 0 {
		t.Errorf("B counts %d rows, %v; want 0", n, err)
	}
}

// COPY speaks a protocol of its own, in which a driver can wait for ever: it is
// refused before it is sent.
func TestCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	ctx, cancel := context.WithTimeout(w.a, 5*time.Second)
	defer cancel()
	for _, text := range []string{"COPY customers FROM STDIN", "COPY customers TO STDOUT", "COPY (SELECT 1) TO STDOUT"} {
		err := w.raw(ctx, text)
		if !errors.Is(err, tenancy.ErrForbidden) || ctx.Err() != nil {
			t.Errorf("%s: %v, want ErrForbidden at once", text, err)
		}
		if _, err := w.seen(w.a); err != nil {
			t.Errorf("after %s: %v", text, err)
		}
	}
}
