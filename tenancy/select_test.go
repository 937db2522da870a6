package tenancy_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type payer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   field.Encrypted[string] `db:"name"      art32:"index=name_bidx:casefold"`
}

type bill struct {
	ID      uuid.UUID  `db:"id"        art32:"key"`
	Tenant  tenancy.ID `db:"tenant_id" art32:"tenant"`
	Payer   *uuid.UUID `db:"payer_id"  art32:"open"`
	Number  string     `db:"number"    art32:"open"`
	Due     time.Time  `db:"due"       art32:"open"`
	Cents   int64      `db:"cents"     art32:"open"`
	Rate    float64    `db:"rate"      art32:"open"`
	Paid    bool       `db:"paid"      art32:"open"`
	Rebate  *int64     `db:"rebate"    art32:"open"`
	Version int64      `db:"version"   art32:"version"`
}

var (
	payers     = tenancy.MustRepository[payer]("payers")
	payerName  = tenancy.MustColumn[string](payers, "name")
	bills      = tenancy.MustRepository[bill]("bills")
	billID     = tenancy.MustColumn[uuid.UUID](bills, "id")
	billNumber = tenancy.MustColumn[string](bills, "number")
	billDue    = tenancy.MustColumn[time.Time](bills, "due")
	billCents  = tenancy.MustColumn[int64](bills, "cents")
	billRate   = tenancy.MustColumn[float64](bills, "rate")
	billPaid   = tenancy.MustColumn[bool](bills, "paid")
	billRebate = tenancy.MustColumn[int64](bills, "rebate")
	billPayer  = tenancy.MustReference(bills, "payer_id", payers)
)

var billMigrations = fstest.MapFS{
	"sqlite/0001_bills.sql": {Data: []byte(`CREATE TABLE payers
	(tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, name BLOB, name_bidx BLOB);
CREATE TABLE bills (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, payer_id TEXT, number TEXT NOT NULL,
	due TEXT NOT NULL, cents INTEGER NOT NULL, rate REAL NOT NULL, paid INTEGER NOT NULL, rebate INTEGER, version INTEGER NOT NULL);`)},
	"postgres/0001_bills.sql": {Data: []byte(`CREATE TABLE payers
	(tenant_id uuid NOT NULL, id uuid NOT NULL, name bytea, name_bidx bytea, PRIMARY KEY (tenant_id, id));
CREATE TABLE bills (tenant_id uuid NOT NULL, id uuid NOT NULL, payer_id uuid, number text COLLATE "C" NOT NULL,
	due timestamptz NOT NULL, cents bigint NOT NULL, rate double precision NOT NULL, paid boolean NOT NULL, rebate bigint,
	version bigint NOT NULL, PRIMARY KEY (tenant_id, id));
SELECT art32.protect('payers'); SELECT art32.protect('bills');`)},
}

// onBills runs a test on both engines.
func onBills(t *testing.T, test func(t *testing.T, ctx context.Context, w *tenancytest.World)) {
	t.Helper()
	t.Attr("art32.measure", "TOM-8.1")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := tenancytest.New(t, tenancy.Schema{payers, bills}, &tenancytest.Options{Engine: engine, Migrations: billMigrations})
			test(t, w.In(t, w.A), w)
		})
	}
}

// someBills are rows with few values, so that many are equal.
func someBills(n int) []bill {
	rnd := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	out := make([]bill, n)
	for i := range out {
		out[i] = bill{
			ID: uuid.New(), Number: fmt.Sprintf("B-%02d", rnd.IntN(20)), Due: start.Add(time.Duration(rnd.IntN(9)) * time.Hour),
			Cents: int64(rnd.IntN(7)) - 3, Rate: float64(rnd.IntN(5)) / 3, Paid: rnd.IntN(2) == 0,
		}
		if r := int64(rnd.IntN(4)); r > 0 {
			out[i].Rebate = &r
		}
	}
	return out
}

func listed[T any](tb testing.TB, rows func(func(T, error) bool)) (out []T) {
	tb.Helper()
	for r, err := range rows {
		must(tb, err)
		out = append(out, r)
	}
	return out
}

