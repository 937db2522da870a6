package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/art32/art32/crypto/keyring"
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

// both closes the database, then the keystore.
func both(db, store io.Closer) func() error {
	return func() error { return errors.Join(db.Close(), store.Close()) }
}
