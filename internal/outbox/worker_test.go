package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
	"github.com/art32/art32/internal/outbox"
)

// drain runs w until nothing is pending.
func drain(t *testing.T, w outbox.Worker, deliver func(context.Context, outbox.Message) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx, deliver); !errors.Is(err, context.Canceled) {
			t.Errorf("Run() = %v", err)
		}
	})
	for ctx.Err() == nil {
		s, err := w.Status(ctx)
		if err != nil {
			t.Error(err)
		}
		if err != nil || s.Pending == 0 {
			cancel()
		}
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
}

// TestInstancesInParallel lets workers compete that share a lease, and others
// whose kinds overlap so that none does.
func TestInstancesInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		ids := append(enqueue(t, db, "a", 60), enqueue(t, db, "b", 60)...)
		var got receiver
		var wg sync.WaitGroup
		for _, kinds := range [][]string{nil, nil, {"a"}, {"b", "a"}} {
			w := worker(t, db)
			w.Kinds, w.Batch = kinds, 7
			wg.Go(func() { drain(t, w, got.deliver) })
		}
		wg.Wait()
		got.want(t, ids, 1)
	})
}

func TestPoisonBlocksNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		bad, hang, good := enqueue(t, db, "bad", 3), enqueue(t, db, "hang", 1), enqueue(t, db, "good", 10)
		w := worker(t, db)
		w.Parallel, w.Batch, w.Timeout = 2, 2, 100*time.Millisecond
		var got receiver
		runDue(t, w, func(ctx context.Context, m outbox.Message) error {
			switch m.Kind {
			case "bad":
				return errors.New("canary@example.org said no")
			case "hang":
				<-ctx.Done()
				return ctx.Err()
			}
			return got.deliver(ctx, m)
		}, 10)
		got.want(t, good, 1)
		for _, id := range bad {
			wantStored(t, db, id, row{Attempts: 1, Code: "error"})
		}
		wantStored(t, db, hang[0], row{Attempts: 1, Code: "timeout"})
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want row
	}{
		{"delivered", nil, row{Attempts: 1, Delivered: true}},
		{"failed", errors.New("x"), row{Attempts: 1, Code: "error"}},
		{"with a code", &outbox.DeliveryError{Code: "http_503"}, row{Attempts: 1, Code: "http_503"}},
		{"code that may be personal", &outbox.DeliveryError{Code: "no mailbox of canary@example.org"}, row{Attempts: 1, Code: "invalid_code"}},
		{"no code", &outbox.DeliveryError{}, row{Attempts: 1, Code: "invalid_code"}},
		{"permanent", &outbox.DeliveryError{Code: "http_410", Permanent: true}, row{Attempts: 1, Code: "http_410", Dead: true}},
		{"permanent inside another", errors.Join(errors.New("x"), &outbox.DeliveryError{Code: "http_410", Permanent: true}), row{Attempts: 1, Code: "http_410", Dead: true}},
	}
	each(t, func(t *testing.T, db migratetest.Database) {
		for _, tt := range tests {
			id := enqueue(t, db, "a", 1)[0]
			if _, err := worker(t, db).RunDue(t.Context(), func(context.Context, outbox.Message) error { return tt.err }); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			wantStored(t, db, id, tt.want)
		}
	})
}

func TestDeliveryErrorHidesItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("canary@example.org")
	err := &outbox.DeliveryError{Code: "canary@example.org", Err: cause}
	if strings.Contains(err.Error(), "canary") || !errors.Is(err, cause) {
		t.Errorf("error = %v", err)
	}
}

// TestSchedule follows a message that never arrives through its default
// schedule, on a clock that the test moves.
func TestSchedule(t *testing.T) {
	t.Parallel()
	migratetest.Each(t, func(t *testing.T, db migratetest.Database) {
		if db.Dialect == migrate.Postgres {
			return // see TestRetryTimes
		}
		synctest.Test(t, func(t *testing.T) {
			id := enqueue(t, db, "a", 1)[0]
			ctx, cancel := context.WithTimeout(t.Context(), 72*time.Hour)
			defer cancel()
			var at []time.Time
			w := worker(t, db)
			w.Poll, w.TTL = 10*time.Second, time.Hour
			w.Dead = func(context.Context, *sql.Tx, outbox.Message) error { cancel(); return nil }
			start := time.Now()
			if err := w.Run(ctx, func(context.Context, outbox.Message) error {
				at = append(at, time.Now())
				return errors.New("no")
			}); !errors.Is(err, context.Canceled) {
				t.Errorf("Run() = %v", err)
			}
			waits := []time.Duration{0, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute}
			for len(waits) < 29 {
				waits = append(waits, time.Hour)
			}
			if len(at) != len(waits) {
				t.Fatalf("%d attempts, want %d", len(at), len(waits))
			}
			last := start
			for i, w := range waits {
				if d := at[i].Sub(last); d < w || d > max(w, time.Minute)+w/10+20*time.Second {
					t.Errorf("attempt %d after %v, want %v to a tenth more", i+1, d, w)
				}
				last = at[i]
			}
			wantStored(t, db, id, row{Attempts: 29, Code: "error", Dead: true})
		})
	}, lease.Migrations(), outbox.Migrations())
}