func billIDs(rows []bill) []uuid.UUID {
	out := make([]uuid.UUID, len(rows))
	for i := range rows {
		out[i] = rows[i].ID
	}
	return out
}

// rebates compares with NULL as the greatest.
func rebates(a, b bill) int {
	switch {
	case a.Rebate == nil || b.Rebate == nil:
		return cmp.Compare(b2i(a.Rebate == nil), b2i(b.Rebate == nil))
	}
	return cmp.Compare(*a.Rebate, *b.Rebate)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestOrders compares lists and pages with a sorted slice.
func TestOrders(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someBills(1200)
		must(t, bills.InsertAll(ctx, w.DB, all))
		byID := func(a, b bill) int { return strings.Compare(a.ID.String(), b.ID.String()) }
		for name, c := range map[string]struct {
			clauses []tenancy.Clause
			less    func(a, b bill) int
		}{
			"none":       {nil, byID},
			"due":        {[]tenancy.Clause{billDue.Asc()}, func(a, b bill) int { return cmp.Or(a.Due.Compare(b.Due), byID(a, b)) }},
			"cents desc": {[]tenancy.Clause{billCents.Desc()}, func(a, b bill) int { return cmp.Or(cmp.Compare(b.Cents, a.Cents), byID(b, a)) }},
			"mixed": {[]tenancy.Clause{billNumber.Asc(), billRate.Desc()}, func(a, b bill) int {
				return cmp.Or(strings.Compare(a.Number, b.Number), cmp.Compare(b.Rate, a.Rate), byID(b, a))
			}},
			"null last":  {[]tenancy.Clause{billRebate.Asc()}, func(a, b bill) int { return cmp.Or(rebates(a, b), byID(a, b)) }},
			"null first": {[]tenancy.Clause{billRebate.Desc()}, func(a, b bill) int { return cmp.Or(rebates(b, a), byID(b, a)) }},
			"null in the middle": {[]tenancy.Clause{billPaid.Desc(), billRebate.Asc(), billCents.Desc()}, func(a, b bill) int {
				return cmp.Or(cmp.Compare(b2i(b.Paid), b2i(a.Paid)), rebates(a, b), cmp.Compare(b.Cents, a.Cents), byID(b, a))
			}},
			"by key downwards": {[]tenancy.Clause{billID.Desc()}, func(a, b bill) int { return byID(b, a) }},
		} {
			want := slices.Clone(all)
			slices.SortFunc(want, c.less)
			got := listed(t, bills.List(ctx, w.DB, c.clauses...))
			if !slices.Equal(billIDs(got), billIDs(want)) {
				t.Errorf("%s: listed %d rows in another order", name, len(got))
			}
			for _, size := range []int{1, 3, 50, 600, 1000} {
				if size == 1 && name != "null in the middle" {
					continue
				}
				want, cursor, pages := billIDs(want), "", 0
				for {
					p, err := bills.Page(ctx, w.DB, cursor, append(c.clauses, tenancy.Limit(size))...)
					must(t, err)
					if n := min(size, len(want)); !slices.Equal(billIDs(p.Rows), want[:n]) || (p.Next == "") != (n == len(want)) {
						t.Fatalf("%s: page %d of %d rows: %d rows, next %q", name, pages, size, len(p.Rows), p.Next)
					}
					want = want[len(p.Rows):]
					if cursor, pages = p.Next, pages+1; cursor == "" || size == 1 && pages == 40 {
						break
					}
				}
			}
			if n := len(listed(t, bills.List(ctx, w.DB, append(c.clauses, tenancy.Limit(501))...))); n != 501 {
				t.Errorf("%s: limit of 501: %d rows", name, n)
			}
		}
	})
}

