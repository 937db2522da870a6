package tenancy_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type letter struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	To     uuid.UUID               `db:"recipient" art32:"subject"`
	Body   field.Encrypted[string] `db:"body"`
}

// rate tells of nobody.
type rate struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Cents  int        `db:"cents"     art32:"open"`
}

var (
	letters      = tenancy.MustRepository[letter]("letters")
	rates        = tenancy.MustRepository[rate]("rates")
	censusSchema = tenancy.Schema{persons, letters, rates}
)

func censusMigrations() fs.FS {
	return fstest.MapFS{
		"sqlite/0001_all.sql": {Data: []byte(personsSQLite + `
			CREATE TABLE letters (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, recipient TEXT NOT NULL, body BLOB);
			CREATE TABLE rates (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, cents INTEGER NOT NULL);`)},
		"postgres/0001_all.sql": {Data: []byte(personsPostgres + `
			CREATE TABLE letters (tenant_id uuid NOT NULL, id uuid NOT NULL, recipient uuid NOT NULL, body bytea, PRIMARY KEY (tenant_id, id));
			SELECT art32.protect('letters');
			CREATE TABLE rates (tenant_id uuid NOT NULL, id uuid NOT NULL, cents int NOT NULL, PRIMARY KEY (tenant_id, id));
			SELECT art32.protect('rates');`)},
	}
}

// counted is a world in which tenant A has two persons, three letters, one of
// them to somebody who is in no other table, and a rate; B has a person.
func counted(t *testing.T, fn func(t *testing.T, w *tenancytest.World, people []uuid.UUID)) {
	t.Helper()
	o := &tenancytest.Options{Migrations: censusMigrations()}
	tenancytest.Each(t, censusSchema, o, func(t *testing.T, w *tenancytest.World) {
		a := w.In(t, w.A)
		one, two, stranger := person{City: "Köln"}, person{City: "Bonn"}, uuid.New()
		must(t, persons.Insert(a, w.DB, &one))
		must(t, persons.Insert(a, w.DB, &two))
		for _, to := range []uuid.UUID{one.ID, one.ID, stranger} {
			must(t, letters.Insert(a, w.DB, &letter{To: to, Body: field.New("…")}))
		}
		must(t, rates.Insert(a, w.DB, &rate{Cents: 5}))
		must(t, persons.Insert(w.In(t, w.B), w.DB, &person{City: "Ulm"}))
		fn(t, w, []uuid.UUID{one.ID, two.ID, stranger})
	})
}

var (
	ofPersons = tenancy.TableCensus{Table: "persons", Records: 2, Subjects: 2, Columns: []string{"name", "city"}}
	ofLetters = tenancy.TableCensus{Table: "letters", Records: 3, Subjects: 2, Columns: []string{"body"}}
	ofRates   = tenancy.TableCensus{Table: "rates", Records: 1}
)

// TestCensus counts what an incident can have touched, with the structs and by
// the description alone.
func TestCensus(t *testing.T) {
	t.Parallel()
	counted(t, func(t *testing.T, w *tenancytest.World, people []uuid.UUID) {
		all := tenancy.Census{Tables: []tenancy.TableCensus{ofPersons, ofLetters, ofRates}, Records: 6, Subjects: 3}
		for name, db := range map[string]*tenancy.DB{"structs": w.DB, "description": described(t, w)} {
			for what, c := range map[string]struct {
				tables []string
				want   tenancy.Census
			}{
				"all":         {nil, all},
				"two":         {[]string{"rates", "persons"}, tenancy.Census{Tables: []tenancy.TableCensus{ofPersons, ofRates}, Records: 3, Subjects: 2}},
				"of nobody":   {[]string{"rates"}, tenancy.Census{Tables: []tenancy.TableCensus{ofRates}, Records: 1}},
				"named twice": {[]string{"letters", "letters"}, tenancy.Census{Tables: []tenancy.TableCensus{ofLetters}, Records: 3, Subjects: 2}},
			} {
				got, err := db.Census(w.In(t, w.A), c.tables...)
				if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
					t.Errorf("%s, %s: %v (-want +got):\n%s", name, what, err, diff)
				}
			}
		}
		must(t, w.DB.Erase(w.In(t, w.A), people[0]))
		if got, err := w.DB.Census(w.In(t, w.A)); err != nil || !cmp.Equal(all, got) {
			t.Errorf("after an erasure: %+v, %v", got, err)
		}
		if got, err := w.DB.Census(w.In(t, w.B)); err != nil || got.Records != 1 || got.Subjects != 1 {
			t.Errorf("tenant B: %+v, %v", got, err)
		}
	})
}

