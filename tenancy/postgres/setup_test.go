package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

func options(tb testing.TB) *postgres.SetupOptions {
	tb.Helper()
	return &postgres.SetupOptions{Migrations: migrations(tb)}
}

// works shows that a database can be opened and written to.
func works(t *testing.T, owner string, logins postgres.Logins) {
	t.Helper()
	w := &world{owner: owner, logins: logins}
	w.open(t)
	w.a = w.tenant(t, "A")
	w.insert(w.a, t, "Anton")
	if n, err := w.seen(w.a); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}

func TestSetupTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	logins, err := postgres.Setup(t.Context(), w.owner, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if logins == w.logins {
		t.Error("the passwords are the same")
	}
	old := w.logins
	w.logins = logins
	w.narrow(t)
	if _, err := customers.Get(w.a, w.db, c.ID); err != nil {
		t.Error(err)
	}
	if n, err := w.seen(w.a); err != nil || n != 1 {
		t.Errorf("%d rows, %v: the seal's key changed", n, err)
	}
	if _, err := postgres.Open(t.Context(), old, schema, w.keys, trace{}, nil); err == nil {
		t.Error("the old passwords open the database")
	}
	if err := postgres.Migrate(t.Context(), w.owner, options(t)); err != nil {
		t.Errorf("migrate again: %v", err)
	}
}

