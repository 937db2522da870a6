package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
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
	fmt.Fprintln(os.Stderr, "The owner's login is no superuser: sessions, large objects and the write-ahead log stay shared between tenants' SQL.")
	return []postgres.Weakness{postgres.UnsafeSharedSessions, postgres.UnsafeLargeObjects, postgres.UnsafeWriteAheadLog}, nil
}

// keystore is what both engines open.
type keystore interface {
	keyring.Store
	keyring.Lister
	io.Closer
}

// keystoreCopies declares how long a destroyed key lives on in copies of the
// keystore, for the records of erasures: as long as the vault keeps its newest three.
var keystoreCopies = []keyring.Copy{{Name: "vault of the backups, weekly, newest three", Life: 28 * 24 * time.Hour}}

// prepare makes what the database is opened with: keys, log and the vault of the
// backups, whose ledger must be told of erasures.
func prepare(ctx context.Context, dir string, store keystore) (*app, error) {
	root, err := rootKey(filepath.Join(dir, "root.key"))
	if err != nil {
		return nil, err
	}
	a := &app{store: store}
	if a.keys, err = keyring.New(root, store, &keyring.Options{Copies: keystoreCopies}); err != nil {
		return nil, err
	}
	if a.log, err = audit.New(a.keys, nil); err != nil {
		return nil, err
	}
	recipients, err := recoveryRecipients(dir)
	if err != nil {
		return nil, err
	}
	folders := []string{away(dir, "vault-1"), away(dir, "vault-2")} // in earnest on two disks
	for _, f := range folders {
		if err := os.MkdirAll(f, 0o700); err != nil {
			return nil, err
		}
	}
	a.vault, err = backup.OpenVault(ctx, a.keys, recipients, folders...)
	return a, err
}

// finish adds what needs the open database.
func (a *app) finish(store io.Closer) (err error) {
	a.close = func() error { return errors.Join(a.db.Close(), store.Close()) }
	if a.recorder, err = audit.NewRecorder(a.log, a.db); err == nil {
		a.sealer, err = audit.NewSealer(a.log, a.db, nil) // a server runs sealer.Run(ctx)
	}
	if err != nil {
		return errors.Join(err, a.close())
	}
	return nil
}

// away is a folder that in earnest lies on another machine.
func away(dir, name string) string { return filepath.Join(dir, "away", name) }

// The two who can recover, such as an operator and a notary.
var recoverers = []string{"operator.key", "notary.key"}

// recoveryRecipients are the public keys of those two. Their identities are
// drawn here for the story; in earnest age-keygen draws them elsewhere, and this
// program never sees them.
func recoveryRecipients(dir string) ([]string, error) {
	var out []string
	for _, name := range recoverers {
		id, err := recoveryIdentity(dir, name)
		if err != nil {
			return nil, err
		}
		out = append(out, id.Recipient().String())
	}
	return out, nil
}

func recoveryIdentity(dir, name string) (*age.X25519Identity, error) {
	path := away(dir, name)
	text, err := os.ReadFile(path)
	if err == nil {
		return age.ParseX25519Identity(strings.TrimSpace(string(text)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return id, os.WriteFile(path, []byte(id.String()+"\n"), 0o600)
}
