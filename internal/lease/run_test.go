package lease_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
)

// written is a table to which fenced work writes, in order.
var written = fstest.MapFS{
	"postgres/0001_written.sql": {Data: []byte(`CREATE TABLE written (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token bigint);
		GRANT USAGE ON SCHEMA public TO art32_library; GRANT ALL ON written TO art32_library`)},
	"sqlite/0001_written.sql": {Data: []byte(`CREATE TABLE written (n INTEGER PRIMARY KEY AUTOINCREMENT, token INTEGER)`)},
}

func TestRunRenews(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		const ttl = 900 * time.Millisecond
		other := manager(t, db, "b")
		ended := errors.New("the end")
		err := lease.Run(t.Context(), manager(t, db, "a"), "work", ttl, func(ctx context.Context, l *lease.Lease) error {
			for start := time.Now(); time.Since(start) < 2*ttl; time.Sleep(50 * time.Millisecond) {
				if _, err := other.Acquire(ctx, "work", ttl); !errors.Is(err, lease.ErrHeld) || !l.Valid() {
					return fmt.Errorf("after %v: %w", time.Since(start), err)
				}
			}
			return ended
		})
		if err != ended { //nolint:errorlint // must come back as it is
			t.Errorf("Run() = %v", err)
		}
		acquire(t, other, long) // released
	}, lease.Migrations())
}

func TestRunStopsWhenTakenOver(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		err := lease.Run(t.Context(), manager(t, db, "a"), "work", 600*time.Millisecond, func(ctx context.Context, _ *lease.Lease) error {
			expire(t, db)
			acquire(t, manager(t, db, "b"), long)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Second):
				return errors.New("not stopped")
			}
		})
		if !errors.Is(err, lease.ErrLost) || !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v, want ErrLost beside the error of the work", err)
		}
	}, lease.Migrations())
}

// TestRunStopsWhenRenewalHangs locks the row: the holder must stop by its own
// clock, without an answer of the database.
func TestRunStopsWhenRenewalHangs(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		const ttl = 600 * time.Millisecond
		locker := migratetest.Conn(t, db.Open(t, db.Admin))
		begin := "BEGIN; SELECT 1 FROM art32.leases FOR UPDATE"
		if db.Dialect == migrate.SQLite {
			begin = "BEGIN IMMEDIATE"
		}
		err := lease.Run(t.Context(), manager(t, db, "a"), "work", ttl, func(ctx context.Context, l *lease.Lease) error {
			if _, err := locker.ExecContext(ctx, begin); err != nil {
				return err
			}
			defer func() {
				if _, err := locker.ExecContext(t.Context(), "ROLLBACK"); err != nil {
					t.Error(err)
				}
			}()
			start := time.Now()
			<-ctx.Done()
			if took := time.Since(start); took > 2*ttl || l.Valid() {
				t.Errorf("stopped after %v, lease valid = %t", took, l.Valid())
			}
			return context.Cause(ctx)
		})
		if !errors.Is(err, lease.ErrLost) {
			t.Errorf("Run() = %v", err)
		}
	}, lease.Migrations())
}

func TestRunEndsWithContext(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		held := acquire(t, manager(t, db, "a"), long)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		inside := func(context.Context, *lease.Lease) error { return errors.New("inside") }
		if err := lease.Run(ctx, manager(t, db, "b"), "work", long, inside); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run() while another holds = %v", err)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		err := lease.Run(ctx, manager(t, db, "b"), "work", long, func(ctx context.Context, _ *lease.Lease) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, lease.ErrLost) {
			t.Errorf("Run() = %v", err)
		}
		acquire(t, manager(t, db, "c"), long) // released although ctx has ended
	}, lease.Migrations())
}

