package pgsource_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// unpack lays the files of a backup out as RESTORE.md says.
func (k *taken) unpack(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	write := func(folder string, files []file) {
		for _, f := range files {
			path := filepath.Join(out, folder, filepath.FromSlash(f.name))
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, f.text, 0o600))
		}
	}
	write("keystore", k.keystore)
	write("shared", k.parts[tenancy.ID{}])
	for i, id := range k.tenants {
		write(filepath.Join("tenants", strconv.Itoa(i)), k.parts[id])
	}
	return out
}

// psql runs a script in a folder.
func psql(t *testing.T, dsn, dir, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), dbtest.Program(t, "psql"), "-X", "-A", "-t", "-d", dsn, "-f", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The commands of RESTORE.md restore everything, with psql alone.
func TestRestoreByHand(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.furnish(t)
	w.customer(t, w.a, "petra@example.org")
	k := w.run(t, &pgsource.Options{Migrations: appFiles(), Lines: lines, PartSize: 2000})
	dir, dsn := k.unpack(t), dbtest.Postgres(t)
	snap, err := w.source(t, nil).Snapshot(t.Context())
	must(t, err)
	defer snap.Close()
	told, ok := snap.(backup.Instructor)
	if !ok {
		t.Fatal("the snapshot gives no instructions")
	}
	var counts strings.Builder
	de, en := told.Instructions()
	for _, text := range []string{de, en} {
		if got := strings.Join(scripts(text), " "); got != "shared/schema.sql shared/load.sql keystore/load.sql" {
			t.Fatalf("the instructions run %s", got)
		}
	}
	for _, script := range scripts(en) {
		out, err := psql(t, dsn, dir, script)
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		counts.WriteString(out)
	}
	sums := make(map[string]int64)
	for _, tables := range k.tables {
		for _, table := range tables {
			sums[table.Name] += table.Rows
		}
	}
	for name, n := range sums {
		if want := fmt.Sprintf("\n%s|%d\n", name, n); !strings.Contains(counts.String(), want) {
			t.Errorf("psql does not show %q", want)
		}
	}

	r := &world{owner: dsn, root: w.root, a: w.a, b: w.b}
	r.logins, err = postgres.Setup(t.Context(), dsn, &postgres.SetupOptions{Migrations: appFiles(), Lines: lines})
	must(t, err)
	r.open(t) // which refuses what is not as Setup makes it
	for _, id := range []tenancy.ID{w.a, w.b} {
		again := r.run(t, nil)
		same(t, map[tenancy.ID][]backup.Table{id: k.tables[id]}, map[tenancy.ID][]backup.Table{id: held(again.tables[id], k.tables[id])})
		if len(emails(t, r, id)) != len(emails(t, w, id)) {
			t.Error("not all rows open")
		}
	}
	c := r.customer(t, r.a, "later@example.org")
	usable(t, r, c)
	report, err := audit.Verify(t.Context(), r.db, r.a, &audit.VerifyOptions{Log: r.log, MaxPending: 1 << 40})
	must(t, err)
	if len(report.Findings) > 0 {
		t.Errorf("%+v", report.Findings)
	}
}

// scripts are those that the instructions run, in order.
func scripts(text string) (out []string) {
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, " -f "); ok && strings.HasPrefix(line, "psql ") {
			out = append(out, strings.Fields(rest)[0])
		}
	}
	return out
}

// By hand, too, damage stops the loading, and nothing of it stays.
func TestRestoreByHandStops(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.a, "petra@example.org")
	k := w.run(t, nil)
	dsn := dbtest.Postgres(t)
	dir := k.unpack(t)
	if out, err := psql(t, dsn, dir, "shared/schema.sql"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := psql(t, dsn, dir, "shared/schema.sql"); err == nil || !strings.Contains(out, "not empty") {
		t.Errorf("a second time: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tenants", "*", "data", "public.customers", "*.copy"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	must(t, err)
	for name, text := range map[string][]byte{
		"foreign key": nil,
		"duplicate":   append(bytes.Clone(whole), whole...),
		"uuid":        whole[bytes.IndexByte(whole, '\t')+1:],
	} {
		must(t, os.WriteFile(files[0], text, 0o600))
		if out, err := psql(t, dsn, dir, "shared/load.sql"); err == nil || !strings.Contains(out, name) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		var n int
		must(t, admin(t, dsn).Get(&n, "SELECT count(*) FROM art32.tenants"))
		if n != 0 {
			t.Errorf("%s: half of it stays", name)
		}
	}
	must(t, os.WriteFile(files[0], whole, 0o600))
	if out, err := psql(t, dsn, dir, "shared/load.sql"); err != nil {
		t.Errorf("whole again: %v\n%s", err, out)
	}
	u, err := url.Parse(dbtest.Postgres(t))
	must(t, err)
	login := strings.TrimPrefix(u.Path, "/") + "_vendor"
	admin(t, u.String()).MustExec(fmt.Sprintf("CREATE ROLE %q LOGIN CREATEROLE PASSWORD 'vendor'", login))
	u.User = url.UserPassword(login, "vendor")
	if out, err := psql(t, u.String(), dir, "shared/schema.sql"); err == nil || !strings.Contains(out, "superuser") {
		t.Errorf("without a superuser: %v\n%s", err, out)
	}
}

// Each file is loadable by itself.
func TestOneFileByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.customer(t, w.a, "petra@example.org")
	k := w.run(t, nil)
	dir, dsn := k.unpack(t), dbtest.Postgres(t)
	admin(t, dsn).MustExec("CREATE TABLE alone (tenant_id uuid, id uuid, email bytea, email_bidx bytea, city text, plan text)")
	cmd := exec.CommandContext(t.Context(), dbtest.Program(t, "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-d", dsn)
	files, err := filepath.Glob(filepath.Join(dir, "tenants", "*", "data", "public.customers", "000001.copy"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	cmd.Stdin = strings.NewReader(`\copy alone (tenant_id, id, email, email_bidx, city, plan) from '` + files[0] + `'`)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "COPY 1") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A tenant whose part is missing is closed; one whose part has no rows is not.
func TestMissingPart(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.b, "petra@example.org")
	bare := w.tenant(t)
	k := w.run(t, nil)
	delete(k.parts, w.b)
	dsn := dbtest.Postgres(t)
	d := into(t, dsn)
	tables, err := k.feed(t.Context(), d)
	must(t, err)
	if len(tables[w.b]) > 0 {
		t.Errorf("%v", tables[w.b])
	}
	for id, want := range map[tenancy.ID]bool{w.a: false, w.b: true, bare: false} {
		var closed bool
		must(t, admin(t, dsn).Get(&closed, "SELECT closed_at IS NOT NULL FROM art32.tenants WHERE id = $1", id))
		if closed != want {
			t.Errorf("closed: %v, want %v", closed, want)
		}
	}
	must(t, d.Abort(t.Context()))
}
