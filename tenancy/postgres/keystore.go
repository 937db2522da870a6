package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// Keystore is a keystore in PostgreSQL: a schema of its own, which the app
// login and backups of the data do not touch, or better a server of its own.
type Keystore struct {
	keyring.Store

	list keyring.Lister
	db   *sql.DB
}

var _ keyring.Lister = (*Keystore)(nil)

// OpenKeystore opens the keystore at dsn, a postgres:// URL of the library
// login; [Setup] has made its tables. Where the server cannot be reached, or
// refuses, it and the methods of the keystore return [tenancy.ErrUnavailable].
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
	store := plainStore{keyring.SQLStore(db, migrate.Postgres)}
	return &Keystore{Store: store, list: store, db: db}, nil
}

// List implements [keyring.Lister].
func (k *Keystore) List(ctx context.Context) iter.Seq2[keyring.Record, error] {
	return k.list.List(ctx)
}

// Close closes the connections.
func (k *Keystore) Close() error { return k.db.Close() }

// plainStore keeps the server's messages out of a store's errors.
type plainStore struct{ s keyring.Store }

var (
	_ keyring.Store  = plainStore{}
	_ keyring.Lister = plainStore{}
)

func (p plainStore) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	out, err := p.s.Get(ctx, tenant, names)
	return out, ofKeystore("read", err)
}

func (p plainStore) Insert(ctx context.Context, records []keyring.Record) ([]keyring.Record, error) {
	out, err := p.s.Insert(ctx, records)
	return out, ofKeystore("write", err)
}

func (p plainStore) Shred(ctx context.Context, tenant uuid.UUID, name string, at time.Time) error {
	return ofKeystore("shred", p.s.Shred(ctx, tenant, name, at))
}

func (p plainStore) Reserve(ctx context.Context, tenant uuid.UUID, name string, version uint32, n, limit int64) (bool, error) {
	ok, err := p.s.Reserve(ctx, tenant, name, version, n, limit)
	return ok, ofKeystore("reserve", err)
}

func (p plainStore) List(ctx context.Context) iter.Seq2[keyring.Record, error] {
	return func(yield func(keyring.Record, error) bool) {
		l, ok := p.s.(keyring.Lister)
		if !ok {
			yield(keyring.Record{}, errors.New("postgres: keystore: the store does not list"))
			return
		}
		for r, err := range l.List(ctx) {
			if !yield(r, ofKeystore("list", err)) {
				return
			}
		}
	}
}

// ofKeystore keeps apart a keystore that is not there and one that does not
// answer.
func ofKeystore(verb string, err error) error {
	out, ofServer := outward(err)
	switch {
	case !ofServer:
		return err
	case errors.Is(err, keyring.ErrKeystore):
		return fmt.Errorf("%w (%s: %w)", keyring.ErrKeystore, verb, out)
	}
	return fmt.Errorf("postgres: %s keystore: %w", verb, out)
}
