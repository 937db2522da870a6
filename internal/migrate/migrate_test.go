package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
	"github.com/google/go-cmp/cmp"
)

func line(name string, pairs ...string) migrate.Line {
	return migrate.Line{Name: name, FS: files(pairs...)}
}

func up(t *testing.T, db migratetest.Database, lines ...migrate.Line) ([]string, error) {
	t.Helper()
	done, err := migrate.Up(t.Context(), migratetest.Conn(t, db.Open(t, db.Owner)), db.Dialect, lines...)
	names := []string{}
	for _, a := range done {
		names = append(names, fmt.Sprintf("%s/%d/%s", a.Line, a.Version, a.Name))
	}
	return names, err
}

// wantError checks kind and place of an *Error.
func wantError(t *testing.T, err, kind error, name string) {
	t.Helper()
	e, ok := errors.AsType[*migrate.Error](err)
	if !ok || !errors.Is(err, kind) {
		t.Fatalf("error = %v, want an *Error around %v", err, kind)
	}
	if e.Line != "app" || e.Name != name || !strings.Contains(err.Error(), name) {
		t.Errorf("error = %v, want it to name line app and file %s", err, name)
	}
}

const one, two = "CREATE TABLE one (n integer); INSERT INTO one VALUES (1);", "CREATE TABLE two (n integer);"

func TestUp(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		app := line("app", "0001_one.sql", one, "0002_two.sql", two)
		other := line("other", "0001_three.sql", "CREATE TABLE three (n integer)")
		pending, err := migrate.Pending(t.Context(), db.Open(t, db.Library), db.Dialect, app, other)
		if err != nil || len(pending) != 3 {
			t.Fatalf("Pending() of an empty database = %v, %v", pending, err)
		}
		got, err := up(t, db, other, app)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"other/1/0001_three.sql", "app/1/0001_one.sql", "app/2/0002_two.sql"}, got); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
		if n := db.Int(t, `SELECT count(*) FROM one`); n != 1 {
			t.Errorf("table one has %d rows, want 1: not every statement ran", n)
		}
		if got, err := up(t, db, app, other); err != nil || len(got) != 0 {
			t.Errorf("second Up() = %v, %v", got, err)
		}
		pending, err = migrate.Pending(t.Context(), db.Open(t, db.Library), db.Dialect, app, other)
		if err != nil || len(pending) != 0 {
			t.Errorf("Pending() as the library = %v, %v", pending, err)
		}
	})
}

func TestFailingFileLeavesNothing(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		bad := line("app", "0001_one.sql", one, "0002_two.sql", two+"INSERT INTO nowhere VALUES (1)", "0003_x.sql", "SELECT 1")
		got, err := up(t, db, bad)
		e, ok := errors.AsType[*migrate.Error](err)
		if !ok || e.Version != 2 || e.Name != "0002_two.sql" || !strings.Contains(err.Error(), "nowhere") {
			t.Fatalf("error = %v", err)
		}
		if diff := cmp.Diff([]string{"app/1/0001_one.sql"}, got); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
		got, err = up(t, db, line("app", "0001_one.sql", one, "0002_two.sql", two))
		if diff := cmp.Diff([]string{"app/2/0002_two.sql"}, got); err != nil || diff != "" {
			t.Errorf("after repair: %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestChanged(t *testing.T) {
	t.Parallel()
	tests := map[string]migrate.Line{
		"text": line("app", "0001_one.sql", one+" ", "0002_two.sql", two),
		"name": line("app", "0001_uno.sql", one, "0002_two.sql", two),
	}
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		db.Up(t, line("app", "0001_one.sql", one))
		for name, l := range tests {
			got, err := up(t, db, line("first", "0001_x.sql", "CREATE TABLE x (n integer)"), l)
			wantError(t, err, migrate.ErrChanged, map[string]string{"text": "0001_one.sql", "name": "0001_uno.sql"}[name])
			_, err = migrate.Pending(t.Context(), db.Open(t, db.Library), db.Dialect, l)
			if !errors.Is(err, migrate.ErrChanged) || len(got) != 0 {
				t.Errorf("%s: Pending() = %v, applied %v", name, err, got)
			}
		}
	})
}

func TestRowRemoved(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		app := line("app", "0001_one.sql", one, "0002_two.sql", two)
		db.Up(t, app)
		db.Exec(t, "DELETE FROM "+db.Table("migrations")+" WHERE version = 1")
		_, err := up(t, db, app)
		wantError(t, err, migrate.ErrChanged, "0001_one.sql")
	})
}

