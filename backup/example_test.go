package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// A backup is made, a customer is erased after it, the backup is restored
// elsewhere: the customer stays erased.
func Example() {
	if err := example(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// parts: 2, recipients of the tenant's part: 1
	// erasures repeated: 1
}

func example() error {
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := tenancy.WithActor(context.Background(), tenancy.MustService("example"))
	for _, name := range []string{"vault-a", "vault-b", "target"} { // a person makes these once
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	vaults := []string{filepath.Join(dir, "vault-a"), filepath.Join(dir, "vault-b")}
	operator, err := age.GenerateX25519Identity() // `age-keygen`, at the operator's
	if err != nil {
		return err
	}
	escrow, err := age.GenerateX25519Identity() // and at the notary's
	if err != nil {
		return err
	}
	root, keys, store, err := exampleKeys(ctx, dir)
	if err != nil {
		return err
	}
	defer store.Close()
	vault, err := backup.OpenVault(ctx, keys, []string{operator.Recipient().String(), escrow.Recipient().String()}, vaults...)
	if err != nil {
		return err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	db, err := sqlite.Open(ctx, data, schema, keys, log, &sqlite.Options{Migrations: migrations, Ledger: vault.Ledger()})
	if err != nil {
		return err
	}
	defer db.Close()
	tenant, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Example GmbH"})
	if err != nil {
		return err
	}
	ctx = tenancy.WithTenant(ctx, tenant.ID)
	c := customer{Email: field.New("a@example.org"), City: "Köln"}
	if err := customers.Insert(ctx, db, &c); err != nil {
		return err
	}

	target, err := dirtarget.Open(filepath.Join(dir, "target"))
	if err != nil {
		return err
	}
	defer target.Close()
	recorder, err := audit.NewRecorder(log, db)
	if err != nil {
		return err
	}
	job, err := backup.New(sqlitesource.New(data, nil), target, vault, keys, recorder, nil)
	if err != nil {
		return err
	}
	m, err := job.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("parts: %d, recipients of the tenant's part: %d\n", len(m.Parts), len(m.Parts[1].Recipients))

	if err := db.Erase(ctx, c.ID); err != nil {
		return err
	}
	res, err := backup.Restore(ctx, target, m.Run, sqlitesource.Into(filepath.Join(dir, "restored"), nil), &backup.RestoreOptions{
		Signer: job.Signer(), Vault: vaults, Identities: []age.Identity{operator}, Root: root,
		Log: func(r *keyring.Ring) (tenancy.ChangeRecorder, error) { return audit.New(r, nil) },
	})
	if err != nil {
		return err
	}
	fmt.Println("erasures repeated:", res.Erased)
	return nil
}

func exampleKeys(ctx context.Context, dir string) (keyring.Wrapper, *keyring.Ring, *sqlite.Keystore, error) {
	path := filepath.Join(dir, "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		return nil, nil, nil, err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := sqlite.OpenKeystore(ctx, filepath.Join(dir, "data"))
	if err != nil {
		return nil, nil, nil, err
	}
	keys, err := keyring.New(root, store, nil)
	return root, keys, store, err
}
