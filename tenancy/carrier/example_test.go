package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/carrier"
	"github.com/art32/art32/tenancy/sqlite"
)

// A job is queued for a tenant and done by a worker that has no context of its own.
func Example() {
	dir, err := os.MkdirTemp("", "carrier")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	keys, store, err := openKeys(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	jobs, err := carrier.New(keys, "queue/mail", nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := tenancy.WithActor(tenancy.WithTenant(context.Background(), tenancy.NewID()), tenancy.MustService("billing"))
	token, err := jobs.Seal(ctx, time.Hour) // goes into the queue, beside the job
	fmt.Println("sealed:", err)

	ctx, err = jobs.Open(context.Background(), token)
	fmt.Println("opened:", err)
	actor, err := tenancy.ActorFrom(ctx)
	fmt.Println(actor, err)

	_, err = jobs.Open(context.Background(), token+"x")
	fmt.Println(errors.Is(err, carrier.ErrRefused))
	// Output:
	// sealed: <nil>
	// opened: <nil>
	// service:billing <nil>
	// true
}

// openKeys opens the keystore as the application does at its start.
func openKeys(ctx context.Context, dir string) (*keyring.Ring, *sqlite.Keystore, error) {
	path := filepath.Join(dir, "root.key")
	if err := keyring.CreateKeyFile(path); err != nil {
		return nil, nil, err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlite.OpenKeystore(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	keys, err := keyring.New(root, store, nil)
	return keys, store, err
}
