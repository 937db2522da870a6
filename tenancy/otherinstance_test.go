package tenancy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// reveal reads a person's name by an instance.
func reveal(ctx context.Context, db *tenancy.DB, id uuid.UUID) error {
	p, err := persons.Get(ctx, db, id)
	if err != nil {
		return err
	}
	_, err = p.Name.Reveal()
	return err
}

// refuseWrites wants every write about a person refused.
func refuseWrites(ctx context.Context, t *testing.T, db *tenancy.DB, id uuid.UUID) {
	t.Helper()
	for name, err := range map[string]error{
		"encrypted": persons.Edit(ctx, db, id, func(p *person) error { p.Name = field.New("again"); return nil }),
		"personal":  persons.Edit(ctx, db, id, func(p *person) error { p.City = "again"; return nil }),
	} {
		if !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("%s: %v, want ErrErased", name, err)
		}
	}
}

// TestOtherInstance: an instance whose key is warm cannot write from the moment of
// the erasure, and cannot read when the cache's time is over.
func TestOtherInstance(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			t.Attr("art32.measure", "TOM-7.2")
			w := newOffice(t, tenancytest.SQLite, nil)
			two, ctx, id := warmed(t, w)
			must(t, w.DB.Erase(ctx, id))
			refuseWrites(ctx, t, two.DB, id)
			time.Sleep(w.Keys.TTL())
			if err := reveal(ctx, two.DB, id); !errors.Is(err, field.ErrErased) {
				t.Errorf("after the TTL: %v, want ErrErased", err)
			}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", "TOM-7.2")
		o := officeOptions(tenancytest.Postgres, nil)
		o.Keyring = &keyring.Options{TTL: 200 * time.Millisecond}
		w := tenancytest.New(t, office, o)
		two, ctx, id := warmed(t, w)
		must(t, w.DB.Erase(ctx, id))
		erased := time.Now()
		refuseWrites(ctx, t, two.DB, id)
		for {
			late := time.Since(erased) > w.Keys.TTL()
			err := reveal(ctx, two.DB, id)
			if errors.Is(err, field.ErrErased) {
				return
			}
			if late || err != nil {
				t.Fatalf("read after the TTL: %v, want ErrErased", err)
			}
		}
	})
}

// warmed is a second instance that has read a person.
func warmed(t *testing.T, w *tenancytest.World) (two *tenancytest.World, ctx context.Context, id uuid.UUID) {
	t.Helper()
	ctx = w.In(t, w.A)
	id = fillOffice(ctx, t, w.DB, 1)[0]
	two = w.Reopen(t)
	must(t, reveal(ctx, two.DB, id))
	return two, ctx, id
}

// TestTenantElsewhere: a transaction that was open before a tenant was erased, in
// an instance whose keys are warm, writes nothing about people any more.
func TestTenantElsewhere(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, c tenancy.Conn, id uuid.UUID) error{
		"person": func(ctx context.Context, c tenancy.Conn, id uuid.UUID) error {
			return persons.Edit(ctx, c, id, func(p *person) error { p.City = "again"; return nil })
		},
		"contract": func(ctx context.Context, c tenancy.Conn, _ uuid.UUID) error {
			return contracts.Insert(ctx, c, &contract{Text: field.New("again"), Signer: "again"})
		},
		"in clear": func(ctx context.Context, c tenancy.Conn, _ uuid.UUID) error {
			return contracts.Insert(ctx, c, &contract{Signer: "again"})
		},
	} {
		for _, engine := range engines {
			t.Run(name+"/"+engine, func(t *testing.T) {
				t.Parallel()
				t.Attr("art32.measure", "TOM-7.2")
				w := newOffice(t, engine, nil)
				two, ctx, id := warmed(t, w)
				must(t, contracts.Insert(ctx, two.DB, &contract{Text: field.New("x")})) // warm too
				err := two.DB.In(ctx, func(inner context.Context, tx *tenancy.Tx) error {
					if engine == tenancytest.Postgres { // in SQLite there is one writer: the erasure would wait
						if _, err := plans.Count(inner, tx); err != nil {
							return err
						}
					}
					must(t, w.DB.EraseTenant(ctx))
					return write(inner, tx, id)
				})
				if !errors.Is(err, tenancy.ErrErased) {
					t.Errorf("%v, want ErrErased", err)
				}
				if n := left(t, w, w.A); n != 0 {
					t.Errorf("%d rows and payloads hold something", n)
				}
			})
		}
	}
}