// TestFilters compares filters with the same in Go.
func TestFilters(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someBills(300)
		must(t, bills.InsertAll(ctx, w.DB, all))
		noon := all[0].Due
		three := int64(3)
		for name, c := range map[string]struct {
			filters []tenancy.Filter
			holds   func(b bill) bool
		}{
			"less":      {[]tenancy.Filter{billCents.Less(0)}, func(b bill) bool { return b.Cents < 0 }},
			"at most":   {[]tenancy.Filter{billDue.AtMost(noon)}, func(b bill) bool { return !b.Due.After(noon) }},
			"greater":   {[]tenancy.Filter{billRate.Greater(0.5)}, func(b bill) bool { return b.Rate > 0.5 }},
			"at least":  {[]tenancy.Filter{billNumber.AtLeast("B-10")}, func(b bill) bool { return b.Number >= "B-10" }},
			"range":     {[]tenancy.Filter{billCents.AtLeast(-1), billCents.Less(2)}, func(b bill) bool { return b.Cents >= -1 && b.Cents < 2 }},
			"null":      {[]tenancy.Filter{billRebate.Less(9)}, func(b bill) bool { return b.Rebate != nil }},
			"not":       {[]tenancy.Filter{tenancy.Not(billRebate.Eq(three))}, func(b bill) bool { return b.Rebate == nil || *b.Rebate != 3 }},
			"not null":  {[]tenancy.Filter{tenancy.Not(billRebate.IsNull())}, func(b bill) bool { return b.Rebate != nil }},
			"any":       {[]tenancy.Filter{tenancy.Any(billPaid.Eq(true), billCents.Eq(3))}, func(b bill) bool { return b.Paid || b.Cents == 3 }},
			"any of 0":  {[]tenancy.Filter{tenancy.Any()}, func(bill) bool { return false }},
			"none of":   {[]tenancy.Filter{tenancy.Not(tenancy.Any(billPaid.Eq(true), billCents.In(1, 2)))}, func(b bill) bool { return !b.Paid && b.Cents != 1 && b.Cents != 2 }},
			"in":        {[]tenancy.Filter{billNumber.In("B-01", `B-02`, `"\'{},NULL`)}, func(b bill) bool { return b.Number == "B-01" || b.Number == "B-02" }},
			"in times":  {[]tenancy.Filter{billDue.In(noon, noon.Add(time.Hour))}, func(b bill) bool { return b.Due.Equal(noon) || b.Due.Equal(noon.Add(time.Hour)) }},
			"in floats": {[]tenancy.Filter{billRate.In(1.0/3, 2.0/3)}, func(b bill) bool { return b.Rate == 1.0/3 || b.Rate == 2.0/3 }},
			"in bools":  {[]tenancy.Filter{billPaid.In(true, true)}, func(b bill) bool { return b.Paid }},
			"in keys":   {[]tenancy.Filter{billID.In(all[3].ID, all[7].ID, uuid.New())}, func(b bill) bool { return b.ID == all[3].ID || b.ID == all[7].ID }},
			"where":     {[]tenancy.Filter{tenancy.Where("cents * 2 > $1 AND number LIKE $2 -- and no more", 1, "B-0%"), billPaid.Eq(true)}, func(b bill) bool { return b.Cents*2 > 1 && strings.HasPrefix(b.Number, "B-0") && b.Paid }},
		} {
			want := 0
			for _, b := range all {
				want += b2i(c.holds(b))
			}
			n, err := bills.Count(ctx, w.DB, c.filters...)
			must(t, err)
			clauses := []tenancy.Clause{billDue.Asc()}
			for _, f := range c.filters {
				clauses = append(clauses, f)
			}
			got := listed(t, bills.List(ctx, w.DB, clauses...))
			for _, b := range got {
				if !c.holds(b) {
					t.Errorf("%s: listed %+v", name, b)
				}
			}
			if n != want || len(got) != want || want == 0 && name != "any of 0" {
				t.Errorf("%s: counted %d, listed %d, want %d", name, n, len(got), want)
			}
		}
	})
}

// TestFiltersStay: a filter does not follow the slice that it was made of.
func TestFiltersStay(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, bills.InsertAll(ctx, w.DB, []bill{{Cents: 1, Paid: true}, {Cents: 2, Paid: true}}))
		cents, args, parts := []int64{1, 2}, []any{1}, []tenancy.Filter{billCents.Eq(2)}
		filters := []tenancy.Filter{billCents.In(cents...), tenancy.Where("cents > $1", args...), tenancy.Any(parts...)}
		clear(cents)
		args[0], parts[0] = 9, billPaid.Eq(false)
		if n, err := bills.Count(ctx, w.DB, filters...); n != 1 || err != nil {
			t.Errorf("%d rows (%v)", n, err)
		}
	})
}

