package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// TestNoDowntime: two instances write, read and search while all keys are
// rotated, everything is sealed anew and the old versions are destroyed, twice.
// Nobody is refused, no search loses a row, no value stands twice.
func TestNoDowntime(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar", "Dora", "Emil", "Friedrich")
		two := &clubWorld{instance: instanceOf(t, w.World, club, w.Store), ctx: w.ctx}
		ctx, stop := context.WithCancel(w.ctx)
		var done sync.WaitGroup
		var turns atomic.Int64
		for n, x := range []*clubWorld{w, two} {
			done.Go(func() { x.use(ctx, t, all, n, &turns) })
		}
		for range 2 {
			w.rotate(t, keyring.KEK, keyring.SubjectKeys, keyring.IndexKeys, keyring.DataKey)
			w.reseal(t)
			w.forget(t)
			w.reseal(t)
			for { // what was written meanwhile names the new versions
				r := w.settled(t)
				if r.Retired.Subjects+r.Retired.Index == 0 {
					break
				}
				w.reseal(t)
				w.forget(t)
			}
		}
		stop()
		done.Wait()
		if turns.Load() < 4 {
			t.Errorf("only %d turns: the test proves nothing", turns.Load())
		}
		for _, m := range all {
			must(t, two.readable(w.ctx, m))
		}
	})
}

// use writes, reads and searches until ctx ends.
func (w *clubWorld) use(ctx context.Context, t *testing.T, all []member, n int, turns *atomic.Int64) {
	for turn := 0; ctx.Err() == nil; turn++ {
		m := all[turn%len(all)]
		name, _ := m.Name.Reveal()
		if err := errors.Join(w.readable(w.ctx, m), w.writes(m, name, fmt.Sprintf("new%d-%d", n, turn))); err != nil {
			t.Errorf("turn %d: %v", turn, err)
			return
		}
		if found, err := w.found(w.ctx, name); err != nil || found != 1 {
			t.Errorf("turn %d: %s found %d times, %v", turn, name, found, err)
			return
		}
		turns.Add(1)
	}
}

// writes edits a member, adds another, and tries to add a value that stands.
func (w *clubWorld) writes(m member, name, fresh string) error {
	err := members.Edit(w.ctx, w.db, m.ID, func(m *member) error {
		m.Score, m.Name = field.New(int64(7)), field.New(name)
		return nil
	})
	added := &member{Email: field.New(fresh + "@example.org"), Name: field.New(fresh)}
	err = errors.Join(err, members.Insert(w.ctx, w.db, added))
	twice := &member{Email: field.New(strings.ToUpper(name) + "@example.org"), Name: field.New("double")}
	if exists := members.Insert(w.ctx, w.db, twice); !errors.Is(exists, tenancy.ErrExists) {
		err = errors.Join(err, fmt.Errorf("a value that stands: %w", exists))
	}
	if n, ferr := w.found(w.ctx, fresh); n != 1 || ferr != nil {
		err = errors.Join(err, fmt.Errorf("%s found %d times: %w", fresh, n, ferr))
	}
	return err
}

// TestTwoReseals: two runs at once do each other's work, each thing once.
func TestTwoReseals(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		var names []string
		for i := range 40 {
			names = append(names, fmt.Sprintf("member%d", i))
		}
		all := w.join(t, names...)
		two := instanceOf(t, w.World, club, w.Store)
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		var wg sync.WaitGroup
		var resealed, reindexed atomic.Int64
		for _, db := range []*tenancy.DB{w.db, two.db} {
			wg.Go(func() {
				for {
					r, err := db.Reseal(w.ctx, nil)
					if err != nil {
						t.Error(err)
						return
					}
					resealed.Add(int64(r.Resealed))
					reindexed.Add(int64(r.Reindexed))
					if r.Complete() {
						return
					}
				}
			})
		}
		wg.Wait()
		if resealed.Load() != 40*4 || reindexed.Load() != 40*2 {
			t.Errorf("%d cells and %d index values, want 160 and 80", resealed.Load(), reindexed.Load())
		}
		for _, m := range all {
			must(t, two.readable(w.ctx, m))
		}
	})
}

