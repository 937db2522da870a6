package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// A customer is added; the log shows it, is sealed, and verifies. SQL of the
// application's own is recorded too.
func Example() {
	if err := example(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// service:import customers.insert city="Köln" email="a@example.org" plan="basic" because "first import"
	// 1 entries, OK: true
	// customers: net true, events map[insert:1 sql:1], rows written outside map[update:1]
}

func example() error {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	keys, store, err := exampleKeys(ctx, dir)
	if err != nil {
		return err
	}
	defer store.Close()

	log, err := audit.New(keys, nil)
	if err != nil {
		return err
	}
	migrations := fstest.MapFS{"0001_customers.sql": {Data: []byte(`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL,
		email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "data"), tenancy.Schema{customers}, keys, log, &sqlite.Options{Migrations: migrations})
	if err != nil {
		return err
	}
	defer db.Close()

	ctx = tenancy.WithActor(ctx, tenancy.MustService("import"))
	tenant, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Example GmbH"})
	if err != nil {
		return err
	}
	ctx = tenancy.WithReason(tenancy.WithTenant(ctx, tenant.ID), "first import")
	c := customer{Email: field.New("a@example.org"), City: "Köln", Plan: "basic"}
	if err := customers.Insert(ctx, db, &c); err != nil {
		return err
	}
	for e, err := range log.Events(ctx, db, audit.Filter{Object: c.ID}) {
		if err != nil {
			return err
		}
		fmt.Print(e.Actor, " ", e.Action)
		for _, f := range e.Fields {
			fmt.Printf(" %s=%s", f.Column, f.New)
		}
		fmt.Printf(" because %q\n", e.Reason)
	}

	sealer, err := audit.NewSealer(log, db, nil) // a service calls its Run
	if err != nil {
		return err
	}
	if _, err := sealer.SealDue(ctx); err != nil {
		return err
	}
	report, err := audit.Verify(ctx, db, tenant.ID, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%d entries, OK: %v\n", report.Size, report.OK())
	return exampleCoverage(ctx, db, log)
}

// exampleCoverage changes rows by SQL, and shows what the log holds of it.
func exampleCoverage(ctx context.Context, db *tenancy.DB, log *audit.Log) error {
	err := db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
		_, err := tx.SQLX().ExecContext(ctx, "UPDATE customers SET plan = 'pro'")
		return err
	})
	if err != nil {
		return err
	}
	tables, err := log.Coverage(ctx, db, time.Time{}, time.Time{})
	for _, t := range tables {
		fmt.Printf("%s: net %v, events %v, rows written outside %v\n", t.Table, t.Net, t.Events, t.Outside)
	}
	return err
}

func exampleKeys(ctx context.Context, dir string) (*keyring.Ring, *sqlite.Keystore, error) {
	path := filepath.Join(dir, "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		return nil, nil, err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlite.OpenKeystore(ctx, filepath.Join(dir, "keys"))
	if err != nil {
		return nil, nil, err
	}
	keys, err := keyring.New(root, store, nil)
	return keys, store, err
}
