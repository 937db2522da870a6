package main

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/internal/dbtest"
)

// A scaffold stops whoever has decided nothing: it does not compile, then the
// declaration fails; and what was decided runs.
func TestScaffoldFailsClosed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	const create = `CREATE TABLE customers (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, email text UNIQUE, plan text, price numeric)`
	file := filepath.Join(t.TempDir(), "old.db")
	server := dbtest.Postgres(t)
	for name, args := range map[string][]string{"sqlite": {"--data", file}, "pgx": {"--dsn", server}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := sql.Open(name, args[1])
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), create); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			var out, wrong bytes.Buffer
			if code := run(t.Context(), append([]string{"scaffold", "--table", "customers"}, args...), &out, &wrong); code != exitOK {
				t.Fatalf("exit code %d: %s", code, &wrong)
			}
			text := out.String() + "\nfunc main() {}\n"
			expect(t, text, "undefined: undecided")
			text = regexp.MustCompile(`(?m)^.*undecided.*$`).ReplaceAllString(text, "")
			expect(t, text, `unknown word "decide"`)
			text = strings.ReplaceAll(text, "decide", "open")
			if strings.Contains(text, "=DATE") {
				expect(t, text, "field Email")
				text = strings.ReplaceAll(text, "=DATE", "="+time.Now().AddDate(0, 6, 0).Format(time.DateOnly))
			}
			expect(t, text, "")
		})
	}
}

// expect runs a program and looks for what it must fail with; "" is that it runs.
func expect(t *testing.T, text, want string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", file)
	cmd.Dir = filepath.Join("..", "..")
	got, err := cmd.CombinedOutput()
	if (err == nil) != (want == "") || !strings.Contains(string(got), want) {
		t.Errorf("ended with %v and says\n%s\nwant %q of\n%s", err, got, want, text)
	}
}
