package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/google/uuid"
)

// A person's field can be read until the person is erased.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "keyring")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.OpenKeystore(ctx, filepath.Join(dir, "keys"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	if err := story(ctx, store, filepath.Join(dir, "root.key")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// juergen@example.org
	// erased: true
	// a new key: field: erased
}

func story(ctx context.Context, store keyring.Store, path string) error {
	if err := keyring.CreateKeyFile(path); err != nil {
		return err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return err
	}
	ring, err := keyring.New(root, store, nil)
	if err != nil {
		return err
	}
	tenant, person := uuid.New(), uuid.New()
	if err := ring.CreateTenant(ctx, tenant); err != nil {
		return err
	}
	cipher, err := ring.CreateCipher(ctx, tenant, person)
	if err != nil {
		return err
	}
	scope := field.Scope{Tenant: tenant.String(), Table: "customers", Column: "email", Row: person.String()}
	sealed, err := cipher.Seal(nil, []byte("juergen@example.org"), scope)
	if err != nil {
		return err
	}
	plain, err := cipher.Open(nil, sealed, scope)
	fmt.Println(string(plain))

	err = errors.Join(err, ring.Shred(ctx, tenant, person))
	_, gone := ring.Cipher(ctx, tenant, person)
	fmt.Println("erased:", errors.Is(gone, keyring.ErrErased))
	_, gone = ring.CreateCipher(ctx, tenant, person)
	fmt.Println("a new key:", gone)
	return err
}