// TestRefusedClauses: what cannot be answered is an error, not another answer.
func TestRefusedClauses(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		for name, c := range map[string]struct {
			rows func(func(payer, error) bool)
			want error
		}{
			"order by encrypted":   {payers.List(ctx, w.DB, payerName.Asc()), tenancy.ErrNotIndexed},
			"compare encrypted":    {payers.List(ctx, w.DB, payerName.Less("M")), tenancy.ErrNotIndexed},
			"order of another":     {payers.List(ctx, w.DB, billDue.Asc()), nil},
			"order of no column":   {payers.List(ctx, w.DB, tenancy.Order{}), nil},
			"filter of another":    {payers.List(ctx, w.DB, billPaid.Eq(true)), nil},
			"another inside not":   {payers.List(ctx, w.DB, tenancy.Not(billPaid.Eq(true))), nil},
			"encrypted inside not": {payers.List(ctx, w.DB, tenancy.Not(payerName.Eq("A"))), tenancy.ErrBadValue},
			"encrypted inside any": {payers.List(ctx, w.DB, tenancy.Any(payerName.Eq("A"))), tenancy.ErrBadValue},
			"where inside not":     {payers.List(ctx, w.DB, tenancy.Not(tenancy.Where("true"))), tenancy.ErrBadValue},
			"deep":                 {payers.List(ctx, w.DB, tenancy.Not(tenancy.Any(tenancy.Any(payerName.Eq("A"))))), tenancy.ErrBadValue},
			"value too few":        {payers.List(ctx, w.DB, tenancy.Where("id = $2", 1)), tenancy.ErrBadValue},
			"no value":             {payers.List(ctx, w.DB, tenancy.Where("id <> $1")), tenancy.ErrBadValue},
			"value of number 0":    {payers.List(ctx, w.DB, tenancy.Where("id <> $0", 1)), tenancy.ErrBadValue},
			"huge number":          {payers.List(ctx, w.DB, tenancy.Where("id <> $99999999999999999999", 1)), tenancy.ErrBadValue},
			"number after ?":       {payers.List(ctx, w.DB, tenancy.Where("id <> ?2", 1)), tenancy.ErrBadValue},
			"NUL":                  {payers.List(ctx, w.DB, tenancy.Where("true\x00")), tenancy.ErrBadValue},
			"comment without end":  {payers.List(ctx, w.DB, tenancy.Where("1 = 1) /*")), nil},
			"two wheres":           {payers.List(ctx, w.DB, tenancy.Where("true"), tenancy.Where("true")), tenancy.ErrBadValue},
			"no limit":             {payers.List(ctx, w.DB, tenancy.Limit(0)), tenancy.ErrBadValue},
			"two limits":           {payers.List(ctx, w.DB, tenancy.Limit(1), tenancy.Limit(2)), tenancy.ErrBadValue},
			"nil":                  {payers.List(ctx, w.DB, nil), tenancy.ErrBadValue},
		} {
			n := 0
			for _, err := range c.rows {
				if n++; err == nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", name, err, c.want)
				}
			}
			if n != 1 {
				t.Errorf("%s: %d results", name, n)
			}
		}
		if _, err := bills.Page(ctx, w.DB, "", billDue.Asc(), billDue.Desc()); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("ordered twice: %v", err)
		}
		if _, err := bills.Page(ctx, w.DB, "", tenancy.Limit(1001)); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("huge page: %v", err)
		}
		if _, err := bills.EditAll(ctx, w.DB, func(*bill) error { return nil }, tenancy.Where("true")); err == nil {
			t.Error("a bulk change takes a Where")
		}
		if err := w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			_, err := bills.Count(ctx, tx, tenancy.Where("true"))
			return err
		}); err == nil {
			t.Error("a transaction of the library's text takes a Where")
		}
		must(t, w.DB.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := bills.Count(ctx, tx, tenancy.Where("cents > $1", 0))
			return err
		}))
	})
}