// TestRetryTimes reads the next attempt's time from the table.
func TestRetryTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want time.Duration
	}{
		{errors.New("x"), 10 * time.Minute},
		{&outbox.DeliveryError{Code: "x", RetryAfter: time.Hour}, time.Hour},
		{&outbox.DeliveryError{Code: "x", RetryAfter: time.Second}, 10 * time.Minute},
		{&outbox.DeliveryError{Code: "x", RetryAfter: 1000 * time.Hour}, 24 * time.Hour},
	}
	each(t, func(t *testing.T, db migratetest.Database) {
		for _, tt := range tests {
			id := enqueue(t, db, "a", 1)[0]
			w := worker(t, db)
			w.Retries = []time.Duration{10 * time.Minute}
			runDue(t, w, func(context.Context, outbox.Message) error { return tt.err }, 0)
			if n := dueWithin(t, db, id, tt.want-5*time.Second); n != 0 {
				t.Errorf("%v: due before %v", tt.err, tt.want)
			}
			if n := dueWithin(t, db, id, tt.want+tt.want/10+5*time.Second); n != 1 {
				t.Errorf("%v: not due after %v", tt.err, tt.want)
			}
		}
	})
}

func dueWithin(t *testing.T, db migratetest.Database, id uuid.UUID, d time.Duration) int {
	t.Helper()
	var end any = time.Now().Add(d)
	if db.Dialect == migrate.SQLite {
		end = time.Now().Add(d).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	return db.Int(t, "SELECT count(*) FROM "+db.Table("outbox")+" WHERE id = $1 AND due_at <= $2", id.String(), end)
}

// TestDead runs a message out of attempts: the hook writes in the transaction
// of the mark, and while it fails nothing is marked.
func TestDead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		id, other := enqueue(t, db, "a", 1)[0], uuid.New()
		w := worker(t, db)
		w.Retries, w.Timeout = []time.Duration{}, time.Millisecond
		fail := errors.New("no task written")
		w.Dead = func(ctx context.Context, tx *sql.Tx, m outbox.Message) error {
			query, args := outbox.Enqueue(db.Dialect, outbox.Message{ID: other, Tenant: m.Tenant, Kind: "task", Due: time.Now().Add(time.Hour)})
			_, err := tx.ExecContext(ctx, query, args...)
			return errors.Join(err, fail)
		}
		refuse := func(context.Context, outbox.Message) error { return errors.New("no") }
		if _, err := w.RunDue(t.Context(), refuse); !errors.Is(err, fail) {
			t.Errorf("RunDue() = %v", err)
		}
		wantStored(t, db, id, row{Attempts: 1})
		if n := db.Int(t, "SELECT count(*) FROM "+db.Table("outbox")); n != 1 {
			t.Errorf("%d messages: the hook's work outlives its rollback", n)
		}
		fail = nil
		time.Sleep(10 * time.Millisecond)
		runDue(t, w, refuse, 0)
		wantStored(t, db, id, row{Attempts: 1, Code: "interrupted", Dead: true})
		wantStored(t, db, other, row{})
		runDue(t, w, refuse, 0)
	})
}

func TestContextEndsDuringDelivery(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		for _, arrived := range []bool{false, true} {
			id := enqueue(t, db, "a", 1)[0]
			ctx, cancel := context.WithCancel(t.Context())
			_, err := worker(t, db).RunDue(ctx, func(ctx context.Context, _ outbox.Message) error {
				cancel()
				<-ctx.Done()
				if arrived {
					return nil
				}
				return ctx.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("RunDue() = %v", err)
			}
			if arrived {
				wantStored(t, db, id, row{Attempts: 1, Delivered: true})
				continue
			}
			wantStored(t, db, id, row{}) // taken back
			var got receiver
			runDue(t, worker(t, db), got.deliver, 1)
		}
	})
}

func TestHeldByAnother(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		enqueue(t, db, "a", 1)
		var got receiver
		runDue(t, worker(t, db), func(ctx context.Context, m outbox.Message) error {
			if _, err := worker(t, db).RunDue(ctx, got.deliver); !errors.Is(err, lease.ErrHeld) {
				t.Errorf("RunDue() beside another = %v", err)
			}
			return got.deliver(ctx, m)
		}, 1)
	})
}

// TestLeaseLost takes the lease away during the first delivery: what has
// arrived is marked, nothing more is begun.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		ids := enqueue(t, db, "a", 3)
		w := worker(t, db)
		w.Parallel = 1
		var calls atomic.Int32
		var first uuid.UUID
		n, err := w.RunDue(t.Context(), func(_ context.Context, m outbox.Message) error {
			calls.Add(1)
			first = m.ID
			db.Exec(t, "UPDATE "+db.Table("leases")+" SET token = token + 1")
			return nil
		})
		if !errors.Is(err, lease.ErrLost) || n != 1 || calls.Load() != 1 {
			t.Errorf("RunDue() = %d, %v after %d deliveries; want 1, ErrLost, 1", n, err, calls.Load())
		}
		for _, id := range ids {
			want := row{}
			if id == first {
				want = row{Attempts: 1, Delivered: true}
			}
			wantStored(t, db, id, want)
		}
	})
}
