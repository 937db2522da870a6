package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// canary is the value that must show nowhere.
const canary = "Kanarienvogel"

// mishaps are all the ways in which a value can come near an error.
func mishaps(w *world, c *customer) map[string]func() error {
	raw := func(query string, args ...any) func() error {
		return func() error { return w.raw(w.a, query, args...) }
	}
	const quoted = `"` + canary + `"`
	twice := func(texts ...string) func() error { // each goes on where the one before failed
		return func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				var errs []error
				for _, text := range texts {
					_, err := tx.SQLX().ExecContext(ctx, "SAVEPOINT s")
					if _, terr := tx.SQLX().ExecContext(ctx, text); terr != nil {
						_, rerr := tx.SQLX().ExecContext(ctx, "ROLLBACK TO s")
						err = errors.Join(err, terr, rerr)
					}
					errs = append(errs, err)
				}
				return errors.Join(errs...)
			})
		}
	}
	var row struct{ City int }
	return map[string]func() error{
		"syntax, unterminated": raw(fmt.Sprintf("SELECT id FROM customers WHERE city = '%s", canary)),
		"syntax, after quote":  raw(fmt.Sprintf("SELECT id FROM customers WHERE city = 'O'%s'", canary)),
		"cast":                 raw("SELECT $1::text::int", canary),
		"parameter of a type":  raw("SELECT id FROM customers WHERE id = $1", canary),
		"date":                 raw("SELECT $1::text::date", canary),
		"regular expression":   raw("SELECT 'x' ~ $1", canary+"("),
		"json":                 raw("SELECT $1::text::jsonb", "{"+canary),
		"not null":             raw("INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $2, $3, NULL)", tenantOfContext(w.a), uuid.New(), canary),
		"duplicate":            raw("INSERT INTO customers TABLE customers"),
		"foreign row":          raw("INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $2, $3, '')", tenantOfContext(w.b), uuid.New(), canary),
		"raised":               raw("SELECT raise($1, 'P0001')", canary),
		"raised as forbidden":  raw("SELECT raise($1, '42501')", canary),
		"raised as missing":    raw("SELECT raise($1, '42704')", canary),
		"raised with a table":  raw("SELECT raise($1, '23505')", canary),
		"column":               raw("SELECT id FROM customers WHERE plan = " + quoted),
		"table":                raw("SELECT * FROM " + quoted),
		"function":             raw("SELECT " + quoted + "()"),
		"type":                 raw("SELECT 1::" + quoted),
		"collation":            raw("SELECT 'a' COLLATE " + quoted),
		"cursor":               raw("FETCH " + quoted),
		"cursor twice":         twice("DECLARE "+quoted+" CURSOR FOR SELECT 1", "DECLARE "+quoted+" CURSOR FOR SELECT 1"),
		"cursor that failed":   twice("DECLARE "+quoted+" CURSOR FOR SELECT 1 / (visits - visits) FROM (VALUES (0)) v(visits)", "FETCH "+quoted, "FETCH "+quoted),
		"prepared name":        raw("EXECUTE " + quoted),
		"prepared twice":       twice("PREPARE "+quoted+" AS SELECT 1", "PREPARE "+quoted+" AS SELECT 1"),
		"savepoint":            raw("RELEASE " + quoted),
		"role":                 raw("SET ROLE " + quoted),
		"session":              raw("SET SESSION AUTHORIZATION " + quoted),
		"setting":              raw("SHOW " + quoted),
		"sequence":             raw("SELECT currval($1)", canary),
		"constraint":           raw("SET CONSTRAINTS " + quoted + " DEFERRED"),
		"too many arguments":   raw("SELECT 1", canary),
		"snapshot":             raw("SET TRANSACTION SNAPSHOT '" + canary + "'"),
		"option":               raw("EXPLAIN (" + canary + ") SELECT 1"),
		"copy":                 raw("COPY customers FROM '" + canary + "'"),
		"too large":            raw("SELECT repeat($1, 1000000000)", canary),
		"NUL":                  raw("SELECT $1", canary+"\x00"),
		"NUL in text":          raw("SELECT '" + canary + "\x00'"),
		"invalid UTF-8":        raw("SELECT $1", canary+"\xff"),
		"enum of settings":     raw("SELECT set_config('client_min_messages', $1, true)", canary),
		"time zone":            raw("SELECT now() AT TIME ZONE $1", canary),
		"type of an argument":  raw("SELECT $1", struct{ S string }{canary}),
		"named argument":       raw("SELECT 1 WHERE $1", func() string { return canary }),
		"scan": func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET city = $1", canary)
				return errors.Join(err, tx.SQLX().GetContext(ctx, &row, "SELECT city FROM customers"))
			})
		},
		"insert twice": func() error { return customers.Insert(w.a, w.db, c) },
		"bad text":     func() error { return customers.Insert(w.a, w.db, &customer{City: canary + "\x00"}) },
		"bad address":  func() error { return customers.Insert(w.a, w.db, newCustomer(canary+"\xff", canary)) },
	}
}

