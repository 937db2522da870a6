package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestCanaries gives every verb secrets and addresses that lead nowhere: none of
// them shows in what is printed.
func TestCanaries(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	identity := write("identity", "AGE-SECRET-KEY-1CANARY\nCANARY\n")
	secret := write("secret", "canary canary canary")
	vendor := write("vendor", `{"name": "canary", "mail": canary}`)
	data := filepath.Join(dir, "data")
	var out bytes.Buffer
	if code := run(t.Context(), []string{"init", "--data", data}, &out, &out); code != exitOK {
		t.Fatal(out.String())
	}
	for _, d := range []string{"target", "vault"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	target, vault := filepath.Join(dir, "target"), filepath.Join(dir, "vault")
	const key = "AGE-SECRET-KEY-1CANARY"
	const dsn = "postgres://u:canary@127.0.0.1:1/db"
	t.Setenv(envSMTPPassword, "parrot") // another word: it is cut out of every text
	tenant, some := uuid.NewString(), "2026-01-01T00:00:00Z"
	for _, args := range [][]string{
		{"init", "--dsn", dsn},
		{"init", "--data", filepath.Join(dir, "new"), "--key", secret},
		{"migrate", "--dsn", dsn},
		{"doctor", "--dsn", dsn},
		{"doctor", "--data", data, "--key", secret},
		{"doctor", "--data", secret},
		{"audit", "verify", "--dsn", dsn},
		{"audit", "verify", "--data", data, "--key", secret},
		{"backup", "run", "--dsn", dsn, "--library-dsn", dsn, "--app-dsn", dsn, "--key", secret, "--target", target, "--vault", vault, "--recovery", "age1canary", "--recovery", "age1canary2"},
		{"backup", "run", "--data", data, "--target", target, "--vault", vault, "--recovery", secret, "--recovery", "age1canary"},
		{"backup", "run", "--data", data, "--target", target, "--vault", vault, "--recovery", identity, "--recovery", identity},
		{"backup", "verify", "--target", target, "--vault", vault, "--identity", identity},
		{"backup", "verify", "--target", target, "--signer", secret},
		{"backup", "verify", "--target", target, "--signer", key},
		{"backup", "verify", "--target", target, "--vault", vault, "--identity", key},
		{"backup", "verify", "--target", key},
		{"backup", "restore", "--target", target, "--vault", vault, "--identity", identity, "--signer", "-", "--key", key, "--into", filepath.Join(dir, "x")},
		{"backup", "restore", "--target", target, "--vault", vault, "--identity", key, "--signer", "-", "--key", secret, "--into", filepath.Join(dir, "x")},
		{"backup", "run", "--data", data, "--target", target, "--vault", vault, "--recovery", key, "--recovery", "age1x"},
		{"doctor", "-" + dsn},
		{"doctor", "---" + dsn},
		{"doctor", "--pending", dsn},
		{"doctor", "--pending", "host=h password=canary"},
		{"doctor", "--json=" + dsn},
		{"doctor", "--data", dsn},
		{"doctor", "--data", "host=h password='canary two'"},
		{"backup", "restore", "--target", target, "--vault", vault, "--identity", identity, "--key", secret, "--into", filepath.Join(dir, "x")},
		{"backup", "restore", "--target", target, "--vault", vault, "--identity", identity, "--key", secret, "--dsn", dsn},
		{"erasure", "record", "--data", data, "--tenant", tenant, "--subject", "canary", "--copy", "x=1h", "--out", filepath.Join(dir, "r")},
		{"erasure", "record", "--data", data, "--tenant", tenant, "--subject", tenant, "--copy", "canary", "--out", filepath.Join(dir, "r")},
		{"erasure", "record", "--data", data, "--tenant", tenant, "--copy", "canary=1h", "--reason", "canary", "--out", filepath.Join(dir, "r")},
		{"erasure", "tenant", "--data", data, "--tenant", tenant, "--reason", "canary", "--no-ledger"},
		{"erasure", "tenant", "--dsn", dsn, "--app-dsn", dsn, "--key", secret, "--tenant", tenant, "--reason", "canary", "--no-ledger"},
		{"erasure", "verify", "--record", secret, "--signature", secret},
		{"incident", "open", "--data", data, "--aware", some, "--kind", "integrity", "--title", "canary\x00", "--nature", "canary", "--tenant", tenant, "--reason", "canary"},
		{"incident", "open", "--data", data, "--aware", some, "--kind", "canary", "--title", "canary", "--tenant", tenant, "--reason", "canary"},
		{"incident", "open", "--data", data, "--aware", "canary", "--kind", "integrity", "--title", "canary", "--tenant", tenant, "--reason", "canary"},
		{"incident", "open", "--dsn", dsn, "--app-dsn", dsn, "--key", secret, "--aware", some, "--kind", "integrity", "--title", "x", "--tenant", tenant, "--reason", "x"},
		{"incident", "contact", "--data", data, "--tenant", tenant, "--name", "Canary", "--mail", "erika.canary@example.org"},
		{"incident", "contact", "--data", data, "--tenant", tenant, "--name", "Canary", "--mail", "canary"},
		{"incident", "contact", "--data", data, "--mailx=canary"},
		{"incident", "contact", "--data", data, "erika.canary@example.org"},
		{"incident", "notify", "--data", data, "--case", "canary", "--vendor", vendor, "--reason", "canary"},
		{"incident", "notify", "--data", data, "--case", tenant, "--vendor", vendor, "--reason", "canary", "--folder", filepath.Join(dir, "n")},
		{"incident", "status", "--data", data, "--case", "canary"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code == exitOK {
			t.Errorf("%v: exit code 0\n%s", args, &stdout)
		}
		if text := strings.ToLower(stdout.String() + stderr.String()); strings.Contains(text, "canary") || strings.Contains(text, "parrot") {
			t.Errorf("%v:\n%s", args, text)
		}
	}
}
