package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// older is the login of an application that knows nothing of the library.
type older struct {
	role    string
	db      *sql.DB
	mu      sync.Mutex
	reports []postgres.Report
	notices int
}

// older makes such a login with rights on all tables.
func (w *world) older(t *testing.T) *older {
	t.Helper()
	o := &older{role: "older_" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	admin := w.admin(t)
	admin.MustExec("CREATE ROLE " + o.role + " LOGIN PASSWORD 'older'")
	t.Cleanup(func() { admin.MustExec("DROP OWNED BY " + o.role + "; DROP ROLE " + o.role) })
	admin.MustExec(w.names(t).Replace("GRANT CONNECT ON DATABASE DATABASE TO "+o.role) + "; GRANT USAGE ON SCHEMA public TO " + o.role +
		"; GRANT ALL ON ALL TABLES IN SCHEMA public TO " + o.role)
	config, err := pgx.ParseConfig(w.owner)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Password = o.role, "older"
	config.OnNotice = postgres.OnReport(func(r postgres.Report) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.reports = append(o.reports, r)
	}, func(*pgconn.PgConn, *pgconn.Notice) { o.notices++ })
	o.db = stdlib.OpenDB(*config)
	o.db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = o.db.Close() })
	return o
}

func (o *older) told() []postgres.Report {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.reports
	o.reports = nil
	return all
}

