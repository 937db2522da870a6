package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

type Patient struct {
	ID      uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant  tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name    field.Encrypted[string] `db:"name"      art32:"index=name_bidx:casefold"`
	Visits  int                     `db:"visits"    art32:"open"`
	Remarks *string                 `db:"remarks"   art32:"personal"`
}

var (
	Patients      = tenancy.MustRepository[Patient]("patients")
	PatientName   = tenancy.MustColumn[string](Patients, "name")
	PatientVisits = tenancy.MustColumn[int](Patients, "visits")
)

// A PatientID and a RoomID are no UUID that could stand for the other.
type (
	PatientID uuid.UUID
	RoomID    string
)

// A Bed is found by room and number.
type Bed struct {
	Tenant  tenancy.ID `db:"tenant_id"  art32:"tenant"`
	Room    RoomID     `db:"room"       art32:"key"`
	Number  int32      `db:"number"     art32:"key"`
	Patient PatientID  `db:"patient_id" art32:"subject"`
}

// BedKey has the fields of a Bed that are its key.
type BedKey struct {
	Room   RoomID
	Number int32
}

var Beds = tenancy.MustRepository[Bed]("beds")

const createPatients = `CREATE TABLE patients (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, name BLOB, name_bidx BLOB, visits INTEGER NOT NULL, remarks TEXT
);
CREATE TABLE beds (
	tenant_id TEXT NOT NULL, room TEXT NOT NULL, number INTEGER NOT NULL, patient_id TEXT NOT NULL, PRIMARY KEY (room, number)
)`

// openExample opens a database in a temporary folder and makes a tenant.
func openExample(ctx context.Context) (*tenancy.DB, context.Context, func(), error) {
	dir, err := os.MkdirTemp("", "art32-example-")
	if err != nil {
		return nil, nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	store, err := sqlite.OpenKeystore(ctx, dir)
	if err != nil {
		return nil, nil, remove, err
	}
	path := filepath.Join(dir, "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		return nil, nil, remove, err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return nil, nil, remove, err
	}
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, nil, remove, err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return nil, nil, remove, err
	}
	db, err := sqlite.Open(ctx, dir, tenancy.Schema{Patients, Beds}, keys, log, &sqlite.Options{
		Migrations: fstest.MapFS{"0001_patients.sql": {Data: []byte(createPatients)}},
	})
	if err != nil {
		return nil, nil, remove, err
	}
	ctx = tenancy.WithActor(ctx, tenancy.MustService("example"))
	t, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Praxis Dr. Weiß"})
	done := func() { _, _ = db.Close(), store.Close(); remove() }
	return db, tenancy.WithTenant(ctx, t.ID), done, err
}

func Example() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err != nil {
		fmt.Println(err)
		return
	}
	p := Patient{Name: field.New("Änne Müller"), Visits: 1}
	err = Patients.Insert(ctx, db, &p)
	fmt.Println("inserted:", err)

	err = Patients.Edit(ctx, db, p.ID, func(p *Patient) error { p.Visits++; return nil })
	fmt.Println("edited:", err)

	for p, err := range Patients.List(ctx, db, PatientName.Eq("ÄNNE müller")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		name, err := p.Name.Reveal()
		fmt.Println(p.Name, "is", name, err, "visits:", p.Visits)
	}

	err = db.Erase(ctx, p.ID)
	fmt.Println("erased:", err)
	p, _ = Patients.Get(ctx, db, p.ID)
	_, err = p.Name.Reveal()
	fmt.Println(errors.Is(err, field.ErrErased))
	// Output:
	// inserted: <nil>
	// edited: <nil>
	// [encrypted] is Änne Müller <nil> visits: 2
	// erased: <nil>
	// true
}

// A key of several columns is a struct of their fields. Another type is refused, where
// the compiler has let it pass.
func ExampleRepository_Get() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err != nil {
		fmt.Println(err)
		return
	}
	err = Beds.Insert(ctx, db, &Bed{Room: "2.07", Number: 1, Patient: PatientID(uuid.New())})
	fmt.Println("inserted:", err)
	bed, err := Beds.Get(ctx, db, BedKey{Room: "2.07", Number: 1})
	fmt.Println("bed", bed.Number, err)
	_, err = Beds.Get(ctx, db, RoomID("2.07"))
	fmt.Println(errors.Is(err, tenancy.ErrBadValue))
	object, err := Beds.Object(BedKey{Room: "2.07", Number: 1})
	fmt.Println("in the log:", object, err)
	// Output:
	// inserted: <nil>
	// bed 1 <nil>
	// true
	// in the log: 93b91bc4-4f5e-868e-a96d-0526d33c676a <nil>
}

