package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// Keystore is a keystore in PostgreSQL: a schema of its own, which the app
// login and backups of the data do not touch, or better a server of its own.
type Keystore struct {
	keyring.Store

	db *sql.DB
}

// OpenKeystore opens the keystore at dsn, a postgres:// URL of the library
// login; [Setup] has made its tables.
func OpenKeystore(ctx context.Context, dsn string) (*Keystore, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("postgres: open keystore: not a valid postgres:// URL")
	}
	if err := verified("keystore", &config.Config); err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: open keystore: %w", unreachable(err)), db.Close())
	}
	return &Keystore{Store: keyring.SQLStore(db, migrate.Postgres), db: db}, nil
}

// Close closes the connections.
func (k *Keystore) Close() error { return k.db.Close() }