func tenantOfContext(ctx context.Context) tenancy.ID {
	id, _ := tenancy.TenantFrom(ctx)
	return id
}

func TestNoValueInErrors(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.2")
	w := newWorld(t)
	w.asOwner(t, `CREATE FUNCTION raise(what text, code text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION '%', what USING ERRCODE = code, TABLE = what, DETAIL = what; END $$`)
	c := newCustomer(canary+"@example.org", canary)
	c.City = canary
	if err := customers.Insert(w.a, w.db, c); err != nil {
		t.Fatal(err)
	}
	for name, do := range mishaps(w, c) {
		err := do()
		switch {
		case err == nil:
			t.Errorf("%s passed", name)
		case name == "scan": // the text is that of database/sql
		case strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), canary):
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
}

func TestNoPasswordInErrors(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.2")
	w := newWorld(t)
	with := func(change func(u *url.URL)) string {
		u, err := url.Parse(w.logins.Library)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(u.User.Username(), canary)
		change(u)
		return u.String()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, dsn := range map[string]string{
		"wrong password":     with(func(*url.URL) {}),
		"wrong port":         with(func(u *url.URL) { u.Host = "127.0.0.1:1" }),
		"bad port":           with(func(u *url.URL) { u.Host = "127.0.0.1:x" })[:20] + canary + "@127.0.0.1:x/db",
		"no database":        with(func(u *url.URL) { u.Path = "/nothing" }),
		"bad option":         with(func(u *url.URL) { u.RawQuery = "sslmode=" + canary }),
		"unverified network": with(func(u *url.URL) { u.Host = "192.0.2.1:5432" }),
		"unverified second":  with(func(u *url.URL) { u.Host += ",192.0.2.1:5432" }),
		"no URL":             "host=127.0.0.1 port=1 password=" + canary,
	} {
		for what, do := range map[string]func() error{
			"open": func() error {
				_, err := postgres.Open(ctx, postgres.Logins{Library: dsn, App: dsn}, schema, w.keys, trace{}, nil)
				return err
			},
			"keystore": func() error { _, err := postgres.OpenKeystore(ctx, dsn); return err },
			"setup":    func() error { _, err := postgres.Setup(ctx, dsn, nil); return err },
			"migrate":  func() error { return postgres.Migrate(ctx, dsn, nil) },
		} {
			err := do()
			if err == nil || strings.Contains(err.Error(), canary) || ctx.Err() != nil {
				t.Errorf("%s, %s: %v, want an error at once without the password", what, name, err)
			}
		}
	}
}

// logOf finds the server's log: its own, or that of a throw-away cluster.
func logOf(t *testing.T, admin *sqlx.DB) string {
	t.Helper()
	var file string
	if err := admin.Get(&file, `SELECT coalesce(pg_current_logfile(), current_setting('data_directory') || '/../log')`); err != nil {
		t.Fatal(err)
	}
	var size *int64
	if err := admin.Get(&size, "SELECT (pg_stat_file($1, true)).size", file); err != nil || size == nil {
		t.Fatalf("the server keeps its log (%s) where the test cannot read it: run the tests on a server of this machine", file)
	}
	return file
}

// A server that logs every statement still logs no parameter, no password and
// no token. Its log is a file that the test reads through the server.
func TestNothingInTheServersLog(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.2")
	w := &world{owner: dbtest.Postgres(t)}
	const logged = "Wellensittich" // a name of its own: the log is the server's
	admin := w.admin(t)
	for _, setting := range []string{"log_statement = 'all'", "log_parameter_max_length = -1", "log_parameter_max_length_on_error = -1"} {
		admin.MustExec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET " + strings.ReplaceAll(setting, "'", "''") + "', current_database()); END $$")
	}
	logFile := logOf(t, admin)
	var err error
	if w.logins, err = postgres.Setup(t.Context(), w.owner, &postgres.SetupOptions{Migrations: migrations(t)}); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.a, w.b = w.tenant(t, logged), w.tenant(t, "B")
	c := newCustomer(logged+"@example.org", logged)
	c.City = logged
	if err := customers.Insert(w.a, w.db, c); err != nil {
		t.Fatal(err)
	}
	var token string
	if err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		token = own(ctx, t, tx)
		_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET city = $1 WHERE city = $1", logged)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := customers.Edit(w.a, w.db, c.ID, func(c *customer) error { c.Name = field.New(logged + "2"); return nil }); err != nil {
		t.Fatal(err)
	}
	var key string // of the seal
	if err := admin.Get(&key, "SELECT encode(ipad, 'hex') FROM art32.seal_keys"); err != nil {
		t.Fatal(err)
	}
	var log string
	if err := admin.Get(&log, "SELECT convert_from(pg_read_binary_file($1), 'UTF8')", logFile); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log, "UPDATE customers SET city = $1") {
		t.Fatal("the server did not log statements: nothing was tested")
	}
	secrets := map[string]string{"a value": logged, "the token": token, "the key of the seal": key}
	for name, dsn := range map[string]string{"library": w.logins.Library, "app": w.logins.App} {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		secrets["the password of "+name], _ = u.User.Password()
	}
	for name, secret := range secrets {
		for line := range strings.Lines(log) {
			if strings.Contains(line, secret) {
				t.Errorf("the log shows %s: %s", name, strings.ReplaceAll(line, secret, "***"))
			}
		}
	}
}

