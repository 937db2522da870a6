package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type person struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"`
	Name   field.Encrypted[string] `db:"name"`
	Phone  field.Encrypted[string] `db:"phone"`
}

// plainPerson is the same row without encryption.
type plainPerson struct {
	ID     uuid.UUID `db:"id"`
	Tenant uuid.UUID `db:"tenant_id"`
	Email  string    `db:"email"`
	Name   string    `db:"name"`
	Phone  string    `db:"phone"`
}

var persons = tenancy.MustRepository[person]("persons")

// BenchmarkEncryptedList reads 100 rows of 100 data subjects and reveals three
// fields of each, under row-level security, and compares with sqlx that reads
// the same in clear, with a predicate of its own and without row-level security.
func BenchmarkEncryptedList(b *testing.B) {
	x := newBench(b)
	x.plain.MustExec(`CREATE TABLE persons (tenant_id uuid, id uuid, email bytea, name bytea, phone bytea, PRIMARY KEY (tenant_id, id));
		ALTER TABLE persons OWNER TO ` + x.role(b, "owner") + `; SELECT art32.protect('persons');
		CREATE TABLE plain (tenant_id uuid, id uuid, email text, name text, phone text, PRIMARY KEY (tenant_id, id))`)
	warm := x.openPersons(b, x.keys)
	for i := range 100 {
		p := person{Email: field.New(fmt.Sprint("person", i, "@example.org")), Name: field.New("Anna Muster"), Phone: field.New("+49 30 1234567")}
		must(b, persons.Insert(x.a, warm, &p))
		x.plain.MustExec(`INSERT INTO plain VALUES ($1, $2, $3, 'Anna Muster', '+49 30 1234567')`, x.tenant, p.ID, fmt.Sprint("person", i, "@example.org"))
	}
	x.plain.MustExec(`ANALYZE persons, plain`)
	store, err := postgres.OpenKeystore(b.Context(), x.logins.Library)
	must(b, err)
	b.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.New(x.root, store, &keyring.Options{TTL: time.Nanosecond})
	must(b, err)
	b.Run("warm", func(b *testing.B) {
		promise.Report(b, "crypto/list-100-postgres-warm", "ratio", x.listRatio(b, warm), promise.AtMost(1.5))
	})
	cold := x.openPersons(b, keys)
	b.Run("cold", func(b *testing.B) {
		promise.Report(b, "crypto/list-100-postgres-cold", "ratio", x.listRatio(b, cold), promise.AtMost(3))
	})
}

func (x *bench) openPersons(b *testing.B, keys *keyring.Ring) *tenancy.DB {
	b.Helper()
	db, err := postgres.Open(b.Context(), x.logins, tenancy.Schema{persons}, keys, trace{}, nil)
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func (x *bench) listRatio(b *testing.B, db *tenancy.DB) float64 {
	b.Helper()
	return promise.Ratio(b, func(n int) {
		for range n {
			if got := revealAll(x.a, b, db); got != 100 {
				b.Fatal(got)
			}
		}
	}, func(n int) {
		for range n {
			var all []plainPerson
			must(b, x.plain.SelectContext(x.a, &all, "SELECT id, tenant_id, email, name, phone FROM plain WHERE tenant_id = $1 ORDER BY id LIMIT 500", x.tenant))
			if len(all) != 100 {
				b.Fatal(len(all))
			}
		}
	})
}

func revealAll(ctx context.Context, b *testing.B, db *tenancy.DB) (rows int) {
	b.Helper()
	for p, err := range persons.List(ctx, db) {
		if err != nil { // not must: Helper would cost as much as a field
			b.Fatal(err)
		}
		email, err1 := p.Email.Reveal()
		name, err2 := p.Name.Reveal()
		phone, err3 := p.Phone.Reveal()
		if err := errors.Join(err1, err2, err3); err != nil || email == "" || name == "" || phone == "" {
			b.Fatal("nothing revealed: ", err)
		}
		rows++
	}
	return rows
}
