package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/migrate/migratetest"
	"github.com/art32/art32/internal/outbox"
)

var (
	tenantA = uuid.MustParse("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
	tenantB = uuid.MustParse("bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
)

func each(t *testing.T, f func(t *testing.T, db migratetest.Database)) {
	t.Helper()
	migratetest.Each(t, f, lease.Migrations(), outbox.Migrations())
}

// worker is an instance: a pool of its own, as the library role.
func worker(t *testing.T, db migratetest.Database) outbox.Worker {
	t.Helper()
	return outbox.Worker{DB: db.Open(t, db.Library), Dialect: db.Dialect, Poll: 10 * time.Millisecond}
}

// asTenant runs fn in a transaction of a tenant, as the library does.
func asTenant(t *testing.T, db migratetest.Database, tenant uuid.UUID, fn func(*sql.Tx) error) error {
	t.Helper()
	tx, err := db.Open(t, db.Library).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if db.Dialect == migrate.Postgres {
		if _, err := tx.ExecContext(t.Context(), "SELECT set_config('art32.tenant', $1, true)", tenant.String()); err != nil {
			t.Fatal(err)
		}
	}
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func put(t *testing.T, tx *sql.Tx, d migrate.Dialect, m outbox.Message) error {
	t.Helper()
	query, args := outbox.Enqueue(d, m)
	_, err := tx.ExecContext(t.Context(), query, args...)
	return err
}

// enqueue commits n messages of a kind and returns their ids.
func enqueue(t *testing.T, db migratetest.Database, kind string, n int) (ids []uuid.UUID) {
	t.Helper()
	if err := asTenant(t, db, tenantA, func(tx *sql.Tx) error {
		for i := range n {
			m := outbox.Message{ID: uuid.New(), Tenant: tenantA, Kind: kind, Payload: fmt.Append(nil, i)}
			ids = append(ids, m.ID)
			if err := put(t, tx, db.Dialect, m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// row is what the table holds of a message.
type row struct {
	Attempts        int
	Code            string
	Delivered, Dead bool
}

func stored(t *testing.T, db migratetest.Database, id uuid.UUID) (r row) {
	t.Helper()
	if err := db.Open(t, db.Admin).QueryRowContext(t.Context(), "SELECT attempts, last_error, delivered_at IS NOT NULL, dead_at IS NOT NULL FROM "+
		db.Table("outbox")+" WHERE id = $1", id.String()).Scan(&r.Attempts, &r.Code, &r.Delivered, &r.Dead); err != nil {
		t.Fatal(err)
	}
	return r
}

func wantStored(t *testing.T, db migratetest.Database, id uuid.UUID, want row) {
	t.Helper()
	if diff := cmp.Diff(want, stored(t, db, id)); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// receiver counts deliveries by id. It is safe for concurrent use.
type receiver struct {
	mu  sync.Mutex
	got map[uuid.UUID]int
}

func (r *receiver) deliver(_ context.Context, m outbox.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = map[uuid.UUID]int{}
	}
	r.got[m.ID]++
	return nil
}

func (r *receiver) want(t *testing.T, ids []uuid.UUID, times int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if n := r.got[id]; n != times {
			t.Errorf("message %s delivered %d times, want %d", id, n, times)
		}
	}
}

func runDue(t *testing.T, w outbox.Worker, deliver func(context.Context, outbox.Message) error, want int) {
	t.Helper()
	n, err := w.RunDue(t.Context(), deliver)
	if err != nil || n != want {
		t.Errorf("RunDue() = %d, %v; want %d", n, err, want)
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	if err := outbox.Migrations().Check(); err != nil {
		t.Error(err)
	}
}

func TestMessageArrivesAsItWas(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		created := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
		want := []outbox.Message{
			{ID: uuid.New(), Tenant: tenantA, Kind: "a", Payload: []byte("\x00\xffü'"), Created: created, Due: created, Attempt: 1},
			{ID: uuid.New(), Tenant: tenantA, Kind: "b", Created: created, Due: created.Add(time.Minute), Attempt: 1},
		}
		for _, m := range want {
			if err := asTenant(t, db, tenantA, func(tx *sql.Tx) error { return put(t, tx, db.Dialect, m) }); err != nil {
				t.Fatal(err)
			}
		}
		var got []outbox.Message
		w := worker(t, db)
		w.Parallel = 1
		runDue(t, w, func(_ context.Context, m outbox.Message) error {
			got = append(got, m)
			return nil
		}, 2)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

func TestEnqueueIsPartOfItsTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		refused := errors.New("refused")
		if err := asTenant(t, db, tenantA, func(tx *sql.Tx) error {
			return errors.Join(put(t, tx, db.Dialect, outbox.Message{Tenant: tenantA}), refused)
		}); !errors.Is(err, refused) || db.Int(t, "SELECT count(*) FROM "+db.Table("outbox")) != 0 {
			t.Errorf("a message outlives its rollback: %v", err)
		}
		once := outbox.Message{ID: uuid.New(), Tenant: tenantA}
		if err := asTenant(t, db, tenantA, func(tx *sql.Tx) error {
			return errors.Join(put(t, tx, db.Dialect, once), put(t, tx, db.Dialect, once),
				put(t, tx, db.Dialect, outbox.Message{Tenant: tenantA}), put(t, tx, db.Dialect, outbox.Message{Tenant: tenantA}))
		}); err != nil {
			t.Fatal(err)
		}
		once.Tenant = tenantB
		if err := asTenant(t, db, tenantB, func(tx *sql.Tx) error { return put(t, tx, db.Dialect, once) }); err != nil {
			t.Fatal(err)
		}
		var got receiver
		runDue(t, worker(t, db), got.deliver, 4) // one twice, two without an id, one of another tenant
		runDue(t, worker(t, db), got.deliver, 0)
		if len(got.got) != 3 || got.got[once.ID] != 2 {
			t.Errorf("delivered %v", got.got)
		}
	})
}

func TestNotBeforeDue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		if err := asTenant(t, db, tenantA, func(tx *sql.Tx) error {
			return put(t, tx, db.Dialect, outbox.Message{Tenant: tenantA, Due: time.Now().Add(time.Hour)})
		}); err != nil {
			t.Fatal(err)
		}
		var got receiver
		runDue(t, worker(t, db), got.deliver, 0)
	})
}

func TestKinds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		a, b, c := enqueue(t, db, "a", 2), enqueue(t, db, "b", 2), enqueue(t, db, "c", 2)
		w := worker(t, db)
		w.Kinds = []string{"c", "a"}
		var got receiver
		runDue(t, w, got.deliver, 4)
		got.want(t, append(a, c...), 1)
		got.want(t, b, 0)
	})
}