func TestNeverTwoInside(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		var inside, entries atomic.Int32
		var wg sync.WaitGroup
		for i := range 3 {
			m := manager(t, db, strconv.Itoa(i))
			wg.Go(func() {
				for range 5 {
					if err := lease.Run(t.Context(), m, "work", 300*time.Millisecond, func(context.Context, *lease.Lease) error {
						if inside.Add(1) > 1 {
							t.Error("two inside")
						}
						time.Sleep(time.Millisecond)
						inside.Add(-1)
						entries.Add(1)
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := entries.Load(); n != 15 {
			t.Errorf("%d entries, want 15", n)
		}
	}, lease.Migrations())
}

// TestFencedWrites lets holders overstay leases of some milliseconds: what they
// commit must carry tokens that never fall.
func TestFencedWrites(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		var committed, refused atomic.Int32
		var wg sync.WaitGroup
		for i := range 3 {
			pool := db.Open(t, db.Library)
			m := lease.New(pool, db.Dialect, strconv.Itoa(i))
			wg.Go(func() {
				for end := time.Now().Add(time.Minute); time.Now().Before(end) && (committed.Load() < 30 || refused.Load() < 10); {
					overstay(t, pool, m, i, &committed, &refused)
				}
			})
		}
		wg.Wait()
		if committed.Load() < 30 || refused.Load() < 10 {
			t.Errorf("%d writes committed, %d refused: nothing was tested", committed.Load(), refused.Load())
		}
		if n := db.Int(t, "SELECT count(*) FROM written a JOIN written b ON a.n < b.n AND a.token > b.token"); n != 0 {
			t.Errorf("%d pairs of writes in the wrong order", n)
		}
	}, lease.Migrations(), migrate.Line{Name: "app", FS: written})
}

// overstay acquires a lease and writes under it until it is refused.
func overstay(t *testing.T, pool *sql.DB, m *lease.Manager, i int, committed, refused *atomic.Int32) {
	l, err := m.Acquire(t.Context(), "work", 15*time.Millisecond)
	if errors.Is(err, lease.ErrHeld) {
		time.Sleep(time.Millisecond)
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	for ok := true; ok; time.Sleep(time.Duration(1+i) * time.Millisecond) {
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		if ok, err = write(t.Context(), tx, l); err != nil {
			t.Error(err)
		}
		if !ok {
			refused.Add(1)
			_ = tx.Rollback()
			return
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		committed.Add(1)
	}
}

// TestProcessChild is the process of the tests below: it runs under the lease
// some times, and inside holds a file that must not be there yet. With the word
// "stay" it tells its token and never leaves.
func TestProcessChild(t *testing.T) {
	db, d, args, ok := migratetest.InChild(t)
	if !ok {
		return
	}
	m := lease.New(db, d, strconv.Itoa(os.Getpid()))
	for range 5 {
		if err := lease.Run(t.Context(), m, "work", 600*time.Millisecond, func(_ context.Context, l *lease.Lease) error {
			if args[0] == "stay" {
				fmt.Println("token", l.Token())
				select {}
			}
			f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			time.Sleep(2 * time.Millisecond)
			return errors.Join(f.Close(), os.Remove(args[0]))
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNeverTwoProcessesInside(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		inside := filepath.Join(t.TempDir(), "inside")
		var wg sync.WaitGroup
		for range 2 {
			cmd := db.Child(t, "TestProcessChild", db.Library, inside)
			wg.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		if n := db.Int(t, "SELECT token FROM "+db.Table("leases")); n != 10 {
			t.Errorf("token %d after 10 entries", n)
		}
	}, lease.Migrations())
}

func TestTakeoverAfterKill(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		cmd := db.Child(t, "TestProcessChild", db.Library, "stay")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var token int64
		if _, err := fmt.Fscanf(bufio.NewReader(out), "token %d\n", &token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // beyond the time to live: it was renewed
		m := manager(t, db, "next")
		if _, err := m.Acquire(t.Context(), "work", long); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("Acquire() beside a living holder = %v", err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		killed := time.Now()
		if err := lease.Run(t.Context(), m, "work", 600*time.Millisecond, func(_ context.Context, l *lease.Lease) error {
			t.Logf("takeover %v after the kill", time.Since(killed))
			if l.Token() <= token {
				t.Errorf("token %d after %d", l.Token(), token)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}, lease.Migrations())
}