// TestLateCommit: a transaction that sealed before the rotation and commits after
// it is waited for, and what it wrote can be read.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := newClub(t, engine)
			all := w.join(t, "Anton")
			late := &member{Email: field.New("late@example.org"), Name: field.New("Late")}
			written, may, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				ended <- w.db.In(w.ctx, func(ctx context.Context, tx *tenancy.Tx) error {
					err := members.Insert(ctx, tx, late)
					err = errors.Join(err, notes.Insert(ctx, tx, &note{Member: all[0].ID, Text: field.New("late")}))
					close(written)
					<-may
					return err
				})
			}()
			<-written
			if engine == "sqlite" { // one writer: the rotation's own events wait for it
				close(may)
				must(t, <-ended)
			}
			w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
			if engine == "postgres" {
				r, err := w.db.Reseal(w.ctx, nil)
				must(t, err)
				if !r.Complete() {
					t.Fatalf("what did not commit is seen: %+v", r)
				}
			}
			destroyed := make(chan error, 1)
			var report tenancy.KeyReport
			go func() {
				r, err := w.db.DestroyRetired(w.ctx)
				report = r
				destroyed <- err
			}()
			if engine == "postgres" {
				w.waits(t)
				close(may)
				must(t, <-ended)
			}
			must(t, <-destroyed)
			if report.Destroyed != 0 {
				t.Errorf("destroyed although somebody needs it: %+v", report)
			}
			w.reseal(t)
			w.forget(t)
			w.settled(t)
			two := instanceOf(t, w.World, club, w.Store)
			must(t, two.readable(w.ctx, *late))
			if n, err := two.found(w.ctx, "Late"); n != 1 || err != nil {
				t.Errorf("found %d, %v", n, err)
			}
		})
	}
}

// waits returns once a session waits for the lock of a table.
func (w *clubWorld) waits(t *testing.T) {
	t.Helper()
	db := w.Raw(t, tenancy.ID{})
	for n := 0; n == 0; {
		must(t, db.QueryRowContext(t.Context(),
			"SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareLock' AND locktype = 'relation'").Scan(&n))
	}
}

// TestSleptInstance: a process that slept through the rotation with keys in its
// hand writes under the old versions. What it writes is found and read by all,
// keeps the versions from being destroyed, and is sealed anew by the next run.
func TestSleptInstance(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		slept := &clubWorld{instance: &instance{db: w.DB, keys: w.Keys, log: w.Log}} // whose keys live for minutes
		for _, m := range all {
			must(t, slept.readable(w.ctx, m))
		}
		if n, err := slept.found(w.ctx, "Anton"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		w.reseal(t)
		must(t, notes.Insert(w.ctx, slept.db, &note{Member: all[0].ID, Text: field.New("late")}))
		must(t, members.Insert(w.ctx, slept.db, &member{Name: field.New("Antonia"), Email: field.New("antonia@example.org")}))
		r, err := w.db.KeyReport(w.ctx)
		must(t, err)
		if c := columnOf(t, r, "notes", "text"); c.Older[1] != 1 || r.Complete() {
			t.Errorf("%+v", c)
		}
		if n, err := members.Count(w.ctx, w.db, memberName.Eq("antonia")); n != 1 || err != nil {
			t.Errorf("found %d, %v", n, err)
		}
		w.forget(t)
		w.settledBut(t, all[0].ID)
		if r = w.reseal(t); r.Resealed != 1 || r.Reindexed != 2 {
			t.Errorf("%+v", r)
		}
		w.forget(t)
		if r = w.settled(t); r.Retired.Subjects+r.Retired.Index != 0 {
			t.Errorf("%+v", r)
		}
		two := instanceOf(t, w.World, club, w.Store)
		if n, err := members.Count(w.ctx, two.db, memberName.Eq("antonia")); n != 1 || err != nil {
			t.Errorf("found %d, %v", n, err)
		}
	})
}

// settledBut destroys all but the versions of one person's key and of the index
// key.
func (w *clubWorld) settledBut(t *testing.T, person uuid.UUID) {
	t.Helper()
	w.settled(t)
	n := 0
	for v, err := range w.keys.Retired(w.ctx, w.A.UUID()) {
		must(t, err)
		if v.Kind == keyring.SubjectKeys && v.Subject != person {
			t.Errorf("left: %+v", v)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d versions are left, want 2", n)
	}
}

// TestStaleRun: a run in a process that remembers the old versions undoes nothing
// that others did, and does not call itself complete.
func TestStaleRun(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta")
		for _, m := range all {
			must(t, (&instance{db: w.DB}).readable(w.ctx, m))
		}
		_, err := members.Count(w.ctx, w.DB, memberName.Eq("x"))
		must(t, err)
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys)
		r, err := w.DB.Reseal(w.ctx, nil)
		must(t, err)
		if r.Complete() || r.Resealed != 0 || columnOf(t, r, "members", "name").Older[1] != 2 {
			t.Errorf("%+v", r)
		}
		w.reseal(t)
		r, err = w.DB.Reseal(w.ctx, &tenancy.ResealOptions{Indexes: true})
		must(t, err)
		if r.Resealed+r.Reindexed != 0 {
			t.Errorf("undone: %+v", r)
		}
	})
}
