package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// Two tenants, each with a file of its own: the one cannot read the other's
// row, and raw SQL cannot reach past its file.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "art32")
	check(err)
	defer os.RemoveAll(dir)
	store, err := sqlite.OpenKeystore(context.Background(), filepath.Join(dir, "keys"))
	check(err)
	defer store.Close()
	check(keyring.CreateKeyFile(filepath.Join(dir, "root.key")))
	root, err := keyring.KeyFile(filepath.Join(dir, "root.key"))
	check(err)
	keys, err := keyring.New(root, store, nil)
	check(err)

	ctx := tenancy.WithActor(context.Background(), tenancy.MustService("example"))
	log := journal{} // an *audit.Log in a real program
	db, err := sqlite.Open(ctx, filepath.Join(dir, "data"), schema, keys, log, &sqlite.Options{Migrations: customerSQL})
	check(err)
	defer db.Close()

	a, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "A GmbH"})
	check(err)
	b, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "B AG"})
	check(err)
	asA, asB := tenancy.WithTenant(ctx, a.ID), tenancy.WithTenant(ctx, b.ID)

	c := customer{Email: field.New("zoe@example.com"), Name: field.New("Zoë"), City: "Köln", Plan: "pro"}
	check(customers.Insert(asA, db, &c))
	_, err = customers.Get(asB, db, c.ID)
	fmt.Println(err)
	err = db.InSQL(asB, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, "ATTACH 'other.db' AS other")
		return err
	})
	fmt.Println(err)
	// Output:
	// tenancy: get customers: tenancy: not found
	// forbidden [23]: not authorized
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
