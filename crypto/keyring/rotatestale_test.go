package keyring_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
)

// TestStaleInstance lets an instance read everything the moment before a
// rotation begins, so that what it knows is as old as the TTL allows, while
// others know the newest. Either opens what the other seals, all the time.
func TestStaleInstance(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			bubbletest.Run(t, func(t *testing.T) {
				db := openSQLite(t)
				defer db.Close()
				root, store := newRoot(t), keyring.SQLStore(db, migrate.SQLite)
				all := seal(t, newRing(t, root, store, nil), acme, 2)
				time.Sleep(time.Hour)
				stale, rotates := newRing(t, root, store, nil), newRing(t, root, store, nil)
				all.opens(t, stale)
				done := make(chan error, 1)
				go func() {
					got, err := rotates.Rotate(t.Context(), acme, kind, time.Now(), nil)
					if err == nil && got.Left != 0 {
						err = fmt.Errorf("%+v", got)
					}
					done <- err
				}()
				began := time.Now()
				for {
					synctest.Wait()
					fresh := newRing(t, root, store, nil)
					all.more(t, fresh)
					all.opens(t, stale)
					all.more(t, stale)
					all.opens(t, fresh)
					select {
					case err := <-done:
						noError(t, err)
						if waited := time.Since(began); waited < stale.TTL() || waited > 3*stale.TTL() {
							t.Errorf("took %s", waited)
						}
						return
					case <-time.After(7 * time.Second):
					}
				}
			})
		})
	}
}

// skewed is the keystore as an instance writes it whose clock is wrong.
type skewed struct {
	keyring.Store
	keyring.Lister
	keyring.Rotator

	by time.Duration
}

func (s skewed) Introduce(ctx context.Context, records []keyring.Record) (int64, error) {
	for i := range records {
		records[i].Created = records[i].Created.Add(s.by)
	}
	return s.Rotator.Introduce(ctx, records)
}

// TestResumedWait: a rotation whose process was killed while it waited goes on
// in another one, which waits as if the successors were of now, whatever their
// date says: an instance that read the moment before opens what is sealed after.
// A successor that is dated ahead gets one itself.
func TestResumedWait(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	for name, c := range map[string]struct {
		clock, after        time.Duration
		introduced, retired int64
	}{
		"at once":         {0, 0, 0, 3},
		"after two":       {0, 2 * time.Minute, 0, 3},
		"after ten":       {0, 10 * time.Minute, 0, 3},
		"a little ahead":  {9 * time.Second, 0, 0, 3},
		"clock ahead":     {time.Hour, time.Second, 3, 6},
		"clock behind":    {-10 * time.Second, 4 * time.Minute, 0, 3},
		"an hour behind":  {-time.Hour, time.Second, 0, 3},
		"behind and late": {-time.Hour, 4 * time.Minute, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubbletest.Run(t, func(t *testing.T) {
				db := openSQLite(t)
				defer db.Close()
				root, store := newRoot(t), keyring.SQLStore(db, migrate.SQLite)
				killed := newRing(t, root, skewed{store, store.(keyring.Lister), store.(keyring.Rotator), c.clock}, nil)
				all := seal(t, killed, acme, 3)
				time.Sleep(4 * time.Hour) // so that no date of a successor is earlier than before
				before := time.Now().Add(-2 * time.Hour)
				stale := newRing(t, root, store, nil)
				all.opens(t, stale)
				ctx, cancel := context.WithCancel(t.Context())
				gone := make(chan error, 1)
				go func() {
					_, err := killed.Rotate(ctx, acme, keyring.SubjectKeys, before, nil)
					gone <- err
				}()
				synctest.Wait() // it waits
				cancel()
				if err := <-gone; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				time.Sleep(c.after)
				began := time.Now()
				got := value(newRing(t, root, store, nil).Rotate(t.Context(), acme, keyring.SubjectKeys, before, nil))(t)
				if got.Introduced != c.introduced || got.Retired != c.retired || got.Left != 0 {
					t.Errorf("%+v", got)
				}
				if waited := time.Since(began); waited < 5*time.Minute || waited > 6*time.Minute {
					t.Errorf("waited %s", waited)
				}
				fresh := newRing(t, root, store, nil)
				all.opens(t, fresh)
				all.more(t, fresh)
				all.opens(t, stale)
				if again := value(newRing(t, root, store, nil).Rotate(t.Context(), acme, keyring.SubjectKeys, before, nil))(t); again != (keyring.Rotation{}) {
					t.Errorf("called again: %+v", again)
				}
			})
		})
	}
}

// late is the keystore as a rotation finds it during whose wait an instance whose
// clock is behind creates a key and gives it a successor.
type late struct {
	keyring.Store
	keyring.Lister
	keyring.Rotator

	once func()
}

func (l *late) Introduce(ctx context.Context, records []keyring.Record) (int64, error) {
	n, err := l.Rotator.Introduce(ctx, records)
	if l.once != nil {
		time.AfterFunc(4*time.Minute, l.once)
		l.once = nil
	}
	return n, err
}

