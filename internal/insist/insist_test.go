package insist_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/insist"
)

// TestOn changes one row of the catalogue from many sessions at once.
func TestOn(t *testing.T) {
	t.Parallel()
	dsn := dbtest.Postgres(t)
	const sessions, rounds = 6, 30
	setup, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer setup.Close(t.Context())
	if _, err := setup.Exec(t.Context(), "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"); err != nil {
		t.Fatal(err)
	}
	collide := func(do func(func() error) error) (failed int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for n := range sessions {
			wg.Go(func() {
				conn, err := pgx.Connect(t.Context(), dsn)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(t.Context())
				for i := range rounds {
					err := do(func() error {
						how := []string{"GRANT EXECUTE ON FUNCTION f() TO", "REVOKE EXECUTE ON FUNCTION f() FROM"}[(n+i)%2]
						_, err := conn.Exec(t.Context(), how+" pg_monitor")
						return err
					})
					if err != nil {
						mu.Lock()
						failed++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		return failed
	}
	if n := collide(func(change func() error) error { return change() }); n == 0 {
		t.Error("nothing collides, so that nothing is shown")
	}
	if n := collide(func(change func() error) error { return insist.On(t.Context(), change) }); n != 0 {
		t.Errorf("%d changes failed", n)
	}
}