// rows counts what a statement returns.
func (o *older) rows(t *testing.T, query string, args ...any) (n int, err error) {
	t.Helper()
	rows, err := o.db.QueryContext(t.Context(), query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// watched makes two watched tables with a row for each of two tenants.
func (w *world) watched(t *testing.T, o *older) (a, b uuid.UUID) {
	t.Helper()
	a, b = tenantOf(t, w.a).UUID(), tenantOf(t, w.b).UUID()
	w.admin(t).MustExec(`CREATE TABLE tickets (tenant_id uuid, id int PRIMARY KEY, title text);
		CREATE TABLE notes (tenant_id uuid NOT NULL, id int PRIMARY KEY, ticket int);
		GRANT ALL ON tickets, notes TO ` + o.role + `; SELECT art32.unsafe_watch('tickets', '` + o.role + `'); SELECT art32.unsafe_watch('notes', '` + o.role + `')`)
	w.admin(t).MustExec("INSERT INTO tickets VALUES ($1, 1, 'canary of A'), ($2, 2, 'canary of B')", a, b)
	w.admin(t).MustExec("INSERT INTO notes VALUES ($1, 1, 1), ($2, 2, 2)", a, b)
	return a, b
}

func TestWatch(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	o := w.older(t)
	a, b := w.watched(t, o)
	claim := "SELECT set_config('art32.tenant', $1, false)"
	const read, write = "art32: report only: a statement reads rows ", "art32: report only: a statement writes rows "
	for _, test := range []struct {
		name, claim, query string
		args               []any
		rows               int
		want               []postgres.Report
	}{
		{"own predicate", "", "SELECT title FROM tickets WHERE tenant_id = $1", []any{a}, 1, nil},
		{"one row of whomever, without a claim", "", "SELECT title FROM tickets WHERE id = $1", []any{2}, 1, nil},
		{"a predicate that is missing", "", "SELECT title FROM tickets WHERE title LIKE 'canary%' AND id < 10", nil, 2, []postgres.Report{{
			"public.tickets", read + "of several tenants in table public.tickets, which protection would hide", "SELECT title FROM tickets WHERE title LIKE ? AND id < ?",
		}}},
		{"again, and told already", "", "SELECT title FROM tickets WHERE title LIKE 'other%'  AND id < 99", nil, 0, nil},
		{"two tables", "", "SELECT t.title FROM tickets t CROSS JOIN notes n WHERE t.id = 1 AND n.id = 2", nil, 1, []postgres.Report{{
			"public.notes", read + "of several tenants in table public.notes, which protection would hide",
			"SELECT t.title FROM tickets t CROSS JOIN notes n WHERE t.id = ? AND n.id = ?",
		}}},
		{"own rows under a claim", a.String(), "SELECT title FROM tickets WHERE tenant_id = $1", []any{a}, 1, nil},
		{"one row of another's", a.String(), "SELECT title FROM tickets WHERE id = $1", []any{2}, 1, []postgres.Report{{
			"public.tickets", read + "of another tenant in table public.tickets, which protection would hide", "SELECT title FROM tickets WHERE id = $1",
		}}},
		{"an insert for another", strings.ToUpper(a.String()), "INSERT INTO tickets VALUES ($1, 3, 'canary') RETURNING title", []any{b}, 1, []postgres.Report{
			{"public.tickets", write + "of another tenant in table public.tickets, which protection would refuse", "INSERT INTO tickets VALUES ($1, ?, ?) RETURNING title"},
			{"public.tickets", read + "of another tenant in table public.tickets, which protection would hide", "INSERT INTO tickets VALUES ($1, ?, ?) RETURNING title"},
		}},
		{"an insert for nobody", a.String(), "INSERT INTO tickets VALUES (NULL, 4, '')", nil, 0, []postgres.Report{
			{"public.tickets", write + "without a tenant in table public.tickets, which protection would refuse", "INSERT INTO tickets VALUES (NULL, ?, ?)"},
		}},
		{"a claim that is none", "canary';", "SELECT title FROM tickets WHERE id = $1", []any{1}, 1, nil},
		{"a move to another", b.String(), `UPDATE "tickets" SET tenant_id = $1 WHERE id = 2`, []any{a}, 0, []postgres.Report{
			{"public.tickets", write + "of another tenant in table public.tickets, which protection would refuse", `UPDATE "tickets" SET tenant_id = $1 WHERE id = ?`},
			{"public.tickets", read + "of another tenant in table public.tickets, which protection would hide", `UPDATE "tickets" SET tenant_id = $1 WHERE id = ?`},
		}},
	} {
		if _, err := o.db.ExecContext(t.Context(), claim, test.claim); err != nil {
			t.Fatal(err)
		}
		if n, err := o.rows(t, test.query, test.args...); err != nil || n != test.rows {
			t.Errorf("%s: %d rows, want %d, %v: report only must change nothing", test.name, n, test.rows, err)
		}
		got := o.told()
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		for _, r := range got {
			if strings.Contains(r.Message+r.Statement, "canary") {
				t.Errorf("%s: a report holds a value: %v", test.name, r)
			}
		}
	}
	if o.notices != 0 {
		t.Errorf("%d other notices", o.notices)
	}
	if _, err := o.db.ExecContext(t.Context(), "DO 'BEGIN RAISE NOTICE ''x''; END'"); err == nil && o.notices != 1 {
		t.Error("a notice of others was lost")
	}
}

// The library's logins are held on a watched table as on any other, Open refuses
// it unless it is named, and unwatch closes it.
func TestWatchIsNamed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	o := w.older(t)
	w.watched(t, o)
	var n int
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().GetContext(ctx, &n, "SELECT count(*) FROM tickets")
	})
	if err != nil || n != 1 {
		t.Errorf("the app login sees %d rows, %v", n, err)
	}
	refused, ok := errors.AsType[*postgres.RefusedError](w.tryOpen(t, &postgres.Options{Unsafe: []postgres.Weakness{postgres.UnsafeSharedKeys}}))
	if !ok || len(refused.Findings) != 2 || refused.Findings[1].Weakness != postgres.UnsafeWatched ||
		!strings.Contains(refused.Findings[1].What, "table tickets is watched: role "+o.role) {
		t.Fatalf("%v", refused)
	}
	var log strings.Builder
	all := &postgres.Options{
		Unsafe: []postgres.Weakness{postgres.UnsafeSharedKeys, postgres.UnsafeWatched},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	if err := w.tryOpen(t, all); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "watched-tables") || !strings.Contains(log.String(), "table notes is watched") {
		t.Errorf("logged %s", &log)
	}
	for _, f := range refused.Findings {
		w.admin(t).MustExec(f.Mend)
	}
	if err := w.tryOpen(t, &postgres.Options{Unsafe: []postgres.Weakness{postgres.UnsafeSharedKeys}}); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := o.db.QueryRowContext(t.Context(), "SELECT count(*) FROM tickets").Scan(&n); err != nil || n != 0 {
		t.Errorf("the older login sees %d rows after the watch, %v", n, err)
	}
}

