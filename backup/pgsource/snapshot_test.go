package pgsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// A backup is of one moment, whatever is written beside it, and each row's key
// is in the keystore.
func TestSnapshotBesideAWriter(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			err := w.db.In(in(ctx, w.a), func(ctx context.Context, tx *tenancy.Tx) error {
				c := &customer{Email: field.New(fmt.Sprintf("person%d@example.org", n)), City: "Köln", Plan: "basic"}
				if err := customers.Insert(ctx, tx, c); err != nil {
					return err
				}
				return tickets.Insert(ctx, tx, &ticket{Customer: c.ID, Title: "one"})
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("write: %v", err)
			}
			if n == 20 {
				close(started)
			}
		}
	})
	<-started
	snap, err := w.source(t, nil).Snapshot(t.Context())
	must(t, err)
	defer snap.Close()
	var before, after int
	db := admin(t, w.owner)
	must(t, db.Get(&before, "SELECT count(*) FROM customers"))
	must(t, tickets.Insert(in(t.Context(), w.b), w.db, &ticket{Customer: w.customer(t, w.b, "late@example.org").ID, Title: "late"}))
	k := take(t, snap)
	stop()
	wg.Wait()
	must(t, db.Get(&after, "SELECT count(*) FROM customers"))

	rows := len(k.rows(w.a, "public.customers"))
	if rows != len(k.rows(w.a, "public.tickets")) || rows < 20 || rows > before || after <= before {
		t.Errorf("%d customers and %d tickets of %d, later %d: not of one moment", rows, len(k.rows(w.a, "public.tickets")), before, after)
	}
	if n := len(k.rows(w.b, "public.customers")); n != 0 {
		t.Errorf("%d rows that came after", n)
	}
	r := w.restored(t, k)
	if n := len(emails(t, r, w.a)); n != rows {
		t.Errorf("%d rows open, want %d", n, rows)
	}
	if p := snap.Position(); !strings.HasPrefix(p, "wal ") {
		t.Errorf("position %q", p)
	}
}

// An emptied table looks empty to older transactions; a snapshot keeps tables
// from being emptied.
func TestTruncateWaits(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	snap, err := w.source(t, nil).Snapshot(t.Context())
	must(t, err)
	db := admin(t, w.owner)
	for _, table := range []string{"tickets", "measurements_2025", "art32.events", "billing.invoices"} {
		if _, err := db.Exec("SET lock_timeout = 100; TRUNCATE " + table); err == nil || !strings.Contains(err.Error(), "55P03") {
			t.Errorf("%s was emptied under the snapshot: %v", table, err)
		}
	}
	k := take(t, snap)
	if n := len(k.rows(w.a, "public.tickets")); n != 1 {
		t.Errorf("%d tickets, want 1", n)
	}
	must(t, snap.Close())
	db.MustExec("TRUNCATE tickets")
}

// slow is a sink that fails at a file, or counts.
type slow struct {
	taken

	fail  string
	files map[string]int
	most  int64
	mu    sync.Mutex
}

var errFull = errors.New("no space left")

func (s *slow) File(_ context.Context, _ tenancy.ID, name string, size int64, r io.Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	folder, _, _ := strings.Cut(strings.TrimPrefix(name, "data/"), "/")
	s.files[folder]++
	s.most = max(s.most, size)
	if s.fail != "" && strings.Contains(name, s.fail) {
		return errFull
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// The error of a target that is full comes back as it is.
func TestSinkFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.customer(t, w.a, "anton@example.org")
	for _, name := range []string{"layout.json", "data/public.customers"} {
		snap, err := w.source(t, nil).Snapshot(t.Context())
		must(t, err)
		s := &slow{fail: name, files: make(map[string]int), taken: taken{tables: make(map[tenancy.ID][]backup.Table)}}
		if err := snap.Write(t.Context(), s); !errors.Is(err, errFull) {
			t.Errorf("%s: %v, want the sink's error", name, err)
		}
		must(t, snap.Close())
	}
	ctx, cancel := context.WithCancel(t.Context())
	snap, err := w.source(t, nil).Snapshot(ctx)
	must(t, err)
	cancel()
	if err := snap.Write(ctx, &slow{files: make(map[string]int)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	must(t, snap.Close())
}

// Many tenants cost one file each and no more memory than one.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := admin(t, w.owner)
	const n = 500
	db.MustExec(`INSERT INTO art32.tenants SELECT gen_random_uuid(), 'T', now() FROM generate_series(1, $1)`, n)
	db.MustExec(`INSERT INTO art32_keys.keys SELECT id, 'tenant', 1, 'erased', NULL, 0, 0 FROM art32.tenants ON CONFLICT DO NOTHING`)
	db.MustExec(`INSERT INTO billing.invoices SELECT gen_random_uuid(), id FROM generate_series(1, 20), art32.tenants WHERE name = 'T'`)
	snap, err := w.source(t, &pgsource.Options{Migrations: appFiles(), Lines: lines, PartSize: 512}).Snapshot(t.Context())
	must(t, err)
	defer snap.Close()
	s := &slow{files: make(map[string]int), taken: taken{tables: make(map[tenancy.ID][]backup.Table)}}
	must(t, snap.Write(t.Context(), s))
	if len(s.tables) < n || len(snap.Tenants()) != n+2 {
		t.Errorf("%d parts, %d tenants", len(s.tables), len(snap.Tenants()))
	}
	if got := s.files["billing.invoices"]; got != 4*n { // 20 rows of 77 bytes, 6 to a file of 512
		t.Errorf("%d files of a table, want %d", got, 4*n)
	}
	if s.tables[tenancy.ID(uuid.Nil)] == nil {
		t.Error("nothing is shared")
	}
}