// TestCensusRefused: no figure where it could be too small.
func TestCensusRefused(t *testing.T) {
	t.Parallel()
	counted(t, func(t *testing.T, w *tenancytest.World, _ []uuid.UUID) {
		for name, c := range map[string]struct {
			ctx    context.Context
			tables []string
			want   error // nil: any
		}{
			"no tenant":      {w.In(t, tenancy.ID{}), nil, tenancy.ErrNoTenant},
			"unknown tenant": {w.In(t, tenancy.NewID()), nil, tenancy.ErrUnknownTenant},
			"unknown table":  {w.In(t, w.A), []string{"persons", "person"}, nil},
		} {
			got, err := w.DB.Census(c.ctx, c.tables...)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !cmp.Equal(tenancy.Census{}, got) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		ended := make(chan context.Context, 1)
		must(t, w.DB.In(w.In(t, w.A), func(ctx context.Context, _ *tenancy.Tx) error {
			ended <- ctx
			got, err := w.DB.Census(ctx)
			if got.Records != 6 {
				t.Errorf("inside a transaction: %+v", got)
			}
			return err
		}))
		late := <-ended
		if _, err := w.DB.Census(late); !errors.Is(err, tenancy.ErrTxDone) {
			t.Errorf("after its transaction: %v, want ErrTxDone", err)
		}
		for _, err := range w.DB.Subjects(late) {
			if !errors.Is(err, tenancy.ErrTxDone) {
				t.Errorf("subjects after their transaction: %v, want ErrTxDone", err)
			}
		}
	})
}

// TestCensusOfCallersRows: callers' SQL cannot hide rows from the count.
func TestCensusOfCallersRows(t *testing.T) {
	t.Parallel()
	counted(t, func(t *testing.T, w *tenancytest.World, _ []uuid.UUID) {
		err := w.DB.InSQL(w.In(t, w.A), func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "UPDATE persons SET tenant_id = $1", w.B.String())
			return err
		})
		if (err == nil) != (w.Engine == tenancytest.SQLite) { // PostgreSQL refuses it
			t.Fatal(err)
		}
		if got, err := w.DB.Census(w.In(t, w.A)); err != nil || got.Records != 6 || got.Subjects != 3 {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := w.DB.Census(w.In(t, w.B)); err != nil || got.Records != 1 {
			t.Errorf("tenant B: %+v, %v", got, err)
		}
	})
}

// TestSubjects: each person once, those too who were erased.
func TestSubjects(t *testing.T) {
	t.Parallel()
	counted(t, func(t *testing.T, w *tenancytest.World, people []uuid.UUID) {
		must(t, w.DB.Erase(w.In(t, w.A), people[1]))
		byID := func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
		slices.SortFunc(people, byID)
		for name, db := range map[string]*tenancy.DB{"structs": w.DB, "description": described(t, w)} {
			var got []uuid.UUID
			for id, err := range db.Subjects(w.In(t, w.A)) {
				must(t, err)
				_, err := persons.Count(w.In(t, w.A), w.DB) // the loop may use the database
				must(t, err)
				got = append(got, id)
			}
			slices.SortFunc(got, byID)
			if diff := cmp.Diff(people, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		n := 0
		for range w.DB.Subjects(w.In(t, w.A)) {
			n++
			break
		}
		for _, err := range w.DB.Subjects(w.In(t, tenancy.ID{})) {
			n++
			if !errors.Is(err, tenancy.ErrNoTenant) {
				t.Errorf("no tenant: %v", err)
			}
		}
		if n != 2 {
			t.Errorf("%d iterations, want 2", n)
		}
	})
}
