package pgsource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// A place that holds anything is not restored into.
func TestDestinationNotEmpty(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	for name, sql := range map[string]string{
		"table":        "CREATE TABLE x ()",
		"schema":       "CREATE SCHEMA x",
		"view":         "CREATE VIEW x AS SELECT 1",
		"domain":       "CREATE DOMAIN x AS int",
		"enum":         "CREATE TYPE x AS ENUM ('a')",
		"row type":     "CREATE TYPE x AS (a int)",
		"function":     "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"sequence":     "CREATE SEQUENCE x",
		"large object": "SELECT lo_from_bytea(0, 'x')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := dbtest.Postgres(t)
			db := admin(t, dsn)
			db.MustExec(sql)
			d := into(t, dsn)
			if err := d.Begin(t.Context()); !errors.Is(err, backup.ErrNotEmpty) {
				t.Errorf("%v, want ErrNotEmpty", err)
			}
			must(t, d.Abort(t.Context()))
			if err := into(t, dsn).Begin(t.Context()); !errors.Is(err, backup.ErrNotEmpty) {
				t.Errorf("what was there is gone: %v", err)
			}
		})
	}
	w := newWorld(t)
	if err := into(t, w.owner).Begin(t.Context()); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("a database in use: %v, want ErrNotEmpty", err)
	}
}

// Rows are loaded past policies and triggers, which takes a superuser.
func TestDestinationNeedsSuperuser(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	dsn := dbtest.Postgres(t)
	u, err := url.Parse(dsn)
	must(t, err)
	login := strings.TrimPrefix(u.Path, "/") + "_vendor"
	db := admin(t, dsn)
	db.MustExec(fmt.Sprintf("CREATE ROLE %q LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD 'vendor'", login))
	u.User = url.UserPassword(login, "vendor")
	d := into(t, u.String())
	err = d.Begin(t.Context())
	if !errors.Is(err, backup.ErrRole) || !strings.Contains(err.Error(), "SUPERUSER") {
		t.Fatalf("%v, want ErrRole with its mend", err)
	}
	db.MustExec(fmt.Sprintf("ALTER ROLE %q SUPERUSER", login))
	must(t, d.Begin(t.Context()))
	must(t, d.Abort(t.Context()))
}

// canary is a text that stands in rows and may stand in no error.
const canary = "CANARY-4711"

