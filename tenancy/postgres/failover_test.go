package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// TestFailover ends the server in the midst of writes; the one that followed it takes
// over. The DSNs name both.
func TestFailover(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	first, second := dbtest.Pair(t)
	w := failoverWorld(t, first, second)
	var writers sync.WaitGroup
	var mu sync.Mutex
	results := map[uuid.UUID]error{}
	over := make(chan struct{})
	for i := range 8 {
		writers.Go(func() {
			for again := 0; again < 5; { // so often after the change
				c := newCustomer("x@example.org", "X")
				c.ID = uuid.New()
				err := writeOnce(w, c, i%2 == 0)
				mu.Lock()
				results[c.ID] = err
				mu.Unlock()
				select {
				case <-over:
					if err == nil {
						again++
					}
				default:
				}
			}
		})
	}
	for n := 0; n < 40; time.Sleep(time.Millisecond) { // they are at it
		mu.Lock()
		n = len(results)
		mu.Unlock()
	}
	must(t, first.Stop())
	w.owner = dbtest.At(t, w.owner, host(t, second.URL()))
	var promoted bool
	must(t, w.admin(t).Get(&promoted, "SELECT pg_promote()"))
	close(over)
	writers.Wait()
	admin, done, lost, unknown := w.admin(t), 0, 0, 0
	for id, err := range results {
		var rows, events int
		must(t, admin.QueryRow("SELECT (SELECT count(*) FROM customers WHERE id = $1), (SELECT count(*) FROM trace WHERE detail = $2)", id, id.String()).Scan(&rows, &events))
		switch {
		case rows != events || rows > 1:
			t.Errorf("%d rows, %d events", rows, events)
		case err == nil && rows != 1:
			t.Error("a write that was answered is not there")
		case errors.Is(err, tenancy.ErrUnknownOutcome):
			unknown++
		case err != nil && rows != 0:
			t.Errorf("a write that failed is there: %v", err)
		case err != nil && !errors.Is(err, tenancy.ErrUnavailable):
			t.Errorf("%v, want ErrUnavailable", err)
		case err != nil:
			lost++
		default:
			done++
		}
	}
	t.Logf("%d done, %d lost, %d outcomes unknown", done, lost, unknown)
	if done < 8*5 || lost+unknown == 0 {
		t.Error("nothing was tested")
	}
}

func writeOnce(w *world, c *customer, raw bool) error {
	if raw {
		return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "SELECT 1")
			return errors.Join(err, customers.Insert(ctx, tx, c))
		})
	}
	return customers.Insert(w.a, w.db, c)
}

// failoverWorld is a world on both of a pair.
func failoverWorld(t *testing.T, first, second *dbtest.Server) *world {
	t.Helper()
	w := &world{owner: first.URL()}
	w.admin(t).MustExec("CREATE DATABASE app ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	u, err := url.Parse(first.URL())
	must(t, err)
	u.Path = "/app"
	w.owner = u.String()
	w.logins, err = postgres.Setup(t.Context(), w.owner, &postgres.SetupOptions{Migrations: migrations(t)})
	must(t, err)
	both := host(t, first.URL()) + "," + host(t, second.URL())
	w.logins.Library = dbtest.At(t, w.logins.Library, both) + "&target_session_attrs=read-write"
	w.logins.App = dbtest.At(t, w.logins.App, both) + "&target_session_attrs=read-write"
	w.open(t)
	w.db, err = postgres.Open(t.Context(), w.logins, schema, w.keys, objects{}, nil)
	must(t, err)
	t.Cleanup(func() { _ = w.db.Close() })
	w.a = w.tenant(t, "A")
	return w
}
