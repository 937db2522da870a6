package sqlitesource_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// A directory in use is copied: backup.Job hands a sink of its own.
func Example() {
	if err := example(); err != nil {
		fmt.Println(err)
	}
	// Output: [platform.db], 1 tenant with a part
}

func example() error {
	root, err := os.MkdirTemp("", "sqlitesource")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	ctx, dir := context.Background(), filepath.Join(root, "data")
	if err := keyring.CreateKeyFile(filepath.Join(root, "root.key")); err != nil {
		return err
	}
	wrapper, err := keyring.KeyFile(filepath.Join(root, "root.key"))
	if err != nil {
		return err
	}
	store, err := sqlite.OpenKeystore(ctx, dir)
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := keyring.New(wrapper, store, nil)
	if err != nil {
		return err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return err
	}
	tables := fstest.MapFS{"0001_notes.sql": {Data: []byte(`CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, text TEXT NOT NULL)`)}}
	db, err := sqlite.Open(ctx, dir, tenancy.Schema{notes}, keys, log, &sqlite.Options{Migrations: tables})
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.CreateTenant(as(ctx, tenancy.ID{}), tenancy.Tenant{Name: "Example GmbH"}); err != nil {
		return err
	}
	snap, err := sqlitesource.New(dir, nil).Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snap.Close()
	sink := newSink()
	if err := snap.Write(ctx, sink); err != nil {
		return err
	}
	var names []string // the tenant was never used: it has no file yet
	for name := range sink.files {
		names = append(names, name)
	}
	fmt.Printf("%v, %d tenant with a part\n", names, len(snap.Tenants()))
	return nil
}
