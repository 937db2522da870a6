package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
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
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("postgres: open keystore: not a valid postgres:// URL")
	}
	return OpenKeystoreConfig(ctx, config)
}

// OpenKeystoreConfig is [OpenKeystore] with what a DSN cannot say, as [Configs] have
// it for the data. It copies c and uses of it what it uses of [Configs.App], without
// a bound on the number of connections.
func OpenKeystoreConfig(ctx context.Context, c *pgxpool.Config) (*Keystore, error) {
	c, err := verifying("keystore", c)
	if err == nil {
		err = noHooks("keystore", c)
	}
	if err == nil {
		err = refuse(pooler(ctx, "keystore", c))
	}
	if err != nil {
		return nil, err
	}
	db := plainDB(c)
	db.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: open keystore: %w", unreachable(err)), db.Close())
	}
	inner, ok := keyring.SQLStore(db, migrate.Postgres).(store)
	if !ok {
		return nil, errors.Join(errors.New("postgres: open keystore: the store cannot list, rotate or copy"), db.Close())
	}
	s := plainStore{s: inner, db: db, pooled: pooled(c.ConnConfig)}
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

// plainStore keeps the server's messages out of a store's errors, and reads keys
// with less ado than database/sql can.
type plainStore struct {
	s      store
	db     *sql.DB
	pooled bool
}

var _ store = plainStore{}

func (p plainStore) Get(ctx context.Context, tenant uuid.UUID, names []string) (out []keyring.Record, err error) {
	for part := range slices.Chunk(names, keysAtOnce) {
		if out, err = p.get(ctx, tenant, part, out); err != nil {
			return nil, ofKeystore("read", err)
		}
	}
	return out, nil
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

// keysAtOnce bounds the names of one statement.
const keysAtOnce = 1000

// keysText looks each name up by the primary key. Where the array stood there by
// itself, a plan for any array would go through all keys of the tenant.
const keysText = `SELECT name, version, state, wrapped FROM art32_keys.keys WHERE tenant_id = $1 AND name = ANY (ARRAY(SELECT unnest($2::text[])))`

// get appends the records of names to out.
func (p plainStore) get(ctx context.Context, tenant uuid.UUID, names []string, out []keyring.Record) ([]keyring.Record, error) {
	s := engine.Stmt{SQL: keysText, Args: []any{tenant, textArray(names)}}
	got := slices.Grow(out, len(names))
	rep, err := p.exchange(ctx, s, tenant, &got)
	if rep.stale { // the table has changed since the statement was prepared
		s.Once, got = true, got[:len(out)]
		_, err = p.exchange(ctx, s, tenant, &got)
	}
	return got, err
}

// exchange takes a connection for one statement.
func (p plainStore) exchange(ctx context.Context, s engine.Stmt, tenant uuid.UUID, out *[]keyring.Record) (rep reply, err error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return rep, err
	}
	defer conn.Close()
	b := batchOf()
	b.main = b.add(s)
	err = conn.Raw(func(c any) error {
		pg, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("connection is a %T", c)
		}
		w := wireOf(pg.Conn().PgConn(), p.pooled)
		var version int64
		dest := make([]any, 4)
		if rep, err = w.exchange(ctx, b, func(row engine.Row) error {
			*out = append(*out, keyring.Record{Tenant: tenant})
			r := &(*out)[len(*out)-1]
			dest[0], dest[1], dest[2], dest[3] = &r.Name, &version, (*string)(&r.State), &r.Wrapped
			err := row.Scan(dest...)
			r.Version = uint32(version)
			return err
		}); rep.stale {
			clear(w.prepared)
		}
		return err
	})
	return rep, err
}

// ofKeystore keeps apart a keystore that is not there and one that does not
// answer.
func ofKeystore(verb string, err error) error {
	out, ofServer := outward(err)
	switch {
	case !ofServer:
		return err
	case errors.Is(err, keyring.ErrKeystore), noKeystore(err):
		return fmt.Errorf("%w (%s: %w)", keyring.ErrKeystore, verb, out)
	}
	return fmt.Errorf("postgres: %s keystore: %w", verb, out)
}

// noKeystore reports whether the schema, the table or the right to it is missing.
func noKeystore(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"3F000", "42P01", "42501"}, e.Code)
}
