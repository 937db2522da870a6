package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// verbs are all that a program can do with a database.
func verbs(db *tenancy.DB, id uuid.UUID) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"get": func(ctx context.Context) error { _, err := customers.Get(ctx, db, id); return err },
		"list": func(ctx context.Context) error {
			for _, err := range customers.List(ctx, db) {
				return err
			}
			return nil
		},
		"count":  func(ctx context.Context) error { _, err := customers.Count(ctx, db); return err },
		"insert": func(ctx context.Context) error { return customers.Insert(ctx, db, newCustomer("x@example.org", "X")) },
		"edit": func(ctx context.Context) error {
			return customers.Edit(ctx, db, id, func(*customer) error { return nil })
		},
		"update": func(ctx context.Context) error { return customers.Update(ctx, db, &customer{ID: id}) },
		"delete": func(ctx context.Context) error { return customers.Delete(ctx, db, id) },
		"erase":  func(ctx context.Context) error { return db.Erase(ctx, id) },
		"in": func(ctx context.Context) error {
			return db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				_, err := customers.Get(ctx, tx, id)
				return err
			})
		},
		"in sql": func(ctx context.Context) error {
			return db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "SELECT count(*) FROM customers")
				return err
			})
		},
		"in sql, insert": func(ctx context.Context) error {
			return db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "INSERT INTO customers (tenant_id, id, city, plan) VALUES ($1, $1, '', '')", id)
				return err
			})
		},
	}
}

func TestFailClosed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	anyone := tenancy.WithActor(t.Context(), tenancy.MustService("test"))
	closed := w.tenant(t, "C")
	w.admin(t).MustExec("UPDATE art32.tenants SET closed_at = now() WHERE id = $1", tenantOf(t, closed))
	writes := map[string]bool{"insert": true, "edit": true, "update": true, "delete": true, "erase": true}
	for name, do := range verbs(w.db, c.ID) {
		if err := do(anyone); !errors.Is(err, tenancy.ErrNoTenant) {
			t.Errorf("%s without a tenant: %v, want ErrNoTenant", name, err)
		}
		if err := do(tenancy.WithTenant(anyone, tenancy.ID{})); !errors.Is(err, tenancy.ErrNoTenant) {
			t.Errorf("%s of the zero tenant: %v, want ErrNoTenant", name, err)
		}
		if name == "insert" { // asks the keystore first, which knows no such tenant
			continue
		}
		if err := do(tenancy.WithTenant(anyone, tenancy.NewID())); !errors.Is(err, tenancy.ErrUnknownTenant) {
			t.Errorf("%s of an unknown tenant: %v, want ErrUnknownTenant", name, err)
		}
		if err := do(closed); !errors.Is(err, tenancy.ErrUnknownTenant) {
			t.Errorf("%s of a closed tenant: %v, want ErrUnknownTenant", name, err)
		}
		if err := do(tenancy.WithTenant(t.Context(), tenantOf(t, w.a))); writes[name] && !errors.Is(err, tenancy.ErrNoActor) {
			t.Errorf("%s by nobody: %v, want ErrNoActor", name, err)
		}
	}
	for _, ctx := range []context.Context{closed, tenancy.WithTenant(anyone, tenancy.NewID())} {
		if err := customers.Insert(ctx, w.db, newCustomer("x@example.org", "X")); !errors.Is(err, tenancy.ErrUnknownTenant) {
			t.Errorf("insert: %v, want ErrUnknownTenant", err)
		}
	}
	if n, err := customers.Count(w.a, w.db); err != nil || n != 1 {
		t.Errorf("A has %d rows, %v; want 1", n, err)
	}
}

func TestNested(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := newWorld(t)
	nothing := func(context.Context, *tenancy.Tx) error { return nil }
	err := w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
		if err := w.db.In(ctx, func(_ context.Context, inner *tenancy.Tx) error {
			if inner != tx {
				t.Error("In inside In began another transaction")
			}
			return customers.Insert(ctx, inner, newCustomer("a@example.org", "A"))
		}); err != nil {
			t.Errorf("the same tenant: %v", err)
		}
		other := tenancy.WithTenant(ctx, tenantOf(t, w.b))
		if err := w.db.In(other, nothing); !errors.Is(err, tenancy.ErrOtherTenant) {
			t.Errorf("another tenant: %v, want ErrOtherTenant", err)
		}
		if _, err := customers.Count(other, tx); !errors.Is(err, tenancy.ErrOtherTenant) {
			t.Errorf("a verb of another tenant: %v, want ErrOtherTenant", err)
		}
		if err := w.db.InSQL(ctx, nil); !errors.Is(err, tenancy.ErrTxInUse) {
			t.Errorf("InSQL inside In: %v, want ErrTxInUse", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
		return w.db.In(ctx, func(ctx context.Context, inner *tenancy.Tx) error {
			if inner != tx.Tx {
				t.Error("In inside InSQL began another transaction")
			}
			return customers.Insert(ctx, inner, newCustomer("b@example.org", "B"))
		})
	})
	if n, cerr := customers.Count(w.a, w.db); err != nil || cerr != nil || n != 2 {
		t.Errorf("%d rows, %v, %v; want 2", n, err, cerr)
	}
}

func TestTxKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	var kept *tenancy.Tx
	var inner context.Context
	if err := w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
		kept, inner = tx, ctx
		_, err := customers.Count(ctx, tx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := customers.Insert(w.a, kept, newCustomer("x@example.org", "X")); !errors.Is(err, tenancy.ErrTxDone) {
		t.Errorf("insert after the end: %v, want ErrTxDone", err)
	}
	if err := w.db.In(inner, func(context.Context, *tenancy.Tx) error { return nil }); !errors.Is(err, tenancy.ErrTxDone) {
		t.Errorf("In with a context that was kept: %v, want ErrTxDone", err)
	}
	var sqlTx *tenancy.SQLTx
	if err := w.db.InSQL(w.a, func(_ context.Context, tx *tenancy.SQLTx) error { sqlTx = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlTx.SQLX().ExecContext(w.a, "SELECT 1"); err == nil {
		t.Error("raw SQL after the end passed")
	}
	if _, err := customers.Count(w.a, sqlTx); !errors.Is(err, tenancy.ErrTxDone) {
		t.Errorf("count after the end: %v, want ErrTxDone", err)
	}
}

// Goroutines on one transaction are refused or served one by one; one that
// outlives In meets its end.
func TestTxShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.insert(w.a, t, "Anton")
	use := func(ctx context.Context, conn tenancy.Conn, rounds int) error {
		for range rounds {
			_, err := customers.Get(ctx, conn, c.ID)
			if err != nil && !errors.Is(err, tenancy.ErrTxInUse) && !errors.Is(err, tenancy.ErrTxDone) {
				return err
			}
		}
		return nil
	}
	for range 10 {
		var wg sync.WaitGroup
		err := w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
			for range 4 {
				wg.Go(func() {
					if err := use(ctx, tx, 20); err != nil {
						t.Errorf("a goroutine: %v", err)
					}
				})
			}
			return use(ctx, tx, 3)
		})
		if err != nil && !errors.Is(err, tenancy.ErrTxInUse) {
			t.Errorf("In: %v", err)
		}
		wg.Wait()
	}
	if _, err := customers.Get(w.a, w.db, c.ID); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A panic of the caller's rolls back, and gives the one connection back.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.narrow(t)
	c := w.insert(w.a, t, "Anton")
	for name, do := range map[string]func(){
		"in": func() {
			_ = w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				_ = customers.Delete(ctx, tx, c.ID)
				panic("of the caller")
			})
		},
		"in sql": func() {
			_ = w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, _ = tx.SQLX().ExecContext(ctx, "DELETE FROM customers")
				panic("of the caller")
			})
		},
		"edit": func() { _ = customers.Edit(w.a, w.db, c.ID, func(*customer) error { panic("of the caller") }) },
		"edit in": func() {
			_ = w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error {
				return customers.Edit(ctx, tx, c.ID, func(*customer) error { panic("of the caller") })
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic was swallowed")
					}
				}()
				do()
			}()
			n, err := w.seen(w.a)
			if _, gerr := customers.Get(w.a, w.db, c.ID); err != nil || gerr != nil || n != 1 {
				t.Errorf("afterwards: %d rows, %v, %v; want 1", n, err, gerr)
			}
		})
	}
}

// A caller that passes over the error of a statement must not be told that the
// transaction was committed.
func TestFailureIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	twice := func(ctx context.Context, conn tenancy.Conn) {
		c := newCustomer("a@example.org", "A")
		if err := customers.Insert(ctx, conn, c); err != nil {
			t.Error(err)
		}
		if err := customers.Insert(ctx, conn, c); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("insert twice: %v, want ErrExists", err)
		}
	}
	for name, err := range map[string]error{
		"in":     w.db.In(w.a, func(ctx context.Context, tx *tenancy.Tx) error { twice(ctx, tx); return nil }),
		"in sql": w.db.InSQL(w.a, func(ctx context.Context, tx *tenancy.SQLTx) error { twice(ctx, tx); return nil }),
	} {
		if err == nil {
			t.Errorf("%s: committed, says the library", name)
		}
	}
	if n, err := customers.Count(w.a, w.db); err != nil || n != 0 {
		t.Errorf("%d rows, %v; want 0", n, err)
	}
}

// mute is a recorder that cannot write, or whose event the database refuses,
// at the latest with the commit.
type mute struct{ late bool }

var errMute = errors.New("log is full")

func (m mute) Change(_ context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if !m.late || c.Action == "tenant.create" {
		return errMute
	}
	tx.Engine(engine.Library).Queue(engine.Stmt{
		SQL: "INSERT INTO public.trace (tenant_id, id) VALUES ($1, NULL)", Args: []any{tx.Tenant().UUID()},
	})
	return nil
}

func TestNoChangeWithoutEvent(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	for name, log := range map[string]mute{"refuses": {}, "fails in the database": {late: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			w := newWorld(t)
			c := w.insert(w.a, t, "Anton")
			db, err := postgres.Open(t.Context(), w.logins, schema, w.keys, log, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			all := verbs(db, c.ID)
			all["edit"] = func(ctx context.Context) error {
				return customers.Edit(ctx, db, c.ID, func(c *customer) error { c.Plan = "pro"; return nil })
			}
			all["queued for the commit"] = func(ctx context.Context) error {
				return db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
					return log.Change(ctx, tx, tenancy.Change{Action: "x"})
				})
			}
			all["queued for the commit after sql"] = func(ctx context.Context) error {
				return db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
					_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET plan = 'pro'")
					return errors.Join(err, log.Change(ctx, tx.Tx, tenancy.Change{Action: "x"}))
				})
			}
			for _, verb := range []string{"insert", "edit", "delete", "queued for the commit", "queued for the commit after sql"} {
				if err := all[verb](w.a); err == nil {
					t.Errorf("%s passed without its event", verb)
				}
			}
			got, err := customers.Get(w.a, w.db, c.ID)
			if n, cerr := customers.Count(w.a, w.db); err != nil || cerr != nil || got.Plan != "free" || n != 1 {
				t.Errorf("%d rows, plan %q, %v, %v; want the row as it was", n, got.Plan, err, cerr)
			}
		})
	}
}
