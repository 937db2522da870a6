package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	db, err := exampleDB(ctx, dir, keys, log)
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

func exampleDB(ctx context.Context, dir string, keys *keyring.Ring, log *audit.Log) (*tenancy.DB, error) {
	migrations := fstest.MapFS{"0001_customers.sql": {Data: []byte(`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL,
		email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}
	return sqlite.Open(ctx, filepath.Join(dir, "data"), tenancy.Schema{customers}, keys, log, &sqlite.Options{Migrations: migrations})
}

// Support looks into a mailing for a customer's user. The event tells of each
// recipient apart, and is sealed before the answer comes.
func ExampleLog_Write() {
	if err := exampleWrite(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// without a reason: true
	// support.look: 2 recipients, sealed: true
	// of the first recipient tell 1 events
}

func exampleWrite() error {
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
	support := audit.Class{Name: "support", Actions: []string{"support."}, Reason: true, Sealed: true}
	log, err := audit.New(keys, &audit.Options{Classes: []audit.Class{support}})
	if err != nil {
		return err
	}
	db, err := exampleDB(ctx, dir, keys, log)
	if err != nil {
		return err
	}
	defer db.Close()
	tenant, err := db.CreateTenant(tenancy.WithActor(ctx, tenancy.MustService("signup")), tenancy.Tenant{Name: "Example GmbH"})
	if err != nil {
		return err
	}

	agent, user := tenancy.Person(uuid.New()), tenancy.Person(uuid.New()) // ids of accounts
	ctx = tenancy.WithActor(tenancy.WithTenant(ctx, tenant.ID), agent.For(user))
	first, second := uuid.New(), uuid.New()
	look := audit.Event{Action: "support.look", Parts: []audit.Part{
		{Subject: first, Attrs: []slog.Attr{slog.String("mail", "returned")}},
		{Subject: second, Attrs: []slog.Attr{slog.String("mail", "delivered")}},
	}}
	write := func(ctx context.Context, tx *tenancy.Tx) error { return log.Write(ctx, tx, look) }
	fmt.Println("without a reason:", errors.Is(db.In(ctx, write), tenancy.ErrNoReason))
	ctx = tenancy.WithReason(ctx, "ticket 4711: asks where the mailing went")
	if err := db.In(ctx, write); err != nil {
		return err
	}

	page, err := log.Query(ctx, db, audit.Query{Filter: audit.Filter{For: user.String()}})
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		fmt.Printf("%s: %d recipients, sealed: %v\n", e.Action, len(e.Parts), e.Sealed)
	}
	page, err = log.Query(ctx, db, audit.Query{Filter: audit.Filter{Action: "support.", Subject: first}})
	if err != nil {
		return err
	}
	fmt.Println("of the first recipient tell", len(page.Entries), "events")
	return nil
}