// TestWhereOfSQLite: a parameter without a number is the text's, not the library's.
func TestWhereOfSQLite(t *testing.T) {
	t.Attr("art32.measure", "TOM-8.1")
	w := tenancytest.New(t, tenancy.Schema{payers, bills}, &tenancytest.Options{Migrations: billMigrations})
	ctx := w.In(t, w.A)
	must(t, bills.InsertAll(ctx, w.DB, []bill{{Cents: -1, Number: "a", Paid: true}, {Cents: 1, Number: "a", Paid: true}}))
	for _, text := range []string{"cents < ? AND number = ?", "cents < ?1 AND number = ?2", "number = $2 AND cents < $1"} {
		n, err := bills.Count(ctx, w.DB, billPaid.Eq(true), tenancy.Where(text, 0, "a"))
		if n != 1 || err != nil {
			t.Errorf("%s: %d rows (%v)", text, n, err)
		}
	}
}

// TestCursors: a cursor opens for its own tenant, table and order, unchanged.
func TestCursors(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, bills.InsertAll(ctx, w.DB, someBills(20)))
		other := w.In(t, w.B)
		must(t, bills.InsertAll(other, w.DB, someBills(20)))
		p, err := bills.Page(ctx, w.DB, "", billNumber.Asc(), tenancy.Limit(5))
		must(t, err)
		shown, err := base64.RawURLEncoding.DecodeString(p.Next)
		must(t, err)
		if bytes.Contains(shown, []byte(p.Rows[4].Number)) || bytes.Contains(shown, []byte(p.Rows[4].ID.String())) {
			t.Errorf("the cursor shows a value: %q", shown)
		}
		refused := func(name string, ctx context.Context, cursor string, clauses ...tenancy.Clause) {
			t.Helper()
			if _, err := bills.Page(ctx, w.DB, cursor, clauses...); !errors.Is(err, tenancy.ErrBadCursor) {
				t.Errorf("%s: %v", name, err)
			}
		}
		refused("another tenant", other, p.Next, billNumber.Asc())
		refused("another order", ctx, p.Next, billNumber.Desc())
		refused("no order", ctx, p.Next)
		for i := range len(p.Next) {
			b := []byte(p.Next)
			b[i]++
			refused("changed", ctx, string(b), billNumber.Asc())
		}
		for _, c := range []string{"x", "%", "AAAA", p.Next + "\n", p.Next + p.Next, p.Next[:len(p.Next)/2], strings.Repeat("A", 1<<16), "\x00"} {
			refused("no cursor", ctx, c, billNumber.Asc())
		}
		if _, err := payers.Page(ctx, w.DB, p.Next); !errors.Is(err, tenancy.ErrBadCursor) {
			t.Errorf("another table: %v", err)
		}
	})
}

