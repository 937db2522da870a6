package tenancy_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestOrdersOfComposite compares lists and pages over a key of several columns with a
// sorted slice.
func TestOrdersOfComposite(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someLines(700)
		must(t, orderLines.InsertAll(ctx, w.DB, all))
		must(t, orderLines.InsertAll(w.In(t, w.B), w.DB, someLines(20)))
		for name, c := range map[string]struct {
			clauses []tenancy.Clause
			less    func(a, b orderLine) int
		}{
			"none":       {nil, byKey},
			"cents":      {[]tenancy.Clause{lineCents.Asc()}, func(a, b orderLine) int { return cmp.Or(cmp.Compare(a.Cents, b.Cents), byKey(a, b)) }},
			"cents desc": {[]tenancy.Clause{lineCents.Desc()}, func(a, b orderLine) int { return cmp.Or(cmp.Compare(b.Cents, a.Cents), byKey(b, a)) }},
			"one of the key": {[]tenancy.Clause{linePosition.Desc()}, func(a, b orderLine) int {
				return cmp.Or(cmp.Compare(b.Position, a.Position), byKey(b, a))
			}},
			"all of it, mixed": {[]tenancy.Clause{lineSKU.Desc(), lineOrder.Asc(), linePosition.Desc()}, func(a, b orderLine) int {
				return cmp.Or(strings.Compare(string(b.SKU), string(a.SKU)),
					strings.Compare(uuid.UUID(a.Order).String(), uuid.UUID(b.Order).String()), cmp.Compare(b.Position, a.Position))
			}},
		} {
			want := slices.Clone(all)
			slices.SortFunc(want, c.less)
			if got := listed(t, orderLines.List(ctx, w.DB, c.clauses...)); !slices.Equal(keysOf(got), keysOf(want)) {
				t.Errorf("%s: listed %d rows in another order", name, len(got))
			}
			for _, size := range []int{7, 600} {
				left, cursor := keysOf(want), ""
				for {
					p, err := orderLines.Page(ctx, w.DB, cursor, append(c.clauses, tenancy.Limit(size))...)
					must(t, err)
					if n := min(size, len(left)); !slices.Equal(keysOf(p.Rows), left[:n]) || (p.Next == "") != (n == len(left)) {
						t.Fatalf("%s: a page of %d rows: %d, next %q", name, size, len(p.Rows), p.Next)
					}
					left = left[len(p.Rows):]
					if cursor = p.Next; cursor == "" {
						break
					}
				}
			}
		}
		filters := []tenancy.Filter{lineSKU.In("a", `q"\'{},`), linePosition.AtLeast(0), tenancy.Not(lineOrder.Eq(all[0].Order))}
		want := 0
		for _, l := range all {
			want += b2i((l.SKU == "a" || l.SKU == `q"\'{},`) && l.Position >= 0 && l.Order != all[0].Order)
		}
		if n, err := orderLines.Count(ctx, w.DB, filters...); n != want || want == 0 || err != nil {
			t.Errorf("%d rows of %d (%v)", n, want, err)
		}
	})
}

// TestBulkOfComposite: all rows, page by page, of the tenant alone, with an event each.
func TestBulkOfComposite(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someLines(1100)
		must(t, orderLines.InsertAll(ctx, w.DB, all))
		theirs := slices.Clone(all[:30]) // the same keys
		for i := range theirs {
			theirs[i].Tenant, theirs[i].Text, theirs[i].Version = tenancy.ID{}, field.New("theirs"+string(rune('a'+i))), 0
		}
		must(t, orderLines.InsertAll(w.In(t, w.B), w.DB, theirs))
		seen := map[orderLineKey]int{}
		n, err := orderLines.EditAll(ctx, w.DB, func(l *orderLine) error { seen[l.key()]++; l.Cents = 1000; return nil })
		if n != len(all) || err != nil || len(seen) != len(all) {
			t.Errorf("edited %d rows, saw %d (%v)", n, len(seen), err)
		}
		for i := range all {
			if l := &all[i]; seen[l.key()] != 1 {
				t.Fatalf("%v seen %d times", l.key(), seen[l.key()])
			}
		}
		got := listed(t, orderLines.List(ctx, w.DB, lineText.Eq("line 5")))
		if len(got) != 1 || got[0].key() != all[5].key() || got[0].Version != 2 || got[0].Cents != 1000 {
			t.Errorf("%+v", got)
		}
		if n, err := orderLines.DeleteAll(ctx, w.DB, linePosition.Less(0)); n == 0 || err != nil {
			t.Errorf("deleted %d (%v)", n, err)
		}
		if n, err := orderLines.DeleteAll(ctx, w.DB); n == 0 || err != nil {
			t.Errorf("deleted %d (%v)", n, err)
		}
		for id, want := range map[tenancy.ID]int{w.A: 0, w.B: len(theirs)} {
			if n, err := orderLines.Count(w.In(t, id), w.DB); n != want || err != nil {
				t.Errorf("%d rows left, want %d (%v)", n, want, err)
			}
		}
	})
}

// TestReferencesOfTypedKeys: a reference goes to one UUID, of the right type.
func TestReferencesOfTypedKeys(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		c := client{Name: "C"}
		must(t, clients.Insert(ctx, w.DB, &c))
		all := someLines(5)
		all[0].Client = c.ID
		got, err := lineClient.Load(ctx, w.DB, all)
		if len(got) != 1 || got[uuid.UUID(c.ID)] != c || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
	for name, err := range map[string]error{
		"to a composite key": second(tenancy.NewReference(orderLines, "client_id", memberships)),
		"to a text":          second(tenancy.NewReference(orderLines, "client_id", options)),
		"of another type":    second(tenancy.NewReference(orderLines, "order_id", clients)),
	} {
		if err == nil {
			t.Errorf("a reference %s was declared", name)
		}
	}
	if _, err := tenancy.NewReference(memberships, "user_id", clients); err != nil {
		t.Errorf("from a plain UUID: %v", err)
	}
}

// TestUpsertOfComposite: one key, many who upsert it.
func TestUpsertOfComposite(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		m := membership{User: uuid.New(), Group: uuid.New()}
		errs := make(chan error, 6)
		for range cap(errs) {
			go func() {
				row := m
				errs <- memberships.Upsert(ctx, w.DB, &row)
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil && !errors.Is(err, tenancy.ErrExists) {
				t.Error(err)
			}
		}
		if n, err := memberships.Count(ctx, w.DB); n != 1 || err != nil {
			t.Errorf("%d rows (%v)", n, err)
		}
	})
}