// Several verbs in one transaction; an error undoes them all.
func ExampleDB_In() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err != nil {
		fmt.Println(err)
		return
	}
	err = db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		if err := Patients.Insert(ctx, tx, &Patient{Name: field.New("A")}); err != nil {
			return err
		}
		return errors.New("changed my mind")
	})
	fmt.Println(err)
	n, err := Patients.Count(ctx, db)
	fmt.Println(n, err)
	// Output:
	// changed my mind
	// 0 <nil>
}

// A list is ordered, filtered and read page by page: the cursor may stand in an
// address. What filters cannot say, SQL of one's own does.
func ExampleRepository_Page() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err != nil {
		fmt.Println(err)
		return
	}
	err = Patients.InsertAll(ctx, db, []Patient{
		{Name: field.New("Änne Müller"), Visits: 7}, {Name: field.New("Bert Maier"), Visits: 2}, {Name: field.New("Cem Kaya"), Visits: 4},
	})
	fmt.Println("inserted:", err)
	for cursor, more := "", true; more; {
		page, err := Patients.Page(ctx, db, cursor, PatientVisits.Desc(), PatientVisits.Greater(1), tenancy.Limit(2))
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, p := range page.Rows {
			fmt.Print(p.Visits, " ")
		}
		fmt.Println("| next:", page.Next != "")
		cursor, more = page.Next, page.Next != ""
	}
	n, err := Patients.Count(ctx, db, tenancy.Where("visits % $1 = 0", 2))
	fmt.Println("even:", n, err)
	// Output:
	// inserted: <nil>
	// 7 4 | next: true
	// 2 | next: false
	// even: 2 <nil>
}

// SQL of one's own sees the rows of the tenant, and nothing else.
func ExampleDB_InSQL() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := Patients.Insert(ctx, db, &Patient{Visits: 3}); err != nil {
		fmt.Println(err)
		return
	}
	err = db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		var visits int
		err := tx.SQLX().GetContext(ctx, &visits, "SELECT sum(visits) FROM patients")
		fmt.Println("visits:", visits)
		return err
	})
	fmt.Println(err)
	err = db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, "DELETE FROM art32_events")
		return err
	})
	fmt.Println(errors.Is(err, tenancy.ErrForbidden))
	// Output:
	// visits: 3
	// <nil>
	// true
}

// A declaration that leaves a column without a class is refused, with all that
// is wrong.
func ExampleNewRepository() {
	type Bad struct {
		ID     uuid.UUID  `db:"id"        art32:"key"`
		Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
		City   string     `db:"city"`
		Plan   string     `db:"plan"      art32:"opne"`
	}
	_, err := tenancy.NewRepository[Bad]("bad")
	fmt.Println(err)
	// Output:
	// tenancy: declare table bad: field City: column has no class: say art32:"personal" or art32:"open", or make it a field.Encrypted
	// tenancy: declare table bad: field Plan: unknown word "opne" in the art32 tag
}

// Somebody of the vendor's looks into a tenant's rows under a ticket. Both the
// platform's log and the tenant's know of it before the first row is read.
func ExampleDB_Across() {
	db, ctx, done, err := openExample(context.Background())
	defer done()
	if err == nil {
		err = Patients.Insert(ctx, db, &Patient{Name: field.New("Änne Müller")})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	support := tenancy.WithActor(context.Background(), tenancy.Person(uuid.New())) // a session sets it
	support = tenancy.WithReason(support, "the list of patients stays empty")
	access := tenancy.Access{Ticket: "SUP-4711", Life: 30 * time.Minute}
	err = db.Across(support, access, func(ctx context.Context, x *tenancy.Across) error {
		for tenant, err := range x.Tenants(ctx) {
			if err != nil {
				return err
			}
			n, err := Patients.Count(tenancy.WithTenant(ctx, tenant.ID), x)
			fmt.Println(tenant.Name, n, err)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// Praxis Dr. Weiß 1 <nil>
	// <nil>
}