// Whatever is wrong with the files, nothing usable is left, and nothing of a row
// is told.
func TestDamaged(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	db := admin(t, w.owner)
	db.MustExec("UPDATE customers SET city = $1", canary)
	db.MustExec("UPDATE tickets SET title = $1", canary)
	whole := w.run(t, nil)
	change := func(part tenancy.ID, name string, to func([]byte) []byte) func(k *taken) {
		return func(k *taken) {
			n := 0
			for i, f := range k.parts[part] {
				if strings.HasPrefix(f.name, name) {
					k.parts[part][i].text = to(f.text)
					n++
				}
			}
			if n == 0 {
				t.Errorf("no file %s", name)
			}
		}
	}
	rename := func(part tenancy.ID, name, to string) func(k *taken) {
		return func(k *taken) {
			for i, f := range k.parts[part] {
				k.parts[part][i].name = strings.Replace(f.name, name, to, 1)
			}
		}
	}
	empty := func([]byte) []byte { return nil }
	for name, c := range map[string]struct {
		damage func(k *taken)
		want   string
		equal  bool // the files load: only the comparison finds it
	}{
		"a field is missing":       {change(w.a, "data/public.customers", func(b []byte) []byte { return b[bytes.IndexByte(b, '\t')+1:] }), "data/public.customers/000001.copy", false},
		"a value does not fit":     {change(w.a, "data/public.customers", func(b []byte) []byte { return bytes.Replace(b, []byte(w.a.String()), []byte(canary), 1) }), "data/public.customers/000001.copy", false},
		"not UTF-8":                {change(w.a, "data/public.customers", func(b []byte) []byte { return bytes.Replace(b, []byte(canary), []byte(canary+"\xff"), 1) }), "data/public.customers/000001.copy", false},
		"a row stands twice":       {change(w.a, "data/public.customers", func(b []byte) []byte { return append(b, b...) }), "customers_pkey", false},
		"a reference is broken":    {change(w.a, "data/public.customers", empty), "tickets_tenant_id_customer_fkey", false},
		"a file of no table":       {rename(w.a, "public.customers", "public.nobody"), "data/public.nobody", false},
		"no layout":                {rename(tenancy.ID{}, "layout.json", "layout.txt"), "layout.json", false},
		"another format":           {change(tenancy.ID{}, "layout.json", func(b []byte) []byte { return bytes.Replace(b, []byte("/v1"), []byte("/v9"), 1) }), "art32-postgres/v1", false},
		"a layout of nothing":      {change(tenancy.ID{}, "layout.json", empty), "layout.json", false},
		"a migration is missing":   {rename(tenancy.ID{}, "migrations/app/0001_app.sql", "migrations/app/0001_app.txt"), "app", false},
		"a migration is broken":    {change(tenancy.ID{}, "migrations/app/", func(b []byte) []byte { return append(b, "nonsense;"...) }), "line app", false},
		"a table of no migration":  {change(tenancy.ID{}, "layout.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"city"`), []byte(`"town"`), 1) }), "no migration of the backup makes public.customers.town", false},
		"a row was changed":        {change(w.a, "data/public.customers", func(b []byte) []byte { return bytes.Replace(b, []byte("basic"), []byte("badic"), 1) }), "", true},
		"a row is another tenants": {change(w.a, "data/public.tickets", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(canary), []byte("x")) }), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &taken{keystore: whole.keystore, parts: make(map[tenancy.ID][]file), tables: whole.tables, tenants: whole.tenants}
			for id, files := range whole.parts {
				for _, f := range files {
					k.parts[id] = append(k.parts[id], file{f.name, slices.Clone(f.text)})
				}
			}
			c.damage(k)
			dsn := dbtest.Postgres(t)
			d := into(t, dsn)
			tables, err := k.feed(t.Context(), d)
			if c.equal {
				if must(t, err); maps.EqualFunc(tables, k.tables, slices.Equal[[]backup.Table]) {
					t.Error("the damage does not show")
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("%v, want one that names %q and nothing of a row", err, c.want)
			}
			gone(t, d, dsn)
		})
	}
}

// gone aborts, and shows that the place is as it was.
func gone(t *testing.T, d *pgsource.Destination, dsn string) {
	t.Helper()
	must(t, d.Abort(t.Context()))
	if d.Logins() != (postgres.Logins{}) {
		t.Error("there are logins")
	}
	var roles int
	must(t, admin(t, dsn).Get(&roles, "SELECT count(*) FROM pg_roles WHERE starts_with(rolname::text, current_database() || '_')"))
	if roles != 0 {
		t.Errorf("%d roles are left", roles)
	}
	again := into(t, dsn)
	if err := again.Begin(t.Context()); err != nil {
		t.Errorf("the place is not empty again: %v", err)
	}
	must(t, again.Abort(t.Context()))
}

