package keyring_test

import (
	"context"
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
// in another one, which waits for the rest, and all of it when the date of the
// successor lies in the future.
func TestResumedWait(t *testing.T) {
	const skew = 10 * time.Second
	for name, c := range map[string]struct{ clock, after, min, max time.Duration }{
		"at once":      {0, 0, 5 * time.Minute, 6 * time.Minute},
		"after two":    {0, 2 * time.Minute, 3 * time.Minute, 3*time.Minute + 2*skew},
		"after ten":    {0, 10 * time.Minute, 0, 0},
		"clock ahead":  {time.Hour, time.Second, 5 * time.Minute, 6 * time.Minute},
		"clock behind": {-skew, 4 * time.Minute, time.Minute, time.Minute + 2*skew},
	} {
		t.Run(name, func(t *testing.T) {
			bubbletest.Run(t, func(t *testing.T) {
				db := openSQLite(t)
				defer db.Close()
				root, store := newRoot(t), keyring.SQLStore(db, migrate.SQLite)
				killed := newRing(t, root, skewed{store, store.(keyring.Lister), store.(keyring.Rotator), c.clock}, nil)
				all := seal(t, killed, acme, 3)
				time.Sleep(2 * time.Hour) // so that no date of a successor is earlier than before
				before := time.Now().Add(-time.Hour)
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
				if got.Introduced != 0 || got.Retired != 3 || got.Left != 0 {
					t.Errorf("%+v", got)
				}
				if waited := time.Since(began); waited < c.min || waited > c.max {
					t.Errorf("waited %s, want %s to %s", waited, c.min, c.max)
				}
				all.opens(t, newRing(t, root, store, nil))
			})
		})
	}
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
