package keyring_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
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
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "keys.db")+"?_pragma=journal_mode(WAL)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	if err := story(ctx, db, filepath.Join(dir, "root.key")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// juergen@example.org
	// erased: true
	// a new key: field: erased
}

func story(ctx context.Context, db *sql.DB, path string) error {
	if err := errors.Join(migrateUp(ctx, db), keyring.CreateKeyFile(path)); err != nil {
		return err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return err
	}
	ring, err := keyring.New(root, keyring.SQLStore(db, migrate.SQLite), nil)
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

func migrateUp(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = migrate.Up(ctx, conn, migrate.SQLite, keyring.Migrations())
	return err
}
