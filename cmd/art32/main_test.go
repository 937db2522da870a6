package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/art32/art32/internal/dbtest"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"art32": main})
}

// TestScripts runs the scripts of testdata: those of both engines on each.
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, folder := range []string{"both", engine} {
			t.Run(engine+"/"+folder, func(t *testing.T) {
				t.Parallel()
				t.Attr("art32.measure", "TOM-5.1")
				testscript.Run(t, scripts(engine, folder))
			})
		}
	}
}

// TestUsage runs the scripts that need no database.
func TestUsage(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts("", "usage"))
}

func scripts(engine, folder string) testscript.Params {
	return testscript.Params{
		Dir:                 filepath.Join("testdata", folder),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world": world, "sql": runSQL, "overwrite": overwrite, "fsck": fsck, "json": lookUp, "mode": mode,
			"sqlite": makeSQLite, "fingerprint": fingerprint, "agekey": ageKey, "capture": capture, "smtpd": smtpd,
		},
		Condition: func(cond string) (bool, error) { return cond == engine, nil },
		Setup: func(env *testscript.Env) error {
			env.Setenv("ENGINE", engine)
			env.Setenv("NOW", time.Now().UTC().Add(-time.Second).Format(time.RFC3339))
			env.Setenv("DATA", filepath.Join(env.WorkDir, "data"))
			for _, name := range []string{envOwner, envLibrary, envApp, envBackup} {
				env.Setenv(name, "")
			}
			if engine == "postgres" {
				tb, _ := env.T().(testing.TB)
				env.Setenv("OWNER", dbtest.Postgres(tb))
				env.Setenv("EMPTY", dbtest.Postgres(tb))
			}
			return nil
		},
	}
}

// TestReference compares docs/cli.md with what the command says of itself.
func TestReference(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "cli.md")
	if *update {
		if err := os.WriteFile(file, []byte(reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reference(), string(got)); diff != "" {
		t.Errorf("go test ./cmd/art32 -run Reference -update mends it (-want +got):\n%s", diff)
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString("# The command art32\n\nWhat the command says of itself. `go test ./cmd/art32 -run Reference -update`\nrewrites this page.\n\n```text\n" + overview() + "```\n")
	for _, v := range verbs() {
		b.WriteString("\n## art32 " + v.name + "\n\n```text\n" + v.help() + "```\n")
	}
	return b.String()
}

func TestHide(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--dsn", "postgres://u:s3cr3t%21@h/db"},
		{"--dsn=postgres://u:s3cr3t%21@h/db"},
		{"--dsn=postgres://h/db?user=u&password=s3cr3t%21"},
		{"-postgres://u:s3cr3t%21@h/db?sslmode=disable"},
		{"postgres://u:s3cr3t!@h:port/db"},
		{"--smtp", "u:s3cr3t!@h:587"},
		{"--dsn", "postgres://u%3As3cr3t%21@h/db"},
		{"--dsn", "host=h password=s3cr3t!"},
		{"--dsn=host=h password='s3cr3t!'"},
	} {
		got := hide("cannot use s3cr3t%21 or s3cr3t!", args)
		if strings.Contains(got, "s3cr3t") {
			t.Errorf("hide with %v: %s", args, got)
		}
	}
}

// TestHideByShape hides what is a secret wherever it comes from.
// TestNamesOfOthers: neither a line of the report nor a command in it can be forged
// by the name of a file or a table.
func TestNamesOfOthers(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/srv/art32/data":         "/srv/art32/data",
		"a; touch x #.db":         "'a; touch x #.db'",
		"it's":                    `'it'\''s'`,
		"-rf":                     "'./-rf'",
		"~/x":                     "'~/x'",
		"x\nok    newest run: ok": "(by hand: its name is no plain text)",
		"x\x1b[2J":                "(by hand: its name is no plain text)",
	} {
		if got := shell(path); got != want {
			t.Errorf("%q: %s", path, got)
		}
	}
	var b strings.Builder
	var all checks
	all.add("TOM-7.2", "file x\nok    a", bad("table y\nok    b\r\nok    c", "mend\nok    d"))
	all.note("TOM-7.2", "z\nBAD   e", "f\tg")
	_ = all.report(&output{w: &b})
	if n := strings.Count(b.String(), "\n"); n != 3 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}

func TestHideByShape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"open AGE-SECRET-KEY-1QQQQ: no such file":                                      "open … no such file",
		"open age-secret-key-pq-1qqqq":                                                 "open …",
		"no connection with host=h password=canary user=u":                             "no connection with host=h password=… user=u",
		"no connection with host=h password='can ary' user=u":                          "no connection with host=h password=… user=u",
		"open MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=: no such file":              "open …: no such file",
		"another key signed: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhv8ocRoacxS5s3kwf": "another key signed: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhv8ocRoacxS5s3kwf",
	} {
		if got := hide(text, nil); got != want {
			t.Errorf("%s\nis shown as %s", text, got)
		}
	}
}

func TestCheckDSN(t *testing.T) {
	t.Parallel()
	for dsn, ok := range map[string]bool{
		"postgres://u:canary@localhost/db":                          true,
		"postgres://u:canary@127.0.0.1:5433/db":                     true,
		"postgres://u:canary@/db?host=/run/postgresql":              true,
		"postgres://u:canary@db.example.org/db?sslmode=verify-full": true,
		"postgres://u:canary@db.example.org/db":                     false,
		"postgres://u:canary@db.example.org/db?sslmode=require":     false,
		"postgres://u:canary@localhost,db.example.org/db":           false,
		"postgres://u:canary@db.example.org/db?sslmode=disable":     false,
		"host=localhost user=u password=canary":                     false,
		"postgres://u:canary@localhost:port/db":                     false,
	} {
		err := checkDSN("--dsn", dsn)
		if (err == nil) != ok {
			t.Errorf("%s: %v", dsn, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the password shows: %v", err)
		}
	}
}
