package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// stolen is a login in other hands than the library's.
func stolen(tb testing.TB, dsn string) *sqlx.DB {
	tb.Helper()
	db, err := sqlx.Open("pgx", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// reach counts the customers that the across login reads under its own settings.
func reach(tb testing.TB, db *sqlx.DB, tenant, access string) (n int) {
	tb.Helper()
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec("SELECT set_config('art32.tenant', $1, true), set_config('art32.access', $2, true)", tenant, access)
	if err := tx.Get(&n, "SELECT count(*) FROM customers"); err != nil {
		tb.Fatal(err)
	}
	return n
}

// The database itself judges an access: whoever holds the login reads no row
// without one, none of a tenant that it does not name, none when it is over, and
// writes nothing.
func TestAcrossLogin(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "a")
	w.insert(w.b, t, "b")
	a, b := tenantOf(t, w.a).String(), tenantOf(t, w.b).String()
	db, admin := stolen(t, w.logins.Across), w.admin(t)
	access := func(until string, tenants any) string {
		id := uuid.NewString()
		admin.MustExec("INSERT INTO art32.accesses VALUES ($1, 'service:x', 'T', now() + $2::interval, $3::text::uuid[])", id, until, tenants)
		return id
	}
	all, onlyA, over := access("1 min", nil), access("1 min", "{"+a+"}"), access("-1 s", nil)
	for what, c := range map[string]struct {
		tenant, access string
		want           int
	}{
		"nothing": {"", "", 0}, "no access": {a, "", 0}, "no tenant": {"", all, 0}, "an unknown access": {a, uuid.NewString(), 0},
		"A": {a, all, 1}, "B": {b, all, 1}, "A by name": {a, onlyA, 1}, "B beside the name": {b, onlyA, 0},
		"over": {a, over, 0}, "unknown tenant": {uuid.NewString(), all, 0},
	} {
		if n := reach(t, db, c.tenant, c.access); n != c.want {
			t.Errorf("%s: %d rows, want %d", what, n, c.want)
		}
	}
	admin.MustExec("UPDATE art32.tenants SET closed_at = now() WHERE id = $1", a)
	if n := reach(t, db, a, all); n != 0 {
		t.Errorf("a closed tenant: %d rows", n)
	}
	for _, text := range []string{
		"INSERT INTO customers (tenant_id, id, plan) VALUES ('" + b + "', '" + uuid.NewString() + "', 'x')",
		"UPDATE customers SET plan = 'x'", "DELETE FROM customers", "TRUNCATE customers", "SELECT FROM customers FOR UPDATE",
		"SELECT count(*) FROM art32.accesses", "UPDATE art32.accesses SET until = now() + interval '1 day'",
		"SELECT count(*) FROM art32.tenants", "SELECT count(*) FROM art32.erased", "SELECT count(*) FROM art32.seal_keys",
		"SELECT count(*) FROM art32_keys.keys", "SELECT * FROM art32.ctx", "SET ROLE art32_library", "SET ROLE art32_app",
		"SELECT art32.open_context('', '" + b + "')", "SELECT count(*) FROM art32.erasures()",
	} {
		if _, err := db.Exec(text); err == nil {
			t.Errorf("%s: was let through", text)
		}
	}
}

// TestAcrossThroughPooler: accesses that share one connection to the server read what
// each of them names, and leave no access on it for whoever comes next.
func TestAcrossThroughPooler(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "a")
	w.insert(w.b, t, "b")
	dsns := dbtest.Pooler(t, dbtest.PoolTransactions, &dbtest.PoolerOptions{Size: 1}, w.logins.Library, w.logins.App, w.logins.Across)
	db := w.through(t, postgres.Logins{Library: told(dsns[0]), App: told(dsns[1]), Across: told(dsns[2])}, nil)
	next := stolen(t, told(dsns[2]))
	count := func(ctx context.Context, x *tenancy.Across, want int, refused error) {
		t.Helper()
		if n, err := customers.Count(ctx, x); n != want || !errors.Is(err, refused) {
			t.Errorf("%d rows, %v; want %d, %v", n, err, want, refused)
		}
		var left int
		if must(t, next.Get(&left, "SELECT count(*) FROM customers")); left != 0 {
			t.Errorf("the next client of the pooler reads %d rows", left)
		}
	}
	access := func(tenants ...tenancy.ID) tenancy.Access {
		return tenancy.Access{Ticket: "T", Life: time.Minute, Tenants: tenants}
	}
	by := tenancy.WithReason(tenancy.WithActor(t.Context(), someone), "why")
	must(t, db.Across(by, access(tenantOf(t, w.a)), func(_ context.Context, a *tenancy.Across) error {
		return db.Across(by, access(tenantOf(t, w.b)), func(_ context.Context, b *tenancy.Across) error {
			for range 5 {
				count(w.a, a, 1, nil)
				count(w.b, b, 1, nil)
				count(w.b, a, 0, tenancy.ErrForbidden)
				count(w.a, b, 0, tenancy.ErrForbidden)
			}
			return nil
		})
	}))
	var late int
	must(t, w.admin(t).Get(&late, "SELECT count(*) FROM art32.accesses WHERE until > clock_timestamp()"))
	if late != 0 {
		t.Errorf("%d accesses last by the database's clock, want none", late)
	}
}