// TestIntroducedMeanwhile: a successor that another introduced during the wait is
// waited for once more, though its date says that it is old enough.
func TestIntroducedMeanwhile(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		root, store := newRoot(t), keyring.SQLStore(db, migrate.SQLite)
		seal(t, newRing(t, root, store, nil), acme, 1)
		time.Sleep(4 * time.Hour)
		rotates := &late{store, store.(keyring.Lister), store.(keyring.Rotator), func() {
			behind := newRing(t, root, skewed{store, store.(keyring.Lister), store.(keyring.Rotator), -time.Hour}, nil)
			seal(t, newRing(t, root, backdated{store, -3 * time.Hour}, nil), acme, 1)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, err := behind.Rotate(ctx, acme, keyring.SubjectKeys, time.Now().Add(-2*time.Hour), nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}}
		began := time.Now()
		got := value(newRing(t, root, rotates, nil).Rotate(t.Context(), acme, keyring.SubjectKeys, began.Add(-2*time.Hour), nil))(t)
		if got.Left != 0 || got.Introduced != 1 || got.Retired != 2 {
			t.Errorf("%+v", got)
		}
		if waited := time.Since(began); waited < 10*time.Minute {
			t.Errorf("waited %s", waited)
		}
	})
}

// backdated is the keystore as an instance creates keys whose clock is wrong.
type backdated struct {
	keyring.Store

	by time.Duration
}

func (b backdated) Insert(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	for i := range records {
		records[i].Created = records[i].Created.Add(b.by)
	}
	return b.Store.Insert(ctx, records)
}

// TestDatedAhead: a key that says to be of a time to come is rotated, once.
func TestDatedAhead(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		root, store := newRoot(t), keyring.SQLStore(db, d)
		all := seal(t, newRing(t, root, backdated{store, 1000 * time.Hour}, quick), acme, 2)
		r := newRing(t, root, store, quick)
		before := time.Now()
		for kind, n := range map[keyring.Kind]int64{keyring.KEK: 1, keyring.IndexKeys: 1, keyring.DataKey: 1, keyring.SubjectKeys: 2} {
			if got := value(r.Rotate(t.Context(), acme, kind, before, nil))(t); got.Introduced != n || got.Retired != n || got.Left != 0 {
				t.Errorf("%s: %+v", kind, got)
			}
			if again := value(r.Rotate(t.Context(), acme, kind, before, nil))(t); again != (keyring.Rotation{}) {
				t.Errorf("%s, again: %+v", kind, again)
			}
		}
		all.opens(t, newRing(t, root, store, quick))
	})
}

// TestRotateOnlyOlder leaves alone what was created since, takes no time that is
// still to come, and knows its kinds.
func TestRotateOnlyOlder(t *testing.T) {
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		ctx, store := t.Context(), keyring.SQLStore(db, migrate.SQLite)
		r := newRing(t, newRoot(t), store, nil)
		noError(t, r.CreateTenant(ctx, acme))
		value(r.CreateCiphers(ctx, acme, subjects(2)))(t)
		time.Sleep(time.Hour)
		before := time.Now()
		time.Sleep(time.Hour)
		value(r.CreateCiphers(ctx, acme, subjects(3)))(t)
		if got := value(r.Rotate(ctx, acme, keyring.SubjectKeys, before, nil))(t); got.Introduced != 2 || got.Retired != 2 {
			t.Errorf("%+v", got)
		}
		for name, err := range map[string]error{
			"future":    second(r.Rotate(ctx, acme, keyring.KEK, time.Now().Add(time.Second), nil)),
			"no kind":   second(r.Rotate(ctx, acme, "secret", before, nil)),
			"read only": second(newRing(t, newRoot(t), memory{}, nil).Rotate(ctx, acme, keyring.KEK, before, nil)),
		} {
			if err == nil {
				t.Errorf("%s accepted", name)
			}
		}
		if _, err := r.Rotate(ctx, bolt, keyring.DataKey, before, nil); !errors.Is(err, keyring.ErrNoTenant) {
			t.Errorf("unknown tenant: %v", err)
		}
	})
}

// TestProgress is told of every step, and can end the rotation by its context.
func TestProgress(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	store := keyring.SQLStore(openSQLite(t), migrate.SQLite)
	r := newRing(t, newRoot(t), store, nil)
	noError(t, r.CreateTenant(ctx, acme))
	value(r.CreateCiphers(ctx, acme, subjects(10)))(t)
	keyring.SetPage(r, 3)
	var seen []int64
	_, err := r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), &keyring.RotateOptions{Progress: func(now keyring.Rotation) {
		if seen = append(seen, now.Introduced); now.Left > 0 { // it begins to wait
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := fmt.Sprint(seen); got != "[2 4 6 8 10 10 10]" && got != "[2 4 6 8 10 10]" {
		t.Errorf("told of %s", got)
	}
}
