package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// keyInUse is the id of the key under which the world seals.
func (w *world) keyInUse(t *testing.T) (id string) {
	t.Helper()
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return tx.SQLX().GetContext(ctx, &id, "SELECT split_part(current_setting('art32.ctx'), '.', 1)")
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// The key of the seal is rotated several times under load, and no statement is
// refused; at the end all seal with the newest.
func TestRotateSeal(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "a")
	w.narrow(t)
	postgres.SetSealAge(w.db, 20*time.Millisecond)
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if n, err := w.seen(w.a); err != nil || n != 1 {
					t.Errorf("%d rows, %v", n, err)
					return
				}
			}
		})
	}
	for _, newest := range []string{"2", "3", "4"} {
		if err := postgres.RotateSeal(t.Context(), w.owner, postgres.SealGrace); err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(time.Minute); w.keyInUse(t) != newest; {
			if time.Now().After(end) {
				t.Errorf("the world does not seal with key %s", newest)
				break
			}
		}
	}
	close(stop)
	load.Wait()
}

// A key that is to open nothing any more opens nothing; who sealed with it is
// refused once.
func TestRotateSealAtOnce(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	w.insert(w.a, t, "a")
	leaked := w.knownKey(t)
	forged := leaked.mint(tenantOf(t, w.a).String(), "person:x", time.Now().Add(time.Minute))
	byForger := func() (n int, err error) {
		tx := stolen(t, w.logins.App).MustBegin()
		defer tx.Rollback()
		tx.MustExec("SELECT set_config('art32.ctx', $1, true)", forged)
		err = tx.Get(&n, "SELECT count(*) FROM customers")
		return n, err
	}
	if n, err := byForger(); err != nil || n != 1 {
		t.Fatalf("the leaked key opens %d rows, %v; the test shows nothing", n, err)
	}
	if err := postgres.RotateSeal(t.Context(), w.owner, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := byForger(); err == nil || !strings.Contains(err.Error(), "sealed context refused") {
		t.Errorf("the leaked key opens %d rows, %v", n, err)
	}
	if _, err := w.seen(w.a); !errors.Is(err, tenancy.ErrForbidden) {
		t.Errorf("%v, want ErrForbidden once", err)
	}
	if n, err := w.seen(w.a); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := postgres.RotateSeal(t.Context(), w.owner, 0); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := w.admin(t).Get(&left, "SELECT count(*) FROM art32.seal_keys WHERE id = 77"); err != nil || left != 0 {
		t.Errorf("%d keys that retired before are left, %v", left, err)
	}
	for _, grace := range []time.Duration{-1, 25 * time.Hour} {
		if err := postgres.RotateSeal(t.Context(), w.owner, grace); err == nil {
			t.Errorf("a grace of %s was taken", grace)
		}
	}
	if err := postgres.RotateSeal(t.Context(), w.logins.Library, 0); err == nil {
		t.Error("the library login rotated the key")
	}
}