// TestBulk writes many rows, each with its event, or none.
func TestBulk(t *testing.T) {
	t.Attr("art32.measure", "TOM-5.1")
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someBills(1100)
		all[7].ID = uuid.Nil
		must(t, bills.InsertAll(ctx, w.DB, all))
		must(t, bills.InsertAll(ctx, w.DB, nil))
		if all[7].ID == uuid.Nil || all[7].Tenant != w.A || all[7].Version != 1 {
			t.Errorf("row was not filled: %+v", all[7])
		}
		want := 0
		for _, b := range all {
			want += b2i(b.Cents > 0)
		}
		n, err := bills.EditAll(ctx, w.DB, func(b *bill) error {
			b.Paid, b.Cents = true, b.Cents*10
			return nil
		}, billCents.Greater(0))
		must(t, err)
		if paid, err := bills.Count(ctx, w.DB, billCents.AtLeast(10), billPaid.Eq(true)); err != nil || paid != want || n != want {
			t.Errorf("edited %d, %d stand, want %d (%v)", n, paid, want, err)
		}
		if n, err = bills.EditAll(ctx, w.DB, func(b *bill) error { b.Paid = true; return nil }, billCents.AtLeast(10)); n != 0 || err != nil {
			t.Errorf("edited %d rows to what they were (%v)", n, err)
		}
		gone, err := bills.DeleteAll(ctx, w.DB, billCents.Less(0))
		must(t, err)
		left, err := bills.Count(ctx, w.DB)
		must(t, err)
		if left != len(all)-gone || gone == 0 {
			t.Errorf("deleted %d of %d, %d are left", gone, len(all), left)
		}
		counts := map[string]int{}
		for e, err := range w.Log.Events(ctx, w.DB, audit.Filter{}) {
			must(t, err)
			counts[e.Action]++
		}
		if counts["bills.insert"] != len(all) || counts["bills.update"] != want || counts["bills.delete"] != gone {
			t.Errorf("events: %v; want %d, %d, %d", counts, len(all), want, gone)
		}

		refused := errors.New("not this one")
		seen := 0
		_, err = bills.EditAll(ctx, w.DB, func(b *bill) error {
			b.Number = "changed"
			if seen++; seen == 600 {
				return refused
			}
			return nil
		})
		if n, cerr := bills.Count(ctx, w.DB, billNumber.Eq("changed")); !errors.Is(err, refused) || n != 0 || cerr != nil {
			t.Errorf("an edit that failed in the middle left %d rows (%v, %v)", n, err, cerr)
		}
		twice := someBills(700)
		twice[650].ID = twice[3].ID
		if err := bills.InsertAll(ctx, w.DB, twice); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("a key twice: %v", err)
		}
		foreign := someBills(3)
		foreign[2].Tenant = w.B
		if err := bills.InsertAll(ctx, w.DB, foreign); !errors.Is(err, tenancy.ErrOtherTenant) {
			t.Errorf("a row of another tenant: %v", err)
		}
		if n, err := bills.Count(ctx, w.DB); n != left || err != nil {
			t.Errorf("%d rows after what failed, want %d (%v)", n, left, err)
		}
		must(t, w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			if err := bills.InsertAll(ctx, tx, someBills(5)); err != nil {
				return err
			}
			n, err := bills.DeleteAll(ctx, tx, billPaid.Eq(true))
			if m, cerr := bills.Count(ctx, tx, billPaid.Eq(false)); cerr != nil || n+m != left+5 {
				t.Errorf("in a transaction: %d and %d of %d (%v)", n, m, left+5, cerr)
			}
			return err
		}))
	})
}

// TestBulkFailsWhole: a caller who passes the error of a bulk change over commits no
// part of it.
func TestBulkFailsWhole(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, bills.InsertAll(ctx, w.DB, someBills(20)))
		refused, seen := errors.New("not this one"), 0
		foreign := someBills(700)
		foreign[650].Tenant = w.B
		for name, change := range map[string]func(ctx context.Context, tx *tenancy.Tx) error{
			"edit": func(ctx context.Context, tx *tenancy.Tx) error {
				_, err := bills.EditAll(ctx, tx, func(b *bill) error {
					b.Number = "changed"
					if seen++; seen == 10 {
						return refused
					}
					return nil
				})
				return err
			},
			"insert": func(ctx context.Context, tx *tenancy.Tx) error { return bills.InsertAll(ctx, tx, foreign) },
			"panic": func(ctx context.Context, tx *tenancy.Tx) (err error) {
				defer func() { err = fmt.Errorf("%v", recover()) }()
				n := 0
				_, err = bills.EditAll(ctx, tx, func(b *bill) error {
					b.Number = "changed"
					if n++; n == 5 {
						panic("not this one")
					}
					return nil
				})
				return err
			},
		} {
			err := w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				if err := change(ctx, tx); err == nil {
					t.Errorf("%s: no error", name)
				} else if name == "insert" && !strings.Contains(err.Error(), "row 650") {
					t.Errorf("%s: the error does not say which row: %v", name, err)
				}
				if _, err := bills.Count(ctx, tx); !errors.Is(err, tenancy.ErrTxDone) {
					t.Errorf("%s: the transaction goes on: %v", name, err)
				}
				return nil
			})
			if !errors.Is(err, tenancy.ErrTxDone) {
				t.Errorf("%s: committed: %v", name, err)
			}
		}
		all, err := bills.Count(ctx, w.DB)
		must(t, err)
		if n, err := bills.Count(ctx, w.DB, billNumber.Eq("changed")); n != 0 || all != 20 || err != nil {
			t.Errorf("%d rows changed, %d stand (%v)", n, all, err)
		}
	})
}

