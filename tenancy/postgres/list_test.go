package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// narrowIndex is a table whose blind index is so narrow that it finds rows by
// coincidence.
type member struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email,rows=16"`
}

var (
	members      = tenancy.MustRepository[member]("members")
	memberEmail  = tenancy.MustColumn[string](members, "email")
	customerName = tenancy.MustColumn[string](customers, "name")
	customerCity = tenancy.MustColumn[string](customers, "city")
	sampleBig    = tenancy.MustColumn[int64](samples, "big")
	sampleMaybe  = tenancy.MustColumn[string](samples, "maybe")
)

// fill writes n samples of a tenant, as fast as the database can.
func (w *world) fill(t *testing.T, tenant tenancy.ID, n int) {
	t.Helper()
	w.admin(t).MustExec(`INSERT INTO samples (tenant_id, id, text, colour, level, small, big, "real", yes, at)
		SELECT $1, gen_random_uuid(), '', gen_random_uuid(), 0, 0, i % 7, 0, true, now() FROM generate_series(1, $2::int) i`, tenant, n)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	w := withSamples(t)
	const total = 1203
	w.fill(t, tenantOf(t, w.b), 600)
	for _, n := range []int{0, 1, 499, 1, 499, 203} { // and the sums between
		w.fill(t, tenantOf(t, w.a), n)
		seen := 0
		for _, err := range samples.List(w.a, w.db) {
			if err != nil {
				t.Fatal(err)
			}
			seen++
		}
		if want, err := samples.Count(w.a, w.db); err != nil || seen != want {
			t.Errorf("listed %d of %d rows, %v", seen, want, err)
		}
	}
	var before []uuid.UUID
	if err := w.admin(t).Select(&before, "SELECT id FROM samples WHERE tenant_id = $1 ORDER BY id", tenantOf(t, w.a)); err != nil || len(before) != total {
		t.Fatalf("%d rows, %v", len(before), err)
	}
	seen, last := map[uuid.UUID]int{}, sampleID{}
	for row, err := range samples.List(w.a, w.db) {
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Compare(row.ID[:], last[:]) <= 0 {
			t.Fatal("not in the order of the keys")
		}
		last = row.ID
		if seen[uuid.UUID(row.ID)]++; len(seen)%100 == 0 { // while others write, and the loop reads
			w.fill(t, tenantOf(t, w.a), 20)
			if _, err := samples.Get(w.a, w.db, row.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, id := range before {
		if seen[id] != 1 {
			t.Errorf("a row was listed %d times", seen[id])
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := withSamples(t)
	w.fill(t, tenantOf(t, w.a), 70)
	w.insert(w.a, t, "Anton")
	many := make([]int64, 70_000)
	for _, c := range []struct {
		name    string
		filters []tenancy.Filter
		want    int
	}{
		{"one value", []tenancy.Filter{sampleBig.Eq(3)}, 10},
		{"values", []tenancy.Filter{sampleBig.In(3, 4, 3)}, 20},
		{"no value", []tenancy.Filter{sampleBig.In()}, 0},
		{"null", []tenancy.Filter{sampleMaybe.IsNull()}, 70},
		{"null is no value", []tenancy.Filter{sampleMaybe.Eq("")}, 0},
		{"both", []tenancy.Filter{sampleBig.Eq(3), sampleMaybe.IsNull(), sampleBig.In(2, 3)}, 10},
		{"neither", []tenancy.Filter{sampleBig.Eq(3), sampleBig.Eq(4)}, 0},
		{"quotes", []tenancy.Filter{sampleMaybe.Eq("' OR true --")}, 0},
	} {
		n, err := samples.Count(w.a, w.db, c.filters...)
		listed := 0
		var clauses []tenancy.Clause
		for _, f := range c.filters {
			clauses = append(clauses, f)
		}
		for _, lerr := range samples.List(w.a, w.db, clauses...) {
			err = errors.Join(err, lerr)
			listed++
		}
		if err != nil || n != c.want || listed != c.want {
			t.Errorf("%s: counted %d, listed %d, %v; want %d", c.name, n, listed, err, c.want)
		}
	}
	for name, f := range map[string]tenancy.Filter{
		"of another table": customerPlan.Eq("free"), "zero": {}, "of the zero column": tenancy.Column[int]{}.Eq(1),
		"null of the zero column": tenancy.Column[int]{}.IsNull(), "too many values": sampleBig.In(many...), "NUL": sampleMaybe.Eq("\x00"),
	} {
		if n, err := samples.Count(w.a, w.db, f); err == nil {
			t.Errorf("%s: counted %d, want an error", name, n)
		}
		for _, err := range samples.List(w.a, w.db, f) {
			if err == nil {
				t.Errorf("%s: listed, want an error", name)
			}
		}
	}
	if _, err := customers.Count(w.a, w.db, customerName.Eq("Anton")); !errors.Is(err, tenancy.ErrNotIndexed) {
		t.Errorf("without index: %v, want ErrNotIndexed", err)
	}
	if n, err := customers.Count(w.a, w.db, customerEmail.In("ANTON@example.org", "x@example.org"), customerCity.Eq("Köln")); err != nil || n != 1 {
		t.Errorf("by blind index: %d, %v; want 1", n, err)
	}
	if _, err := members.Get(w.a, w.db, uuid.New()); err == nil || errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("a table that is not in the schema: %v", err)
	}
}

// A narrow index reveals little and finds too much; the list sifts.
func TestNarrowIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asOwner(t, "CREATE TABLE members (tenant_id uuid, id uuid, email bytea, email_bidx bytea, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('members')")
	w = &world{owner: w.owner, logins: w.logins, keys: w.keys, a: w.a, b: w.b, db: w.reopen(t, customers, members)}
	const n = 200
	for i := range n {
		if err := members.Insert(w.a, w.db, &member{Email: field.New(fmt.Sprintf("%d@example.org", i))}); err != nil {
			t.Fatal(err)
		}
	}
	var distinct int
	if err := w.admin(t).Get(&distinct, "SELECT count(DISTINCT email_bidx) FROM members"); err != nil || distinct >= n/2 {
		t.Fatalf("%d sums of %d values, %v: nothing coincides", distinct, n, err)
	}
	for i := range n {
		address := fmt.Sprintf("%d@example.org", i)
		if found, err := members.Count(w.a, w.db, memberEmail.Eq(address)); err != nil || found != 1 {
			t.Errorf("counted %d by value %d, %v; want 1", found, i, err)
		}
	}
	if found, err := members.Count(w.a, w.db, memberEmail.Eq("nobody@example.org")); err != nil || found != 0 {
		t.Errorf("counted %d of nobody, %v", found, err)
	}
}
