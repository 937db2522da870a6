package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/art32/art32/tenancy"
)

// TestServersPatience: where the server ends a statement or a transaction that takes
// too long, nothing of it is there, and the next finds a connection.
func TestServersPatience(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.admin(t).MustExec(w.names(t).Replace("ALTER DATABASE DATABASE SET idle_in_transaction_session_timeout = '150ms'; ALTER DATABASE DATABASE SET statement_timeout = '400ms'"))
	w.narrow(t)
	stays := w.insert(w.a, t, "Anton")
	idle := func() { time.Sleep(600 * time.Millisecond) }
	for name, do := range map[string]func() error{
		"idle in a transaction": func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				if err := customers.Insert(ctx, tx, newCustomer("x@example.org", "X")); err != nil {
					return err
				}
				idle()
				return customers.Insert(ctx, tx, newCustomer("y@example.org", "Y"))
			})
		},
		"idle before the commit": func() error {
			return w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				err := customers.Insert(ctx, tx, newCustomer("x@example.org", "X"))
				idle()
				return err
			})
		},
		"idle in the caller's": func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				err := customers.Insert(ctx, tx, newCustomer("x@example.org", "X"))
				idle()
				return err
			})
		},
		"statement": func() error {
			return w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				err := customers.Insert(ctx, tx, newCustomer("x@example.org", "X"))
				_, serr := tx.SQLX().ExecContext(ctx, "SELECT pg_sleep(5)")
				return errors.Join(err, serr)
			})
		},
		"statement that waits for a lock": func() error {
			lock := w.admin(t).MustBegin()
			defer lock.Rollback()
			lock.MustExec("SELECT set_config('statement_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false)")
			lock.MustExec("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
			return customers.Insert(w.a, w.db, newCustomer("x@example.org", "X"))
		},
	} {
		err := do()
		if !errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, tenancy.ErrUnknownOutcome) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if n := w.rows(t); n != 1 {
			t.Errorf("%s: %d rows are there, want 1", name, n)
		}
		must(t, eventually(t, func() error {
			_, err := customers.Get(w.a, w.db, stays.ID)
			_, serr := w.seen(w.a)
			return errors.Join(err, serr)
		}))
	}
}