// The end of the last watch takes back what the older login was given, and protect
// ends a watch.
func TestUnwatch(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	o := w.older(t)
	w.watched(t, o)
	given := func() (n int) {
		t.Helper()
		must(t, w.admin(t).Get(&n, `SELECT has_schema_privilege($1, 'art32', 'USAGE')::int
			+ (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'art32'::regnamespace AND has_function_privilege($1, p.oid, 'EXECUTE'))`, o.role))
		return n
	}
	watches := func() (n int) {
		t.Helper()
		must(t, w.admin(t).Get(&n, "SELECT count(*) FROM pg_policy WHERE polname = 'art32_unsafe_watch'"))
		return n
	}
	if given() != 3 || watches() != 2 {
		t.Fatalf("%d rights and %d watches; want 3 and 2", given(), watches())
	}
	w.admin(t).MustExec("SELECT art32.unwatch('tickets')")
	if given() != 3 || watches() != 1 {
		t.Errorf("one table is watched yet: %d rights and %d watches; want 3 and 1", given(), watches())
	}
	w.admin(t).MustExec("SELECT art32.protect('notes')")
	if given() != 0 || watches() != 0 {
		t.Errorf("nothing is watched: %d rights and %d watches; want none", given(), watches())
	}
	var n int
	if err := o.db.QueryRowContext(t.Context(), "SELECT count(*) FROM notes").Scan(&n); err != nil || n != 0 {
		t.Errorf("the older login sees %d rows of a protected table, %v", n, err)
	}
	w.admin(t).MustExec("SELECT art32.unwatch('notes')") // again
}

func TestWatchRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	o := w.older(t)
	admin := w.admin(t)
	admin.MustExec(`CREATE TABLE tickets (tenant_id uuid, id int); CREATE TABLE guarded (tenant_id uuid, id int);
		ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON guarded USING (false)`)
	var superuser string
	if err := admin.Get(&superuser, "SELECT current_user"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ table, role, want string }{
		{"tickets", superuser, "steps over row-level security"},
		{"tickets", strings.Trim(w.role(t, "backup"), `"`), "steps over row-level security"},
		{"tickets", strings.Trim(w.role(t, "app"), `"`), "is a login of the library"},
		{"tickets", strings.Trim(w.role(t, "library"), `"`), "is a login of the library"},
		{"guarded", o.role, "has policies of its own"},
	} {
		_, err := admin.ExecContext(t.Context(), "SELECT art32.unsafe_watch($1::regclass, $2)", test.table, test.role)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s for %s: %v", test.table, test.role, err)
		}
	}
	// A login that is not on this server, as after a restore: the table is closed.
	var open int
	admin.MustExec("SELECT art32.unsafe_watch('tickets', 'nobody_at_all')")
	if err := admin.Get(&open, `SELECT count(*) FROM pg_policies WHERE tablename = 'tickets' AND (policyname = 'art32_unsafe_watch' OR roles = '{public}')`); err != nil || open != 0 {
		t.Errorf("watched for nobody: %d policies let others in, %v", open, err)
	}
	if err := admin.Get(&open, `SELECT count(*) FROM pg_policies WHERE tablename = 'tickets' AND policyname = 'art32_app_guard'`); err != nil || open != 1 {
		t.Errorf("watched for nobody: %d guards, %v", open, err)
	}
	if _, err := o.db.ExecContext(t.Context(), "SELECT art32.unsafe_watch('tickets', 'x')"); err == nil {
		t.Error("the older login may open tables")
	}
}

// What is shown of a statement holds no value: where one cannot be sure, nothing
// is shown.
func TestStatementShape(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-3.2")
	admin := newWorld(t).admin(t)
	for statement, want := range map[string]string{
		`SELECT a FROM t WHERE b = $1 AND c = 'canary'`:             `SELECT a FROM t WHERE b = $1 AND c = ?`,
		`SELECT 'it''s canary', "it", 5, -3.14, .5, 1e9, t1.c2`:     `SELECT ?, "it", ?, -?, ?, ?, t1.c2`,
		"SELECT\n\t\"T\".\"a b\"  FROM \"T\"":                       `SELECT "T"."a b" FROM "T"`,
		`SELECT E'\'canary', 'x'`:                                   "",
		`SELECT $$canary$$`:                                         "",
		`SELECT $a$canary$a$`:                                       "",
		"SELECT 1 -- canary's\n, 'x'":                               "",
		`SELECT 1 /*' */, 'canary' /*'*/`:                           "",
		`SELECT "a'b" = 'canary' AND "c'd"`:                         "",
		`SELECT 'canary`:                                            "",
		`SELECT U&'canary', B'101', N'canary', 'a' 'canary'`:        `SELECT U&?, B?, N?, ? ?`,
		`INSERT INTO t VALUES ('{"k": "canary"}', ARRAY['canary'])`: `INSERT INTO t VALUES (?, ARRAY[?])`,
	} {
		var got sql.NullString
		if err := admin.Get(&got, "SELECT art32.statement_shape($1)", statement); err != nil {
			t.Fatal(err)
		}
		if got.String != want {
			t.Errorf("%s\ngives %q, want %q", statement, got.String, want)
		}
	}
}