// TestBulkErased: nobody who was erased is written about by the way.
func TestBulkErased(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		people := []payer{{Name: field.New("Anna")}, {Name: field.New("Berta")}, {Name: field.New("Clara")}}
		must(t, payers.InsertAll(ctx, w.DB, people))
		must(t, w.DB.Erase(ctx, people[1].ID))
		again := []payer{{Name: field.New("Dora")}, {ID: people[1].ID, Name: field.New("Berta")}}
		if err := payers.InsertAll(ctx, w.DB, again); !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("inserted about the erased: %v", err)
		}
		n, err := payers.EditAll(ctx, w.DB, func(p *payer) error { p.Name = field.New("X"); return nil })
		if !errors.Is(err, tenancy.ErrErased) || n != 0 {
			t.Errorf("edited %d, %v", n, err)
		}
		if n, err := payers.Count(ctx, w.DB, payerName.Eq("anna")); n != 1 || err != nil {
			t.Errorf("%d rows of Anna (%v)", n, err)
		}
	})
}

// TestVersions: who writes over what he has not read is told.
func TestVersions(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		b := someBills(1)[0]
		must(t, bills.Insert(ctx, w.DB, &b))
		stale := b
		b.Cents++
		must(t, bills.Update(ctx, w.DB, &b))
		stale.Cents--
		if err := bills.Update(ctx, w.DB, &stale); b.Version != 2 || !errors.Is(err, tenancy.ErrConflict) {
			t.Errorf("version %d, then %v", b.Version, err)
		}
		if err := bills.Upsert(ctx, w.DB, &stale); !errors.Is(err, tenancy.ErrConflict) {
			t.Errorf("upsert: %v", err)
		}
		must(t, bills.Edit(ctx, w.DB, b.ID, func(b *bill) error { b.Cents += 7; return nil }))
		if err := bills.Edit(ctx, w.DB, b.ID, func(b *bill) error { b.Version = 9; return nil }); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("changed the version: %v", err)
		}
		got, err := bills.Get(ctx, w.DB, b.ID)
		must(t, err)
		if got.Version != 3 || got.Cents != b.Cents+7 {
			t.Errorf("%+v after %+v", got, b)
		}
		must(t, bills.Update(ctx, w.DB, &got)) // nothing differs
		if got.Version != 3 {
			t.Errorf("version %d of a row that did not change", got.Version)
		}
	})
}

// TestVersionsOfWhatFailed: a row that was not written can be written again.
func TestVersionsOfWhatFailed(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		later := errors.New("later")
		b, fresh := someBills(1)[0], someBills(1)[0]
		must(t, bills.Insert(ctx, w.DB, &b))
		err := w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			for range 3 {
				b.Cents += 5
				if err := bills.Update(ctx, tx, &b); err != nil {
					return err
				}
			}
			return errors.Join(later, bills.Insert(ctx, tx, &fresh))
		})
		if !errors.Is(err, later) || b.Version != 1 || fresh.Version != 0 {
			t.Errorf("versions %d and %d of rows that were rolled back (%v)", b.Version, fresh.Version, err)
		}
		must(t, bills.Update(ctx, w.DB, &b))
		if b.Version != 2 {
			t.Errorf("version %d", b.Version)
		}
		for range 10 {
			id, errs := uuid.New(), make(chan error, 6)
			for i := range cap(errs) {
				go func() {
					b := bill{ID: id, Number: fmt.Sprint(i), Due: time.Now()}
					errs <- bills.Upsert(ctx, w.DB, &b)
				}()
			}
			won := 0
			for range cap(errs) {
				if err := <-errs; err == nil {
					won++
				} else if !errors.Is(err, tenancy.ErrConflict) {
					t.Error(err)
				}
			}
			if won != 1 {
				t.Errorf("%d wrote over a row that they had not read", won-1)
			}
		}
	})
}

