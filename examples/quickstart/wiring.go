package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy/postgres"
)

// open opens SQLite in dir, or PostgreSQL where an owner's DSN is given.
func open(ctx context.Context, dir, owner string) (*app, error) {
	if owner != "" {
		return openPostgres(ctx, dir, owner)
	}
	return openSQLite(ctx, dir)
}

// rootKey opens the key file, and draws it at the first start.
func rootKey(path string) (keyring.Wrapper, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := keyring.CreateKeyFile(path); err != nil {
			return nil, err
		}
	}
	return keyring.KeyFile(path)
}

// folder makes the folder for the files, or a temporary one that done removes.
func folder(dir string) (path string, done func(), err error) {
	if dir != "" {
		return dir, func() {}, os.MkdirAll(dir, 0o700)
	}
	dir, err = os.MkdirTemp("", "art32-quickstart-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// unclosed lists what Setup could not close in the database because the owner's
// login is no superuser, and tells the person at the terminal. A program names
// what it accepts, or has a superuser run the statements that Open's refusal
// lists.
func unclosed(ctx context.Context, owner string) ([]postgres.Weakness, error) {
	conn, err := pgx.Connect(ctx, owner) //art32:allow rawhandle asks about the login, reads no rows
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var super bool
	err = conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super)
	if err != nil || super {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "The owner's login is no superuser: sessions and large objects stay shared between tenants' SQL.")
	return []postgres.Weakness{postgres.UnsafeSharedSessions, postgres.UnsafeLargeObjects}, nil
}

// both closes the database, then the keystore.
func both(db, store io.Closer) func() error {
	return func() error { return errors.Join(db.Close(), store.Close()) }
}