// A restore can end at any step, and be repeated in the same place.
func TestAbort(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	k := w.run(t, nil)
	dsn, temp := dbtest.Postgres(t), t.TempDir()
	for name, until := range map[string]func(d *pgsource.Destination) error{
		"before Begin": func(*pgsource.Destination) error { return nil },
		"after Begin":  func(d *pgsource.Destination) error { return d.Begin(t.Context()) },
		"cancelled": func(d *pgsource.Destination) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			must(t, d.Begin(ctx))
			for _, f := range k.parts[tenancy.ID{}] {
				if strings.HasPrefix(f.name, "data/art32.events") {
					cancel()
				}
				if err := d.File(ctx, tenancy.ID{}, f.name, int64(len(f.text)), bytes.NewReader(f.text)); err != nil {
					if !errors.Is(err, context.Canceled) {
						return err
					}
					return nil
				}
			}
			return errors.New("it was not cancelled")
		},
		"a file that breaks off": func(d *pgsource.Destination) error {
			must(t, d.Begin(t.Context()))
			for _, f := range k.parts[tenancy.ID{}] {
				r := bytes.NewReader(f.text)
				if strings.HasPrefix(f.name, "data/") {
					r = bytes.NewReader(nil)
				}
				if err := d.File(t.Context(), tenancy.ID{}, f.name, int64(len(f.text)), r); err != nil {
					if !errors.Is(err, backup.ErrDamaged) {
						return err
					}
					return nil
				}
			}
			return errors.New("it was loaded")
		},
		"after Loaded": func(d *pgsource.Destination) error { _, err := k.feed(t.Context(), d); return err },
		"after Open": func(d *pgsource.Destination) error {
			if _, err := k.feed(t.Context(), d); err != nil {
				return err
			}
			opened, err := d.Open(t.Context(), w.root, newLog)
			must(t, err)
			return opened.Close()
		},
		"the log cannot be made": func(d *pgsource.Destination) error {
			if _, err := k.feed(t.Context(), d); err != nil {
				return err
			}
			if _, err := d.Open(t.Context(), nil, newLog); err == nil {
				return errors.New("opened without a root")
			}
			return nil
		},
	} {
		d, err := pgsource.Into(dsn, &pgsource.IntoOptions{Temp: temp})
		must(t, err)
		if err := until(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		gone(t, d, dsn)
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v is left on the disk", name, left, err)
		}
	}
	d := into(t, dsn)
	_, err := k.feed(t.Context(), d)
	must(t, err)
	must(t, d.Finish(t.Context()))
	must(t, d.Abort(t.Context()))
	if d.Logins().Library == "" {
		t.Error("Abort after Finish took the database away")
	}
}

// The tables of today are made after the rows were compared.
func TestMigrationsAfterTheBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer(t, w.a, "anton@example.org")
	k := w.run(t, nil)
	dir := t.TempDir()
	must(t, os.CopyFS(dir, appFiles()))
	must(t, os.WriteFile(dir+"/0002_more.sql", []byte("ALTER TABLE tickets ADD COLUMN more text NOT NULL DEFAULT 'x'; UPDATE tickets SET title = 'moved'"), 0o600))
	dsn := dbtest.Postgres(t)
	d, err := pgsource.Into(dsn, &pgsource.IntoOptions{Migrations: os.DirFS(dir), Schema: schema})
	must(t, err)
	tables, err := k.feed(t.Context(), d)
	must(t, err)
	same(t, k.tables, tables)
	opened, err := d.Open(t.Context(), w.root, newLog)
	must(t, err)
	defer func() { must(t, opened.Close()) }()
	must(t, opened.DB.Erase(in(t.Context(), w.a), c.ID)) // as a replay does
	var n int
	must(t, admin(t, dsn).Get(&n, "SELECT count(*) FROM tickets t JOIN customers c ON c.id = t.customer WHERE more = 'x' AND title = '' AND city = ''"))
	if n != 1 {
		t.Errorf("%d rows are migrated and erased, want 1", n)
	}
}

// Without a description of the tables an erasure could not be repeated.
func TestUndescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin(t, w.owner).MustExec("DELETE FROM art32.declared")
	k := w.run(t, nil)
	d := into(t, dbtest.Postgres(t))
	_, err := k.feed(t.Context(), d)
	must(t, err)
	if _, err := d.Open(t.Context(), w.root, newLog); err == nil || !strings.Contains(err.Error(), "IntoOptions.Schema") {
		t.Errorf("%v, want what to give", err)
	}
	must(t, d.Abort(t.Context()))
}
