package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
)

const long = time.Minute // a time to live that no test outlasts

// manager is an instance: a pool of its own, as the library role.
func manager(t *testing.T, db migratetest.Database, holder string) *lease.Manager {
	t.Helper()
	return lease.New(db.Open(t, db.Library), db.Dialect, holder)
}

func acquire(t *testing.T, m *lease.Manager, ttl time.Duration) *lease.Lease {
	t.Helper()
	l, err := m.Acquire(t.Context(), "work", ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// expire sets the end of the lease back, as the database's clock would.
func expire(t *testing.T, db migratetest.Database) {
	t.Helper()
	then := "0"
	if db.Dialect == migrate.Postgres {
		then = "clock_timestamp()"
	}
	db.Exec(t, "UPDATE "+db.Table("leases")+" SET expires_at = "+then)
}

// guarded reports whether the lease's guard finds its row.
func guarded(t *testing.T, db migratetest.Database, l *lease.Lease) bool {
	t.Helper()
	query, args := l.Guard()
	var token int64
	err := db.Open(t, db.Library).QueryRowContext(t.Context(), query, args...).Scan(&token)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return err == nil
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	if err := lease.Migrations().Check(); err != nil {
		t.Error(err)
	}
}

func TestTwoHolders(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		a, b := manager(t, db, "a"), manager(t, db, "b")
		first := acquire(t, a, long)
		if !first.Valid() || !guarded(t, db, first) {
			t.Error("a fresh lease is not valid")
		}
		for _, m := range []*lease.Manager{a, b} {
			if _, err := m.Acquire(t.Context(), "work", long); !errors.Is(err, lease.ErrHeld) {
				t.Errorf("Acquire() of a held lease = %v", err)
			}
		}
		if _, err := b.Acquire(t.Context(), "other", long); err != nil {
			t.Errorf("another name: %v", err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first.Valid() || guarded(t, db, first) {
			t.Error("a released lease is valid")
		}
		if err := first.Renew(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Errorf("Renew() after Release() = %v", err)
		}
		second := acquire(t, b, long)
		if second.Token() <= first.Token() {
			t.Errorf("token %d after %d", second.Token(), first.Token())
		}
		if err := first.Release(t.Context()); err != nil || !guarded(t, db, second) {
			t.Errorf("a second Release() by the old holder: %v, new lease held: %t", err, guarded(t, db, second))
		}
	}, lease.Migrations())
}

// TestDatabaseClockJudges moves one clock at a time: the lease goes by the
// database's, and the old holder's guard and renewal fail after a takeover.
func TestDatabaseClockJudges(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		old := acquire(t, manager(t, db, "a"), long)
		expire(t, db)
		if !old.Valid() || guarded(t, db, old) {
			t.Errorf("after expiry: Valid() = %t, guarded = %t; want true, false", old.Valid(), guarded(t, db, old))
		}
		if err := old.Renew(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Errorf("Renew() of an expired lease = %v", err)
		}
		if old.Valid() {
			t.Error("a lost lease is valid")
		}
		next := acquire(t, manager(t, db, "b"), long)
		if next.Token() <= old.Token() || guarded(t, db, old) || !guarded(t, db, next) {
			t.Errorf("after takeover: tokens %d, %d", old.Token(), next.Token())
		}
		if err := next.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}, lease.Migrations())
}

func TestProcessClockDoesNotJudge(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		synctest.Test(t, func(t *testing.T) {
			l := acquire(t, manager(t, db, "a"), long)
			time.Sleep(2 * long)
			if l.Valid() {
				t.Error("a lease outlives its time in its own process")
			}
			if _, err := manager(t, db, "b").Acquire(t.Context(), "work", long); !errors.Is(err, lease.ErrHeld) {
				t.Errorf("Acquire() = %v: the clock of a process has judged", err)
			}
			if err := l.Renew(t.Context()); err != nil || !l.Valid() {
				t.Errorf("Renew() = %v, Valid() = %t", err, l.Valid())
			}
		})
	}, lease.Migrations())
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		const ttl = 300 * time.Millisecond
		old := acquire(t, manager(t, db, "a"), ttl)
		start := time.Now()
		b := manager(t, db, "b")
		for {
			l, err := b.Acquire(t.Context(), "work", long)
			if err == nil {
				if took := time.Since(start); took < ttl/2 {
					t.Errorf("taken over after %v of %v", took, ttl)
				}
				if old.Valid() || l.Token() <= old.Token() {
					t.Errorf("after takeover: old valid = %t, tokens %d, %d", old.Valid(), old.Token(), l.Token())
				}
				return
			}
			if !errors.Is(err, lease.ErrHeld) || time.Since(start) > time.Minute {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}, lease.Migrations())
}

// TestGuardHoldsOffTakeover lets a lease expire inside a guarded transaction:
// nobody may acquire it before the transaction has ended.
func TestGuardHoldsOffTakeover(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		db.Up(t, migrate.Line{Name: "app", FS: written})
		l := acquire(t, manager(t, db, "a"), 500*time.Millisecond)
		tx, err := db.Open(t, db.Library).BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := write(t.Context(), tx, l); err != nil || !ok {
			t.Fatalf("guard = %t, %v", ok, err)
		}
		b := manager(t, db, "b")
		got := make(chan error, 1)
		time.Sleep(600 * time.Millisecond)
		go func() {
			_, err := b.Acquire(t.Context(), "work", long)
			got <- err
		}()
		select {
		case err := <-got:
			t.Errorf("acquired before the guarded transaction ended: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Errorf("Acquire() after the transaction: %v", err)
		}
	}, lease.Migrations())
}

// write adds a row with the token of l and reports whether the guard holds.
func write(ctx context.Context, tx *sql.Tx, l *lease.Lease) (bool, error) {
	if _, err := tx.ExecContext(ctx, "INSERT INTO written (token) VALUES ($1)", l.Token()); err != nil {
		return false, err
	}
	query, args := l.Guard()
	var token int64
	err := tx.QueryRowContext(ctx, query, args...).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func TestAcquireRefusesBadInput(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		m := manager(t, db, "a")
		if _, err := m.Acquire(t.Context(), "", long); err == nil {
			t.Error("no name passes")
		}
		for _, ttl := range []time.Duration{-1, 0, time.Microsecond} {
			if _, err := m.Acquire(t.Context(), "work", ttl); err == nil {
				t.Errorf("a time to live of %v passes", ttl)
			}
		}
	}, lease.Migrations())
}

func TestRightsOnPostgres(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		if db.Dialect == migrate.SQLite {
			return // no roles
		}
		const query = `SELECT count(*) FROM information_schema.table_privileges
			WHERE table_schema = 'art32' AND table_name = 'leases' AND grantee `
		if n := db.Int(t, query+"= 'art32_library'"); n != 4 {
			t.Errorf("art32_library has %d rights, want 4", n)
		}
		if n := db.Int(t, query+"NOT IN ('art32_library', current_database() || '_owner')"); n != 0 {
			t.Errorf("others have %d rights, want none", n)
		}
	}, lease.Migrations())
}