func TestPurgeAndStatus(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		w := worker(t, db)
		if s, err := w.Status(t.Context()); err != nil || s != (outbox.Status{}) {
			t.Errorf("Status() of an empty table = %+v, %v", s, err)
		}
		before := time.Now().Add(-time.Second)
		enqueue(t, db, "ok", 2)
		var got receiver
		runDue(t, w, got.deliver, 2)
		enqueue(t, db, "bad", 1)
		runDue(t, w, func(context.Context, outbox.Message) error {
			return &outbox.DeliveryError{Code: "gone", Permanent: true}
		}, 0)
		enqueue(t, db, "new", 3)
		s, err := w.Status(t.Context())
		if err != nil || s.Pending != 3 || s.Dead != 1 || s.Oldest.Before(before) || s.Oldest.After(time.Now()) {
			t.Errorf("Status() = %+v, %v", s, err)
		}
		if n, err := w.Purge(t.Context(), before); err != nil || n != 0 {
			t.Errorf("Purge() of nothing = %d, %v", n, err)
		}
		if n, err := w.Purge(t.Context(), time.Now().Add(time.Second)); err != nil || n != 2 {
			t.Errorf("Purge() = %d, %v; want the 2 delivered", n, err)
		}
		if n := db.Int(t, "SELECT count(*) FROM "+db.Table("outbox")); n != 4 {
			t.Errorf("%d messages left, want 4", n)
		}
	})
}

func TestWorkerRefusesMissingFields(t *testing.T) {
	t.Parallel()
	deliver := func(context.Context, outbox.Message) error { return nil }
	for _, w := range []outbox.Worker{{}, {DB: new(sql.DB)}, {Dialect: migrate.SQLite}, {DB: new(sql.DB), Dialect: "mysql"}} {
		if err := w.Run(t.Context(), deliver); err == nil {
			t.Errorf("Run() of %+v passes", w)
		}
	}
	if _, err := (outbox.Worker{DB: new(sql.DB), Dialect: migrate.SQLite}).RunDue(t.Context(), nil); err == nil {
		t.Error("RunDue(nil) passes")
	}
}

// TestRowSecurity shows what the library may see and do in each setting.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db migratetest.Database) {
		if db.Dialect == migrate.SQLite {
			return // a file per tenant
		}
		id := enqueue(t, db, "a", 1)[0]
		exec := func(tenant, worker, query string) (int64, error) {
			tx, err := db.Open(t, db.Library).BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback() }()
			if _, err := tx.ExecContext(t.Context(), "SELECT set_config('art32.tenant', $1, true), set_config('art32.worker', $2, true)", tenant, worker); err != nil {
				t.Fatal(err)
			}
			res, err := tx.ExecContext(t.Context(), query)
			if err != nil {
				return 0, err
			}
			return res.RowsAffected()
		}
		a, b := tenantA.String(), tenantB.String()
		for _, tt := range []struct {
			tenant, worker, query string
			want                  int64
		}{
			{"", "", "SELECT * FROM art32.outbox", 0},
			{a, "", "SELECT * FROM art32.outbox", 1},
			{b, "", "SELECT * FROM art32.outbox", 0},
			{b, "", "UPDATE art32.outbox SET kind = 'x'", 0},
			{b, "", "DELETE FROM art32.outbox", 0},
			{"", "other", "SELECT * FROM art32.outbox", 0},
			{"", "outbox", "SELECT * FROM art32.outbox", 1},
			{"", "outbox", "UPDATE art32.outbox SET kind = 'x'", 0},
			{"", "outbox", "DELETE FROM art32.outbox", 0}, // not delivered yet
		} {
			if n, err := exec(tt.tenant, tt.worker, tt.query); err != nil || n != tt.want {
				t.Errorf("tenant %q, worker %q: %s: %d rows, %v; want %d", tt.tenant, tt.worker, tt.query, n, err, tt.want)
			}
		}
		for _, tenant := range []string{"", b} {
			insert := "INSERT INTO art32.outbox (tenant_id, id, kind, payload, created_at, due_at) VALUES ('" + a + "', gen_random_uuid(), '', '', now(), now())"
			if _, err := exec(tenant, "outbox", insert); err == nil {
				t.Errorf("a message of A was written in the setting of %q", tenant)
			}
		}
		if n := db.Int(t, "SELECT count(*) FROM pg_class WHERE oid = 'art32.outbox'::regclass AND relrowsecurity AND relforcerowsecurity"); n != 1 {
			t.Error("row security is not forced")
		}
		wantStored(t, db, id, row{})
	})
}