// TestUpsert inserts or updates, also when many do it at once.
func TestUpsert(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		fresh := bill{Number: "1", Due: time.Now()}
		must(t, bills.Upsert(ctx, w.DB, &fresh))
		fresh.Number = "2"
		must(t, bills.Upsert(ctx, w.DB, &fresh))
		if got, err := bills.Get(ctx, w.DB, fresh.ID); err != nil || got.Number != "2" || got.Version != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		other := w.In(t, w.B)
		theirs := bill{ID: fresh.ID, Number: "theirs", Due: time.Now()}
		must(t, bills.Upsert(other, w.DB, &theirs))
		if got, err := bills.Get(ctx, w.DB, fresh.ID); err != nil || got.Number != "2" {
			t.Errorf("another tenant's row of the same key changed ours: %+v, %v", got, err)
		}
		id := uuid.New()
		errs := make(chan error, 8)
		for i := range cap(errs) {
			go func() {
				p := payer{ID: id, Name: field.New(fmt.Sprint("person ", i))}
				errs <- payers.Upsert(ctx, w.DB, &p)
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n, err := payers.Count(ctx, w.DB); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

// TestReferences loads what rows refer to, of the tenant alone.
func TestReferences(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		people := make([]payer, 600)
		for i := range people {
			people[i].Name = field.New(fmt.Sprint("person ", i))
		}
		must(t, payers.InsertAll(ctx, w.DB, people))
		theirs := []payer{{Name: field.New("theirs")}}
		must(t, payers.InsertAll(w.In(t, w.B), w.DB, theirs))
		rows := someBills(900)
		for i := range 800 {
			rows[i].Payer = &people[i%600].ID
		}
		rows[850].Payer = &theirs[0].ID
		got, err := billPayer.Load(ctx, w.DB, rows)
		must(t, err)
		if len(got) != 600 {
			t.Errorf("%d rows", len(got))
		}
		for i, p := range people {
			if name, err := got[p.ID].Name.Reveal(); err != nil || name != fmt.Sprint("person ", i) {
				t.Fatalf("%d: %q, %v", i, name, err)
			}
		}
		if _, err := (tenancy.Reference[bill, payer]{}).Load(ctx, w.DB, rows); !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("zero reference: %v", err)
		}
	})
}

// TestWhereIsConfined: text that shapes a query reaches nothing of another tenant,
// writes nothing, and sees no table of the library.
func TestWhereIsConfined(t *testing.T) {
	onBills(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, bills.InsertAll(ctx, w.DB, someBills(5)))
		must(t, bills.InsertAll(w.In(t, w.B), w.DB, someBills(7)))
		for _, text := range []string{
			"true) OR (true", "1 = 1) OR tenant_id <> tenant_id OR (1 = 1", "true) UNION ALL SELECT count(*) FROM bills WHERE (true",
			fmt.Sprintf("tenant_id = '%s'", w.B), fmt.Sprintf("true) OR (tenant_id = '%s'", w.B),
			"true) --", "true); SELECT 1 WHERE (true", "true); DELETE FROM bills WHERE (true", "true); COMMIT; SELECT (1",
			"id IN (SELECT id FROM bills)", "EXISTS (SELECT 1 FROM " + controlTable(w, "events") + ")",
			"EXISTS (SELECT 1 FROM " + controlTable(w, "tenants") + ")", "true /*", "'", "\x00", "",
			"set_config('art32.tenant', '" + w.B.String() + "', true) IS NOT NULL", "set_config('art32.ctx', 'x', true) IS NOT NULL",
		} {
			n, err := bills.Count(ctx, w.DB, tenancy.Where(text))
			if n > 5 || n > 0 && err != nil {
				t.Errorf("%s: %d rows (%v)", text, n, err)
			}
			for b, err := range bills.List(ctx, w.DB, tenancy.Where(text)) {
				if err == nil && b.Tenant != w.A {
					t.Errorf("%s: a row of another tenant", text)
				}
			}
			if strings.Contains(text, "EXISTS") && err == nil {
				t.Errorf("%s: read a table of the library", text)
			}
		}
		for id, want := range map[tenancy.ID]int{w.A: 5, w.B: 7} {
			if n, err := bills.Count(w.In(t, id), w.DB); n != want || err != nil {
				t.Errorf("%d rows, want %d (%v)", n, want, err)
			}
		}
	})
}