// Without its login Open offers no access over tenants.
func TestNoAcrossLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.logins
	l.Across = ""
	db, err := postgres.Open(t.Context(), l, schema, w.keys, trace{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := tenancy.WithReason(tenancy.WithActor(t.Context(), someone), "why")
	err = db.Across(ctx, tenancy.Access{Ticket: "T", Life: time.Minute}, func(_ context.Context, x *tenancy.Across) error {
		_, err := customers.Count(w.a, x)
		return err
	})
	if !errors.Is(err, tenancy.ErrForbidden) || !strings.Contains(err.Error(), "Logins.Across") {
		t.Errorf("%v, want ErrForbidden that names what is missing", err)
	}
}

// Open refuses an across login that can do more than read under an access.
func TestOpenRefusesAcross(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	for text, want := range map[string]string{
		"GRANT INSERT ON customers TO art32_across":                                             "may write to customers",
		"GRANT UPDATE (plan) ON customers TO art32_across":                                      "may write to customers",
		"CREATE TABLE loose (x int); GRANT SELECT ON loose TO art32_across":                     "reads loose without an access",
		"CREATE VIEW behind AS SELECT * FROM customers; GRANT SELECT ON behind TO art32_across": "reads behind without an access",
		"GRANT SELECT ON art32.accesses TO art32_across":                                        "reads art32.accesses without an access",
		"GRANT art32_app TO %s":                                                                 "is a member of art32_app",
		"ALTER ROLE %s BYPASSRLS":                                                               "steps over row-level security",
		"ALTER ROLE %s SET search_path = x":                                                     "setting for role",
		"DROP POLICY art32_across_guard ON customers":                                           "lacks policy art32_across_guard",
		"DROP POLICY art32_across ON customers; CREATE POLICY art32_across ON customers TO art32_across USING (true)": "lacks policy art32_across ",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var name string
			if err := stolen(t, w.logins.Across).Get(&name, "SELECT quote_ident(current_user)"); err != nil {
				t.Fatal(err)
			}
			admin := w.admin(t)
			admin.MustExec(strings.ReplaceAll(text, "%s", name))
			t.Cleanup(func() { // roles are the server's
				admin, err := sqlx.Open("pgx", w.owner)
				if err != nil {
					t.Error(err)
					return
				}
				defer admin.Close()
				admin.MustExec("ALTER ROLE " + name + " NOBYPASSRLS; REVOKE art32_app FROM " + name)
			})
			db, err := postgres.Open(t.Context(), w.logins, schema, w.keys, trace{}, nil)
			if err == nil {
				_ = db.Close()
			}
			if _, ok := errors.AsType[*postgres.RefusedError](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want a refusal with %q", err, want)
			}
		})
	}
}

// Logins that lead to two databases are refused: what one writes the other would not
// find.
func TestOpenRefusesTwoDatabases(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w, other := newWorld(t), newWorld(t)
	db, err := postgres.Open(t.Context(), postgres.Logins{Library: w.logins.Library, App: other.logins.App}, schema, w.keys, trace{}, nil)
	if err == nil {
		_ = db.Close()
	}
	if _, ok := errors.AsType[*postgres.RefusedError](err); !ok || !strings.Contains(err.Error(), "two databases") {
		t.Errorf("%v, want a refusal", err)
	}
}
