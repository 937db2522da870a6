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
	keyring.Lister
	keyring.Rotator
	keyring.Destroyer
	keyring.Copier

	db *sql.DB
}

var (
	_ keyring.Lister    = (*Keystore)(nil)
	_ keyring.Rotator   = (*Keystore)(nil)
	_ keyring.Destroyer = (*Keystore)(nil)
	_ keyring.Copier    = (*Keystore)(nil)
)

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
	inner, ok := keyring.SQLStore(db, migrate.Postgres).(store)
	if !ok {
		return nil, errors.Join(errors.New("postgres: open keystore: the store cannot list, rotate or copy"), db.Close())
	}
	s := plainStore{inner}
	return &Keystore{Store: s, Lister: s, Rotator: s, Destroyer: s, Copier: s, db: db}, nil
}

// Close closes the connections.
func (k *Keystore) Close() error { return k.db.Close() }

// store is all that a keystore can do.
type store interface {
	keyring.Store
	keyring.Lister
	keyring.Rotator
	keyring.Destroyer
	keyring.Copier
}

// plainStore keeps the server's messages out of a store's errors.
type plainStore struct{ s store }

var _ store = plainStore{}

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
		for r, err := range p.s.List(ctx) {
			if !yield(r, ofKeystore("list", err)) {
				return
			}
		}
	}
}

func (p plainStore) Page(ctx context.Context, tenant uuid.UUID, name, after string, limit int) ([]keyring.Record, string, error) {
	out, next, err := p.s.Page(ctx, tenant, name, after, limit)
	return out, next, ofKeystore("read", err)
}

func (p plainStore) Introduce(ctx context.Context, records []keyring.Record) (int64, error) {
	n, err := p.s.Introduce(ctx, records)
	return n, ofKeystore("introduce", err)
}

func (p plainStore) Retire(ctx context.Context, tenant uuid.UUID, records []keyring.Record, at time.Time) (int64, error) {
	n, err := p.s.Retire(ctx, tenant, records, at)
	return n, ofKeystore("retire", err)
}

func (p plainStore) Rewrap(ctx context.Context, tenant uuid.UUID, list []keyring.Rewrap) (int64, error) {
	n, err := p.s.Rewrap(ctx, tenant, list)
	return n, ofKeystore("rewrap", err)
}

func (p plainStore) Destroy(ctx context.Context, tenant uuid.UUID, list []keyring.Record, retired, at time.Time) error {
	return ofKeystore("destroy", p.s.Destroy(ctx, tenant, list, retired, at))
}

func (p plainStore) Clear(ctx context.Context, tenant uuid.UUID, after string, limit int, at time.Time) (string, error) {
	next, err := p.s.Clear(ctx, tenant, after, limit, at)
	return next, ofKeystore("clear", err)
}

func (p plainStore) Settle(ctx context.Context) error {
	return ofKeystore("settle", p.s.Settle(ctx))
}

func (p plainStore) Export(ctx context.Context, after keyring.CopiedRecord, limit int) ([]keyring.CopiedRecord, error) {
	out, err := p.s.Export(ctx, after, limit)
	return out, ofKeystore("copy", err)
}

func (p plainStore) Import(ctx context.Context, records []keyring.CopiedRecord) (added, erased int64, err error) {
	added, erased, err = p.s.Import(ctx, records)
	return added, erased, ofKeystore("restore", err)
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
