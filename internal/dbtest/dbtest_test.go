package dbtest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	t.Run("is empty, UTF-8, collated by bytes and owned", func(t *testing.T) {
		t.Parallel()
		conn := connect(t, dbtest.Postgres(t))
		got := ask[string](t, conn, `SELECT concat_ws(' ', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
			pg_encoding_to_char(encoding), datcollate, (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace))
			FROM pg_database WHERE datname = current_database()`)
		if want := "t UTF8 C 0"; got != want {
			t.Errorf("database: got %q, want %q", got, want)
		}
	})
	t.Run("is another one each time", func(t *testing.T) {
		t.Parallel()
		if a, b := dbtest.Postgres(t), dbtest.Postgres(t); a == b {
			t.Errorf("twice the same database: %s", nameOf(t, a))
		}
	})
	t.Run("survives the garbage collector", func(t *testing.T) {
		t.Parallel()
		dsn := dbtest.Postgres(t)
		for range 3 {
			runtime.GC()
		}
		ask[int](t, connect(t, dsn), "SELECT 1")
	})
}

func TestPostgresIsDroppedWithItsTest(t *testing.T) {
	t.Parallel()
	outside := connect(t, dbtest.Postgres(t))
	var name string
	t.Run("in use", func(t *testing.T) {
		dsn := dbtest.Postgres(t)
		name = nameOf(t, dsn)
		conn, err := pgx.Connect(t.Context(), dsn) // stays open beyond the test
		if err != nil {
			t.Fatal(err)
		}
		run(t, conn, "CREATE ROLE "+name+"_app; GRANT CONNECT ON DATABASE "+name+" TO "+name+"_app")
	})
	if ask[bool](t, outside, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '"+name+"')") {
		t.Errorf("database %s is left", name)
	}
	if ask[bool](t, outside, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '"+name+"_app')") {
		t.Errorf("role %s_app is left", name)
	}
}

func TestFromTemplate(t *testing.T) {
	t.Parallel()
	template := "towns " + rand.Text() // anew when the test is repeated
	var built atomic.Int64
	build := func(ctx context.Context, dsn string) error {
		built.Add(1)
		conn, err := pgx.Connect(ctx, dsn) // left open: the template must be copied all the same
		if err != nil {
			return err
		}
		name := conn.Config().Database
		_, err = conn.Exec(ctx, fmt.Sprintf(`CREATE TABLE town (name text); INSERT INTO town VALUES ('Köln');
			CREATE ROLE %[1]s_owner; CREATE ROLE %[1]s_app;
			REVOKE ALL ON DATABASE %[1]s FROM PUBLIC; GRANT CONNECT ON DATABASE %[1]s TO %[1]s_app;
			ALTER DATABASE %[1]s OWNER TO %[1]s_owner`, name))
		return err
	}
	var group sync.WaitGroup
	names := make([]string, 4)
	for i := range names {
		group.Go(func() { names[i] = dbtest.FromTemplate(t, template, build) })
	}
	group.Wait()
	for _, dsn := range names {
		conn := connect(t, dsn)
		run(t, conn, "INSERT INTO town VALUES ('Bonn')") // seen by no other copy
		if n := ask[int](t, conn, "SELECT count(*) FROM town"); n != 2 {
			t.Errorf("rows: got %d, want 2", n)
		}
		acl := ask[string](t, conn, `SELECT concat_ws(' ', pg_get_userbyid(datdba) LIKE '%\_owner',
			has_database_privilege('public', oid, 'TEMP'), (SELECT bool_or(pg_get_userbyid(grantee) LIKE '%\_app'
			AND privilege_type = 'CONNECT') FROM aclexplode(datacl))) FROM pg_database WHERE datname = current_database()`)
		if want := "t f t"; acl != want {
			t.Errorf("owner, right of PUBLIC, right of app: got %q, want %q", acl, want)
		}
	}
	if n := built.Load(); n != 1 {
		t.Errorf("build ran %d times", n)
	}
}

func TestFromTemplateRefuses(t *testing.T) {
	t.Parallel()
	errBuild := errors.New("no such table")
	cases := map[string]struct {
		build func(context.Context, string) error
		want  string
	}{
		"a build that fails": {func(context.Context, string) error { return errBuild }, errBuild.Error()},
		"a build that ends the test": {func(context.Context, string) error {
			runtime.Goexit()
			return nil
		}, "did not return"},
		"settings that a copy would lose": {func(ctx context.Context, dsn string) error {
			conn, err := pgx.Connect(ctx, dsn)
			if err != nil {
				return err
			}
			_, err = conn.Exec(ctx, "ALTER DATABASE "+conn.Config().Database+" SET work_mem TO '8MB'")
			return errors.Join(err, conn.Close(ctx))
		}, "settings of its own"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := func(tb testing.TB) { dbtest.FromTemplate(tb, name, c.build) }
			failure(t, ask) // the first may end without a word, as its build does
			if got := failure(t, ask); !strings.Contains(got, c.want) {
				t.Errorf("failure: got %q, want it to hold %q", got, c.want)
			}
		})
	}
}

func TestWhatDeadProcessesLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Postgres(t)
	conn := connect(t, dsn)
	run(t, conn, "CREATE DATABASE art32_1_00000000_7")
	run(t, conn, "CREATE ROLE art32_1_00000000_8_app")
	if err := dbtest.OpenServer(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	left := ask[int](t, conn, `SELECT (SELECT count(*) FROM pg_database WHERE datname = 'art32_1_00000000_7')
		+ (SELECT count(*) FROM pg_roles WHERE rolname = 'art32_1_00000000_8_app')`)
	if left != 0 {
		t.Errorf("%d leftovers", left)
	}
	ask[int](t, connect(t, dsn), "SELECT 1") // ours is in use and stays
}

// recorder is a testing.TB that notes a failure instead of failing.
type recorder struct {
	testing.TB

	text string
}

func (r *recorder) Fatal(args ...any)                 { r.text = fmt.Sprint(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// failure returns what f fails with.
func failure(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	var group sync.WaitGroup
	group.Go(func() { f(r) })
	group.Wait()
	return r.text
}

func connect(tb testing.TB, dsn string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.WithoutCancel(tb.Context())) })
	return conn
}

func run(tb testing.TB, conn *pgx.Conn, statement string) {
	tb.Helper()
	for part := range strings.SplitSeq(statement, ";") {
		if _, err := conn.Exec(tb.Context(), part); err != nil {
			tb.Fatalf("%s: %v", part, err)
		}
	}
}

func ask[T any](tb testing.TB, conn *pgx.Conn, query string) T {
	tb.Helper()
	rows, err := conn.Query(tb.Context(), query)
	if err != nil {
		tb.Fatal(err)
	}
	answer, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return answer
}

func nameOf(tb testing.TB, dsn string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}