func TestNewer(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		db.Up(t, line("app", "0001_one.sql", one, "0002_two.sql", two))
		old := line("app", "0001_one.sql", one)
		_, err := up(t, db, old)
		wantError(t, err, migrate.ErrNewer, "0002_two.sql")
		_, err = migrate.Pending(t.Context(), db.Open(t, db.Library), db.Dialect, old)
		wantError(t, err, migrate.ErrNewer, "0002_two.sql")
	})
}

func TestFileMayNotCommit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"COMMIT", "ROLLBACK", "COMMIT; BEGIN"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
				_, err := up(t, db, line("app", "0001_one.sql", one+text))
				wantError(t, err, migrate.ErrTransaction, "0001_one.sql")
				if n := db.Int(t, "SELECT count(*) FROM "+db.Table("migrations")); n != 0 {
					t.Errorf("%d files recorded, want none", n)
				}
			})
		})
	}
}

// TestInstancesAtOnce starts instances on a database without any table: each
// file must run once, and no instance may fail.
func TestInstancesAtOnce(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		app := slow(db.Dialect)
		var wg sync.WaitGroup
		var applied sync.Map
		for range 6 {
			c := migratetest.Conn(t, db.Open(t, db.Owner))
			wg.Go(func() {
				done, err := migrate.Up(t.Context(), c, db.Dialect, app)
				if err != nil {
					t.Error(err)
				}
				for _, a := range done {
					if _, twice := applied.LoadOrStore(a.Version, true); twice {
						t.Errorf("version %d applied twice", a.Version)
					}
				}
			})
		}
		wg.Wait()
		if n := db.Int(t, "SELECT count(*) FROM counted"); n != 2*slowFiles {
			t.Errorf("%d rows, want %d", n, 2*slowFiles)
		}
	})
}

func TestWaitsUntilContextEnds(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		db.Up(t, line("app", "0001_one.sql", one))
		holder := migratetest.Conn(t, db.Open(t, db.Owner))
		begin := "BEGIN; LOCK TABLE art32.migrations IN EXCLUSIVE MODE"
		if db.Dialect == migrate.SQLite {
			begin = "BEGIN IMMEDIATE"
			db.Owner = strings.Replace(db.Owner, "busy_timeout(20000)", "busy_timeout(1)", 1)
		}
		if _, err := holder.ExecContext(t.Context(), begin); err != nil {
			t.Fatal(err)
		}
		both := line("app", "0001_one.sql", one, "0002_two.sql", two)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := migrate.Up(ctx, migratetest.Conn(t, db.Open(t, db.Owner)), db.Dialect, both); err == nil {
			t.Fatal("Up() went past the lock of another instance")
		}
		if _, err := holder.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if got, err := up(t, db, both); err != nil || len(got) != 1 {
			t.Errorf("Up() after the wait = %v, %v", got, err)
		}
	})
}

func TestErrorHidesStoredValues(t *testing.T) {
	t.Parallel()
	const canary = "canary@example.org"
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		first := "CREATE TABLE p (mail text); INSERT INTO p VALUES ('" + canary + "'), ('" + canary + "');"
		texts := []string{"CREATE UNIQUE INDEX p_mail ON p (mail)"}
		if db.Dialect == migrate.Postgres {
			texts = append(texts, "ALTER TABLE p ALTER mail TYPE integer USING mail::integer",
				"DO $$ BEGIN RAISE EXCEPTION 'duplicate: %', (SELECT max(mail) FROM p); END $$")
		}
		for _, text := range texts {
			_, err := up(t, db, line("app", "0001_p.sql", first, "0002_p.sql", text))
			if err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("%s: error = %v", text, err)
			}
		}
	})
}

// TestCreationRace lets another session create the schema while Up is about to:
// PostgreSQL answers the second one with a violated unique index.
func TestCreationRace(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		if db.Dialect == migrate.SQLite {
			return // BEGIN IMMEDIATE leaves no such race
		}
		holder := migratetest.Conn(t, db.Open(t, db.Owner))
		if _, err := holder.ExecContext(t.Context(), "BEGIN; CREATE SCHEMA art32"); err != nil {
			t.Fatal(err)
		}
		c := migratetest.Conn(t, db.Open(t, db.Owner))
		ended := make(chan error, 1)
		go func() {
			_, err := migrate.Up(t.Context(), c, db.Dialect, line("app", "0001_one.sql", one))
			ended <- err
		}()
		for db.Int(t, "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.datname = current_database() JOIN pg_stat_activity a ON a.pid = l.pid AND a.datid = d.oid WHERE NOT granted") == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := holder.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