// A developer finds the place without the server's words.
func TestErrorsTellWhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for text, want := range map[string]string{
		"SELECT id FROM customers WHERE plan = \"x\"": "[42703]: at character 39",
		"SELECT id FORM customers":                    "[42601]: syntax error at character 16",
		"SELECT * FROM nothing":                       "[42P01]: at character 15",
	} {
		if err := w.raw(w.a, text); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A wrong number of arguments is the caller's mistake, not the server's absence.
func TestWrongNumberOfArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]any{{}, {1, 2}} {
		if err := w.raw(w.a, "SELECT $1::int", args...); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("%d arguments: %v, want ErrBadValue", len(args), err)
		}
	}
}

// A server that cannot be reached, or takes no connection, is unavailable,
// whatever it says.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := func(f func(u *url.URL)) string {
		u, err := url.Parse(w.logins.Library)
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		return u.String()
	}
	for name, dsn := range map[string]string{
		"password": change(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "x") }),
		"login":    change(func(u *url.URL) { u.User = url.UserPassword(canary, "x") }),
		"database": change(func(u *url.URL) { u.Path = "/" + canary }),
		"port":     change(func(u *url.URL) { u.Host = "127.0.0.1:1" }),
	} {
		_, kerr := postgres.OpenKeystore(t.Context(), dsn)
		_, oerr := postgres.Open(t.Context(), postgres.Logins{Library: dsn, App: w.logins.App}, schema, w.keys, trace{}, nil)
		for what, err := range map[string]error{"keystore": kerr, "open": oerr} {
			if !errors.Is(err, tenancy.ErrUnavailable) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "FATAL") {
				t.Errorf("%s, %s: %v, want ErrUnavailable without the server's message", what, name, err)
			}
		}
	}
}

// A keystore that loses its connections, and gets no new ones, is unavailable
// too.
func TestKeystoreIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store, err := postgres.OpenKeystore(t.Context(), w.logins.Library+"&application_name=lost")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	get := func() error {
		_, err := store.Get(t.Context(), tenantOf(t, w.a).UUID(), []string{"x"})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	name := w.role(t, "library")
	w.admin(t).MustExec("ALTER ROLE " + name + " PASSWORD NULL; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost'")
	for _, get := range []func() error{get, get, func() error {
		for _, err := range store.List(t.Context()) {
			return err
		}
		return nil
	}} {
		err := get()
		if !errors.Is(err, tenancy.ErrUnavailable) || strings.Contains(err.Error(), "FATAL") || strings.Contains(err.Error(), name) {
			t.Errorf("%v, want ErrUnavailable without the server's message", err)
		}
	}
}
