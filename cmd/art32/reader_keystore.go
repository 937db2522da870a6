package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// seenStore is a keystore in which nothing changes: a key that is not there is not
// made by the way.
type seenStore struct {
	keyring.Store
	keyring.Lister
}

var errNoKey = errors.New("the keystore lacks a key, which the application or a backup makes: this program only looks")

// seen looks at the keystore in a database.
func seen(db *sql.DB, d migrate.Dialect) seenStore {
	s := keyring.SQLStore(db, d)
	l, _ := s.(keyring.Lister) // it is one
	return seenStore{s, l}
}

// Insert implements [keyring.Store].
func (seenStore) Insert(context.Context, []keyring.Record) ([]keyring.Record, error) {
	return nil, errNoKey
}

// Shred implements [keyring.Store].
func (seenStore) Shred(context.Context, uuid.UUID, string, time.Time) error { return errReadOnly }

// Reserve implements [keyring.Store].
func (seenStore) Reserve(context.Context, uuid.UUID, string, uint32, int64, int64) (bool, error) {
	return false, errReadOnly
}

// keystore opens the keystore beside the database without changing it.
func (t *target) keystore(ctx context.Context) (seenStore, func(), error) {
	if t.data != "" {
		f, err := openFile(t.data, keystoreFile)
		if err != nil {
			return seenStore{}, nil, err
		}
		return seen(f.db, migrate.SQLite), func() { _ = f.db.Close() }, nil
	}
	db, err := openPostgres(ctx, t.dsn)
	if err != nil {
		return seenStore{}, nil, err
	}
	return seen(db, migrate.Postgres), func() { _ = db.Close() }, nil
}
