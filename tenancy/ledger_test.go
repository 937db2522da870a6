package tenancy_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// book is a ledger that looks, when it is told of an erasure, whether the
// person can still be read.
type book struct {
	mu      sync.Mutex
	fail    error
	entries []string
	look    func(ctx context.Context) (string, error)
	seen    []string
}

func (b *book) Erased(ctx context.Context, tenant tenancy.ID, subject uuid.UUID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.look != nil {
		name, err := b.look(ctx)
		if err != nil {
			return err
		}
		b.seen = append(b.seen, name)
	}
	if b.fail != nil {
		return b.fail
	}
	b.entries = append(b.entries, tenant.String()+" "+subject.String())
	return nil
}

// TestLedger: an erasure is written down before the key is destroyed, and is
// refused where it cannot be.
func TestLedger(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			ledger := &book{}
			w := tenancytest.New(t, tenancy.Schema{persons}, &tenancytest.Options{
				Engine: engine, Migrations: personsMigrations(), Ledger: ledger,
			})
			ctx := w.In(t, w.A)
			p := person{Name: field.New("Änne"), City: "Köln"}
			must(t, persons.Insert(ctx, w.DB, &p))
			// Another instance reads, whose keys are cold each time.
			reveal := func(ctx context.Context) (string, error) {
				other := w.Reopen(t)
				got, err := persons.Get(ctx, other.DB, p.ID)
				if err != nil {
					return "", err
				}
				return got.Name.Reveal()
			}
			ledger.look = reveal

			ledger.fail = errors.New("disk full")
			if err := w.DB.Erase(ctx, p.ID); !errors.Is(err, ledger.fail) || !strings.Contains(err.Error(), "ledger") {
				t.Errorf("the ledger failed: %v", err)
			}
			if name, err := reveal(ctx); name != "Änne" || err != nil {
				t.Errorf("the key was destroyed without an entry: %q, %v", name, err)
			}
			must(t, persons.Edit(ctx, w.DB, p.ID, func(p *person) error { p.City = "Bonn"; return nil }))

			ledger.fail = nil
			must(t, w.DB.Erase(ctx, p.ID))
			if _, err := reveal(ctx); !errors.Is(err, field.ErrErased) {
				t.Errorf("after the erasure: %v, want ErrErased", err)
			}
			ledger.look = nil
			must(t, w.DB.Erase(ctx, p.ID)) // repeated
			want := w.A.String() + " " + p.ID.String()
			if len(ledger.entries) != 2 || ledger.entries[0] != want || ledger.entries[1] != want {
				t.Errorf("entries %q", ledger.entries)
			}
			if len(ledger.seen) != 2 || ledger.seen[1] != "Änne" {
				t.Errorf("when the ledger was told, the name was %q", ledger.seen)
			}
		})
	}
}

// TestLedgerNotTold: what is no erasure is not written down.
func TestLedgerNotTold(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ledger := &book{}
			w := tenancytest.New(t, tenancy.Schema{persons}, &tenancytest.Options{
				Engine: engine, Migrations: personsMigrations(), Ledger: ledger,
			})
			id := uuid.New()
			refused := map[string]error{
				"nobody":         w.DB.Erase(w.In(t, w.A), uuid.Nil),
				"no tenant":      w.DB.Erase(w.In(t, tenancy.ID{}), id),
				"unknown tenant": w.DB.Erase(w.In(t, tenancy.NewID()), id),
				"no actor":       w.DB.Erase(tenancy.WithTenant(t.Context(), w.A), id),
				"inside":         w.DB.In(w.In(t, w.A), func(ctx context.Context, _ *tenancy.Tx) error { return w.DB.Erase(ctx, id) }),
			}
			for name, err := range refused {
				if err == nil {
					t.Errorf("%s: erased", name)
				}
			}
			if len(ledger.entries) != 0 {
				t.Errorf("entries %q", ledger.entries)
			}
		})
	}
}
