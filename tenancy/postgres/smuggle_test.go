package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/tenancy"
)

// A driver that sends text without parameters as it stands lets one argument
// end the transaction.
func TestCommitIsSmuggledThroughTheSimpleProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := pgx.Connect(t.Context(), w.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.PgConn().Exec(t.Context(), "CREATE TABLE kept (); COMMIT; BEGIN").ReadAll(); err != nil {
		t.Fatal(err)
	}
	_ = tx.Rollback(t.Context())
	var kept bool
	if err := conn.QueryRow(t.Context(), "SELECT to_regclass('kept') IS NOT NULL").Scan(&kept); err != nil || !kept {
		t.Errorf("undefended: kept = %v, %v; want the rollback to come too late", kept, err)
	}
}

func TestTransactionCannotBeEnded(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t)
	w.narrow(t)
	for _, text := range []string{
		"COMMIT", "commit work", "/* x */ commit", "/* a /* b */ c */COMMIT", "-- x\nCOMMIT", "-- x\rCOMMIT", "; COMMIT", " ;;\t\f\vCOMMIT",
		"COMMIT AND CHAIN", "COMMIT PREPARED 'x'", "END", "ABORT", "ROLLBACK", "ROLLBACK WORK", "ROLLBACK AND CHAIN", "BEGIN",
		"START TRANSACTION", "PREPARE TRANSACTION 'x'", "SELECT 1; COMMIT", "COMMIT; SELECT 1", "UPDATE customers SET plan = 'x'; COMMIT",
		"DO $$ BEGIN COMMIT; END $$", "DO $$ BEGIN EXECUTE 'COMMIT'; END $$", "CALL pg_catalog.nothing()", "COMMIT\x00", "SELECT 1\x00; COMMIT",
		"DO $$ BEGIN ROLLBACK; END $$", "SAVEPOINT s; COMMIT", "RELEASE nothing",
	} {
		err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			if err := customers.Insert(ctx, tx, newCustomer("a@example.org", "A")); err != nil {
				t.Errorf("%q: insert: %v", text, err)
			}
			if _, err := tx.SQLX().ExecContext(ctx, text); err == nil {
				t.Errorf("%q passed", text)
			}
			return nil // the caller goes on
		})
		blocked := err == nil // the statement was not sent, and did no harm
		want := 0
		if blocked {
			want = 1
		}
		if n, err := w.seen(w.a); err != nil || n != want {
			t.Errorf("%q: %d rows, %v; want %d", text, n, err, want)
		}
		if n := w.recorded(w.a, t, "customers.insert", tenancy.Done); n != want {
			t.Errorf("%q: %d events, want %d", text, n, want)
		}
		w.admin(t).MustExec("TRUNCATE customers, trace")
	}
}

func TestCallerCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	for name, end := range map[string]func(tx *tenancy.SQLTx) error{
		"commit":   func(tx *tenancy.SQLTx) error { return tx.SQLX().Commit() },
		"rollback": func(tx *tenancy.SQLTx) error { return tx.SQLX().Rollback() },
	} {
		err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
			if err := customers.Insert(ctx, tx, newCustomer("a@example.org", "A")); err != nil {
				return err
			}
			if err := end(tx); name == "commit" && !errors.Is(err, tenancy.ErrForbidden) {
				t.Errorf("%s: %v, want ErrForbidden", name, err)
			}
			if err := customers.Insert(ctx, tx, newCustomer("b@example.org", "B")); err == nil {
				t.Errorf("%s: the transaction goes on", name)
			}
			return nil
		})
		if !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("%s: InSQL = %v, want ErrForbidden", name, err)
		}
		if n, err := w.seen(w.a); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v; want 0", name, n, err)
		}
	}
}

func TestSavepoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	again := newCustomer("again@example.org", "Again")
	exec := func(ctx context.Context, tx *tenancy.SQLTx, text string) error {
		_, err := tx.SQLX().ExecContext(ctx, text)
		return err
	}
	// A statement that fails need not cost the transaction.
	err := w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if err := errors.Join(customers.Insert(ctx, tx, again), exec(ctx, tx, "SAVEPOINT s")); err != nil {
			return err
		}
		if err := exec(ctx, tx, "INSERT INTO customers TABLE customers"); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("copy: %v, want ErrExists", err)
		}
		return errors.Join(exec(ctx, tx, "ROLLBACK /* x */ WORK TO SAVEPOINT s"), exec(ctx, tx, "RELEASE s"))
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := w.seen(w.a); err != nil || n != 2 {
		t.Errorf("%d rows, %v; want 2", n, err)
	}
	// But what was recorded stays recorded.
	err = w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		if err := errors.Join(exec(ctx, tx, "SAVEPOINT s"), customers.Delete(ctx, tx, c.ID)); err != nil {
			return err
		}
		if err := exec(ctx, tx, "ROLLBACK TO s"); !errors.Is(err, tenancy.ErrForbidden) {
			t.Errorf("back over an event: %v, want ErrForbidden", err)
		}
		return nil
	})
	if err != nil || w.recorded(w.a, t, "customers.delete", tenancy.Done) != 1 {
		t.Errorf("%v; events: %v", err, w.events(w.a, t))
	}
}