// A database of before there was access over tenants is migrated: its tables can be
// read so too.
func TestMigrateBeforeAcross(t *testing.T) {
	t.Parallel()
	w := &world{owner: dbtest.Postgres(t)}
	older := options(t)
	older.Lines = []tenancy.Line{until(t, postgres.Lines()[0], "0004")}
	var err error
	if w.logins, err = postgres.Setup(t.Context(), w.owner, older); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), w.owner, options(t)); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.a = w.tenant(t, "A")
	c := w.insert(w.a, t, "Anton")
	ctx := tenancy.WithReason(tenancy.WithActor(t.Context(), someone), "why")
	err = w.db.Across(ctx, tenancy.Access{Ticket: "T", Life: time.Minute}, func(_ context.Context, x *tenancy.Across) error {
		_, err := customers.Get(w.a, x, c.ID)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// until is a line as it was when the file that begins with last was its newest.
func until(t *testing.T, line tenancy.Line, last string) tenancy.Line {
	t.Helper()
	older := fstest.MapFS{}
	err := fs.WalkDir(line.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name()[:len(last)] > last {
			return err
		}
		data, err := fs.ReadFile(line.FS, path)
		older[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tenancy.Line{Name: line.Name, FS: older}
}

// Setups at once on one database leave it in order, and the logins of the last
// are valid as a pair.
func TestSetupAtOnce(t *testing.T) {
	t.Parallel()
	one := dbtest.Postgres(t)
	owners := []string{one, one, one, dbtest.Postgres(t), dbtest.Postgres(t)}
	logins := make([]postgres.Logins, len(owners))
	opts := options(t)
	var wg sync.WaitGroup
	for i, owner := range owners {
		wg.Go(func() {
			var err error
			if logins[i], err = postgres.Setup(t.Context(), owner, opts); err != nil {
				t.Errorf("setup %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	valid := 0
	for i, l := range logins {
		library, app := connects(t, l.Library), connects(t, l.App)
		if library != app {
			t.Errorf("setup %d: library login valid: %v, app login valid: %v", i, library, app)
		}
		if library {
			valid++
			works(t, owners[i], l)
		}
	}
	if valid != 3 {
		t.Errorf("%d pairs of logins are valid, want one for each database", valid)
	}
}

func connects(t *testing.T, dsn string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		return false
	}
	return conn.Close(t.Context()) == nil
}

// named makes a database with a name of the test's own choice.
func named(t *testing.T, name, owner string) string {
	t.Helper()
	server := dbtest.Postgres(t)
	admin := sqlx.MustOpen("pgx", server)
	quoted := pgx.Identifier{name}.Sanitize()
	admin.MustExec("CREATE DATABASE " + quoted + " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" + owner)
	t.Cleanup(func() {
		defer admin.Close()
		var roles []string
		if err := admin.Select(&roles, `SELECT DISTINCT grantee::regrole::text FROM pg_database, aclexplode(datacl)
			WHERE datname = $1 AND grantee <> 0 AND grantee <> 10 UNION SELECT current_user || '_none'`, name); err != nil {
			t.Error(err)
		}
		admin.MustExec("DROP DATABASE " + quoted + " WITH (FORCE)")
		for _, r := range roles {
			_, _ = admin.Exec("DROP ROLE " + r)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestDatabaseNames(t *testing.T) {
	t.Parallel()
	id := strings.TrimPrefix(fmt.Sprintf("%p", t), "0x")
	long := strings.Repeat("ä", 26)
	for _, name := range []string{
		`It's "quoted"` + id, "Shop-GmbH " + id, "größe%20/" + id, "a$$b\\" + id, `$art32$; DROP ` + id,
		(long + id + strings.Repeat("x", 63))[:62] + "1", (long + id + strings.Repeat("x", 63))[:62] + "2", // differ in the last byte
	} {
		if !utf8.ValidString(name) {
			t.Fatalf("%q", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owner := named(t, name, "")
			logins, err := postgres.Setup(t.Context(), owner, options(t))
			if err != nil {
				t.Fatal(err)
			}
			works(t, owner, logins)
		})
	}
}

// Two databases whose names differ at the end only have roles of their own.
func TestRolesAreNotShared(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	id := strings.TrimPrefix(fmt.Sprintf("%p", t), "0x")
	name := (id + strings.Repeat("y", 63))[:62]
	var logins [2]postgres.Logins
	for i := range logins {
		var err error
		if logins[i], err = postgres.Setup(t.Context(), named(t, fmt.Sprint(name, i), ""), options(t)); err != nil {
			t.Fatal(err)
		}
	}
	other, err := url.Parse(logins[0].App)
	if err != nil {
		t.Fatal(err)
	}
	other.Path = "/" + name + "1"
	if !connects(t, logins[0].App) || !connects(t, logins[1].App) || connects(t, other.String()) {
		t.Error("a login of one database serves for the other")
	}
}

// vendor is an owner who is no superuser: he may create roles and owns the
// database.
func vendor(t *testing.T) (server, owner string) {
	t.Helper()
	server = dbtest.Postgres(t)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/")
	login := database + "_vendor" // dropped with the database
	admin := sqlx.MustOpen("pgx", server)
	defer admin.Close()
	admin.MustExec(fmt.Sprintf("CREATE ROLE %q LOGIN CREATEROLE PASSWORD 'vendor'; ALTER DATABASE %q OWNER TO %q", login, database, login))
	t.Cleanup(func() {
		admin := sqlx.MustOpen("pgx", server)
		defer admin.Close()
		admin.MustExec(fmt.Sprintf("ALTER DATABASE %q OWNER TO CURRENT_USER", database))
	})
	u.User = url.UserPassword(login, "vendor")
	return server, u.String()
}

func TestOwnerWithoutSuperuser(t *testing.T) {
	t.Parallel()
	_, owner := vendor(t)
	var logins postgres.Logins
	for range 2 {
		var err error
		if logins, err = postgres.Setup(t.Context(), owner, options(t)); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{owner: owner, logins: logins, options: &postgres.Options{
		Unsafe: []postgres.Weakness{postgres.UnsafeSharedSessions, postgres.UnsafeLargeObjects, postgres.UnsafeWriteAheadLog},
	}}
	w.open(t)
	w.a = w.tenant(t, "A")
	w.insert(w.a, t, "Anton")
	if n, err := w.seen(w.a); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}

// TestStampBelievesNoPolicy: rows that a policy hides from the owner's login are rows.
func TestStampBelievesNoPolicy(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	server, owner := vendor(t)
	admin := sqlx.MustOpen("pgx", server)
	defer admin.Close()
	admin.MustExec("CREATE TABLE older (id int); INSERT INTO older VALUES (1); GRANT SELECT ON older TO PUBLIC; ALTER TABLE older ENABLE ROW LEVEL SECURITY")
	o := options(t)
	o.Environment = "staging"
	if _, err := postgres.Setup(t.Context(), owner, o); err == nil || !strings.Contains(err.Error(), "look into the tables") {
		t.Errorf("%v, want a refusal", err)
	}
}

// What only a superuser can close is refused until it is closed or accepted by
// name.
func TestWeaknesses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	server, owner := vendor(t)
	logins, err := postgres.Setup(t.Context(), owner, options(t))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	w := &world{owner: owner, logins: logins, options: &postgres.Options{
		Unsafe: []postgres.Weakness{postgres.UnsafeSharedSessions, postgres.UnsafeLargeObjects, postgres.UnsafeWriteAheadLog},
		Logger: slog.New(slog.NewTextHandler(&said, nil)),
	}}
	w.open(t)
	w.a, w.b = w.tenant(t, "A"), w.tenant(t, "B")
	if n := strings.Count(said.String(), "level=WARN"); n != 3 || !strings.Contains(said.String(), "weakness=shared-sessions") {
		t.Errorf("the log says %q, want each weakness once", said.String())
	}

	// The attack: A reads what B runs, and ends it.
	const secret = "SELECT 'of B', current_query(), pg_backend_pid()"
	err = w.db.InSQL(w.b, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var of, text string
		var pid int
		if err := tx.SQLX().QueryRowContext(ctx, secret).Scan(&of, &text, &pid); err != nil {
			return err
		}
		var seen int
		if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return tx.SQLX().GetContext(ctx, &seen, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%of B%'", pid)
		}); err != nil || seen != 1 {
			t.Errorf("undefended: A sees %d statements of B, %v; the attack proves nothing", seen, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		unsafe []postgres.Weakness
		want   int
	}{
		{nil, 9},
		{[]postgres.Weakness{postgres.UnsafeSharedSessions}, 5},
		{[]postgres.Weakness{postgres.UnsafeLargeObjects}, 6},
		{[]postgres.Weakness{postgres.UnsafeWriteAheadLog}, 7},
	} {
		refused, ok := errors.AsType[*postgres.RefusedError](w.tryOpen(t, &postgres.Options{Unsafe: c.unsafe}))
		if !ok || len(refused.Findings) != c.want {
			t.Errorf("accepting %v: %v, want %d findings", c.unsafe, refused, c.want)
		}
	}
	if err := w.tryOpen(t, &postgres.Options{Unsafe: []postgres.Weakness{"all"}}); err == nil {
		t.Error("an unknown weakness was accepted")
	}

	found, err := postgres.Inspect(t.Context(), logins, nil, options(t))
	if err != nil || len(found) != 9 {
		t.Errorf("Inspect: %v, %v; want 9 findings", found, err)
	}
	admin := sqlx.MustOpen("pgx", server)
	defer admin.Close()
	for _, f := range found { // to the letter
		admin.MustExec(f.Mend)
	}
	if err := w.tryOpen(t, nil); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := w.raw(w.a, "SELECT * FROM pg_stat_activity"); !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("mended: %v, want ErrForbidden", err)
	}
}

func TestMigrateNeedsSetup(t *testing.T) {
	t.Parallel()
	owner := dbtest.Postgres(t)
	err := postgres.Migrate(t.Context(), owner, options(t))
	if err == nil || !strings.Contains(err.Error(), "art32 init") {
		t.Errorf("%v, want what to run first", err)
	}
	broken := &postgres.SetupOptions{Migrations: badMigration(t)}
	if _, err := postgres.Setup(t.Context(), owner, broken); err == nil {
		t.Error("a broken migration passed")
	}
	logins, err := postgres.Setup(t.Context(), owner, options(t)) // mended, and run again
	if err != nil {
		t.Fatal(err)
	}
	works(t, owner, logins)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Setup(ctx, owner, options(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
