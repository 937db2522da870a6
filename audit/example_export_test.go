package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// A vendor hands its customer the export of its log. The customer holds the
// platform's key and the checkpoint of an earlier export, and needs nothing else to
// see that its log only grew. It can prove a single entry to others.
func ExampleVerifyExport() {
	dir, err := os.MkdirTemp("", "export")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	earlier, err := exampleExports(ctx, dir)
	if err != nil {
		fmt.Println(err)
		return
	}

	export := filepath.Join(dir, "export")
	report, err := audit.VerifyExport(ctx, export, &audit.ExportOptions{
		PlatformKey: earlier.PlatformKey, // from when the contract was signed
		Checkpoints: [][]byte{earlier.checkpoint},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Println(f.Kind, f.Text)
	}
	fmt.Printf("%d entries, OK: %v\n", report.Checked, report.OK())

	proof, err := audit.ProveExported(export, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, err := audit.VerifyProof(proof, report.Logs[0].Key)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("entry %d: %s by %s\n", entry.Index, entry.Leaf.Action, entry.Leaf.Actor)
	// Output:
	// 2 entries, OK: true
	// entry 0: customers.insert by service:import
}

// held is what the customer keeps of an earlier export.
type held struct {
	PlatformKey string
	checkpoint  []byte
}

// exampleExports is the vendor's side: an export after the first entry, and after
// the second.
func exampleExports(ctx context.Context, dir string) (out held, err error) {
	keys, store, err := exampleKeys(ctx, dir)
	if err != nil {
		return out, err
	}
	defer store.Close()
	log, err := audit.New(keys, nil)
	if err != nil {
		return out, err
	}
	migrations := fstest.MapFS{"0001_customers.sql": {Data: []byte(`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL,
		email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "data"), tenancy.Schema{customers}, keys, log, &sqlite.Options{Migrations: migrations})
	if err != nil {
		return out, err
	}
	defer db.Close()
	ctx = tenancy.WithActor(ctx, tenancy.MustService("import"))
	tenant, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Example GmbH"})
	if err != nil {
		return out, err
	}
	sealer, err := audit.NewSealer(log, db, nil)
	if err != nil {
		return out, err
	}
	export := filepath.Join(dir, "export")
	for range 2 {
		c := customer{Email: field.New("a@example.org"), City: "Köln", Plan: "basic"}
		insertErr := customers.Insert(tenancy.WithTenant(ctx, tenant.ID), db, &c)
		_, sealErr := sealer.SealDue(ctx)
		if err := errors.Join(insertErr, sealErr, audit.Export(ctx, db, tenant.ID, export)); err != nil {
			return out, err
		}
		if out.checkpoint == nil {
			r, err := audit.VerifyExport(ctx, export, nil)
			if err != nil {
				return out, err
			}
			out.PlatformKey = r.PlatformKey
			if out.checkpoint, err = os.ReadFile(filepath.Join(export, "0", "checkpoint")); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}
