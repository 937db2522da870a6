package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/internal/dbtest"
)

// TestLookWritesNoRow looks as a superuser, and tries to write where the look
// reads.
func TestLookWritesNoRow(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.1")
	dsn := dbtest.Postgres(t)
	owner, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if _, err := owner.ExecContext(t.Context(), "CREATE TABLE users (id serial, tenant_id int, email text); INSERT INTO users (email) VALUES ('canary@example.org')"); err != nil {
		t.Fatal(err)
	}
	before := rowsOf(t, owner)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"doctor", "--dsn", dsn}, &stdout, &stderr); code != exitFindings {
		t.Fatalf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	if diff := cmp.Diff(before, rowsOf(t, owner)); diff != "" {
		t.Errorf("the look changed something (-before +after):\n%s", diff)
	}
	db, err := openLook(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustRefuse(t, func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "INSERT INTO users DEFAULT VALUES")
		return err
	})
	tx, err := beginLook(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	mustRefuse(t, func(ctx context.Context) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO public.users DEFAULT VALUES")
		return err
	})
}

// TestLookThroughPooler looks through a pooler that knows no parameters of the
// start, as PgBouncer: the transaction is read-only all the same.
func TestLookThroughPooler(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = pooler(t, u.Host)
	db, err := openLook(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := beginLook(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	mustRefuse(t, func(ctx context.Context) error { _, err := tx.ExecContext(ctx, "CREATE TABLE public.x ()"); return err })
}

// pooler hands connections on to a server, unless they name such a parameter.
func pooler(t *testing.T, server string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go pass(c, server)
		}
	}()
	return l.Addr().String()
}

func pass(c net.Conn, server string) {
	defer c.Close()
	var size [4]byte // of the message, itself included
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	start := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, start[copy(start, size[:]):]); err != nil {
		return
	}
	if bytes.Contains(start, []byte("default_transaction_read_only")) {
		text := "SFATAL\x00VFATAL\x00C08P01\x00Munsupported startup parameter\x00\x00"
		_, _ = c.Write(append(binary.BigEndian.AppendUint32([]byte("E"), uint32(len(text)+4)), text...))
		return
	}
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer s.Close()
	if _, err := s.Write(start); err != nil {
		return
	}
	go func() { _, _ = io.Copy(s, c) }()
	_, _ = io.Copy(c, s)
}

// TestLookJudgesLogins looks with logins of different rights, and at a table that
// is guarded as it should be.
func TestLookJudgesLogins(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	dsn := dbtest.Postgres(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	role := func(kind string) string { return strings.TrimPrefix(u.Path, "/") + "_" + kind }
	for _, q := range []string{
		`CREATE TABLE orders (id int, tenant_id int); ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY`,
		`CREATE ROLE "` + role("plain") + `" LOGIN PASSWORD 'canary'`,
		`CREATE ROLE "` + role("bypass") + `" LOGIN BYPASSRLS PASSWORD 'canary'`,
		`CREATE ROLE "` + role("owner") + `" LOGIN PASSWORD 'canary'; CREATE TABLE things (id int); ALTER TABLE things OWNER TO "` + role("owner") + `"`,
		`CREATE ROLE "` + role("member") + `" LOGIN PASSWORD 'canary'; GRANT "` + role("bypass") + `" TO "` + role("member") + `"`,
	} {
		if _, err := owner.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range map[string]string{
		"plain": "ok    login: role ", "bypass": "may step over row-level security", "member": "may step over row-level security", "owner": " owns 1 tables",
	} {
		var stdout, stderr bytes.Buffer
		u.User = url.UserPassword(role(kind), "canary")
		run(t.Context(), []string{"doctor", "--dsn", u.String()}, &stdout, &stderr)
		text := stdout.String() + stderr.String()
		if !strings.Contains(text, want) || strings.Contains(text, "orders looks") || strings.Contains(text, "canary") {
			t.Errorf("%s: no %q, a guarded table or the password in\n%s", kind, want, text)
		}
	}
}

func mustRefuse(t *testing.T, write func(context.Context) error) {
	t.Helper()
	if err := write(t.Context()); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("a write in place of the look: %v", err)
	}
}

// rowsOf is what the database holds: rows, tables, sequences, roles, settings.
func rowsOf(t *testing.T, db *sql.DB) (all []string) {
	t.Helper()
	for _, query := range []string{
		"SELECT u.*::text || xmin || ctid FROM users u",
		"SELECT c.*::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace",
		"SELECT last_value::text FROM users_id_seq",
		"SELECT s.*::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()",
	} {
		all = append(all, textsOf(t, db, query)...)
	}
	return all
}

func textsOf(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSupported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number    int
		at        string
		ok, known bool
	}{
		{90624, "2020-01-01", false, true},
		{140020, "2026-11-12", true, true},
		{140020, "2026-11-13", false, true},
		{180001, "2026-11-23", true, true},
		{190000, "2026-11-23", true, false},
	} {
		at, err := time.Parse(time.DateOnly, test.at)
		if err != nil {
			t.Fatal(err)
		}
		if says, ok, known := supported(test.number, at); ok != test.ok || known != test.known {
			t.Errorf("%d at %s: %s: %v, %v", test.number, test.at, says, ok, known)
		}
	}
}

// TestLogged judges the settings of the server.
func TestLogged(t *testing.T) {
	t.Parallel()
	quiet := map[string]string{"log_statement": "none", "log_min_duration_statement": "-1", "log_min_duration_sample": "-1", "log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "0"}
	for name, test := range map[string]struct {
		set  map[string]string
		want int
	}{
		"default":        {nil, 0},
		"statements":     {map[string]string{"log_statement": "mod"}, 1},
		"slow ones":      {map[string]string{"log_min_duration_statement": "200"}, 1},
		"none of values": {map[string]string{"log_statement": "all", "log_parameter_max_length": "0"}, 0},
		"on error":       {map[string]string{"log_parameter_max_length_on_error": "-1"}, 1},
	} {
		set := map[string]string{}
		for _, from := range []map[string]string{quiet, test.set} {
			maps.Copy(set, from)
		}
		if got := logged(set); len(got) != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
