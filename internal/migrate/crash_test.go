package migrate_test

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
)

const slowFiles = 12

// slow is a line whose files take about 20 ms each between two inserts.
func slow(d migrate.Dialect) migrate.Line {
	wait := "SELECT pg_sleep(0.02);"
	if d == migrate.SQLite {
		wait = "CREATE TABLE w AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 40000) SELECT count(*) FROM c; DROP TABLE w;"
	}
	fsys := fstest.MapFS{}
	for i := 1; i <= slowFiles; i++ {
		text := fmt.Sprintf("INSERT INTO counted VALUES (%d); %s INSERT INTO counted VALUES (%d);", i, wait, i)
		if i == 1 {
			text = "CREATE TABLE counted (n integer);" + text
		}
		fsys[fmt.Sprintf("%04d_f.sql", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return migrate.Line{Name: "app", FS: fsys}
}

// TestKilledUpChild is the process that TestKilledUp kills.
func TestKilledUpChild(t *testing.T) {
	db, d, _, ok := migratetest.InChild(t)
	if !ok {
		return
	}
	if _, err := migrate.Up(t.Context(), migratetest.Conn(t, db), d, slow(d)); err != nil {
		t.Fatal(err)
	}
}

// TestKilledUp kills migrating processes at moving moments until one comes
// through: no file may have run by halves or twice.
func TestKilledUp(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		kills := 0
		for wait := 40 * time.Millisecond; ; wait += wait / 3 {
			cmd := db.Child(t, "TestKilledUpChild", db.Owner)
			if killedAfter(t, cmd, wait) {
				kills++
				whole(t, db)
				continue
			}
			break
		}
		t.Logf("%d processes killed", kills)
		if kills < 2 {
			t.Errorf("%d processes killed, want at least 2", kills)
		}
		if n := db.Int(t, "SELECT count(*) FROM counted"); n != 2*slowFiles {
			t.Errorf("%d rows, want %d", n, 2*slowFiles)
		}
	})
}

// whole checks that exactly the recorded files have left their two rows. The
// server may take a moment to see that the client is gone, and commit.
func whole(t *testing.T, db migratetest.Database) {
	t.Helper()
	pool := db.Open(t, db.Admin)
	found := "SELECT count(*) FROM sqlite_schema WHERE name IN ('counted', 'art32_migrations')"
	if db.Dialect == migrate.Postgres {
		found = "SELECT count(*) FROM pg_class WHERE relname IN ('counted', 'migrations') AND relkind = 'r'"
	}
	var tables, rows, recorded int
	if err := pool.QueryRowContext(t.Context(), found).Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables < 2 {
		return
	}
	query := "SELECT (SELECT count(*) FROM counted), (SELECT count(*) FROM " + db.Table("migrations") + " WHERE line = 'app')"
	if err := pool.QueryRowContext(t.Context(), query).Scan(&rows, &recorded); err != nil {
		t.Fatal(err)
	}
	if rows != 2*recorded {
		t.Errorf("%d rows of %d recorded files: a file was applied by halves", rows, recorded)
	}
}

// killedAfter reports whether the process was still running after d and died
// of SIGKILL.
func killedAfter(t *testing.T, cmd *exec.Cmd, d time.Duration) bool {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if err == nil {
		return false
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	status, isUnix := exit.Sys().(syscall.WaitStatus)
	if !ok || !isUnix || status.Signal() != syscall.SIGKILL {
		t.Fatalf("child ended by itself: %v", err)
	}
	return true
}
