package keyring

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

//go:embed migrations
var migrations embed.FS

// Migrations is the line of the keystore's tables. On PostgreSQL the group role
// art32_library must exist before; it alone gets rights.
func Migrations() migrate.Line {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		sub = migrations // the line then says which files it misses
	}
	return migrate.Line{Name: "keyring", FS: sub}
}

// batch bounds the rows of one statement, and with them its parameters.
const batch = 1000

type sqlStore struct {
	db   *sql.DB
	lite bool
	text statements
	more rotations
}

var (
	_ Store  = (*sqlStore)(nil)
	_ Lister = (*sqlStore)(nil)
)

// SQLStore is the keystore in schema art32_keys of PostgreSQL, or in a SQLite
// database, which should be a file of its own: its copies decide how long a
// destroyed key can come back. The caller keeps db and closes it. On SQLite
// Shred needs the right to set secure_delete and to checkpoint the WAL. Outside
// this module tenancy/sqlite.OpenKeystore and tenancy/postgres.OpenKeystore open it.
func SQLStore(db *sql.DB, d migrate.Dialect) Store {
	return &sqlStore{db: db, lite: d == migrate.SQLite, text: dialects[d], more: rotationTexts[d]}
}

func (s *sqlStore) Get(ctx context.Context, tenant uuid.UUID, names []string) (out []Record, err error) {
	for part := range slices.Chunk(names, batch) {
		list, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		got, err := query(ctx, s.db, tenant, len(part), s.text.get, tenant.String(), string(list))
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

func (s *sqlStore) Insert(ctx context.Context, records []Record) (out []Record, err error) {
	for part := range slices.Chunk(ordered(records), batch) {
		got, err := s.insert(ctx, part)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

func (s *sqlStore) insert(ctx context.Context, part []Record) ([]Record, error) {
	tenant := part[0].Tenant
	g := s.given(tenant.String(), part[0].Created.UnixMilli())
	for _, r := range part {
		g.add(r.Name, int64(r.Version), r.Wrapped, under(r.Name, r.Wrapped))
	}
	conn, err := s.writer(ctx)
	if err != nil {
		return nil, err
	}
	got, err := query(ctx, conn, tenant, len(part), g.into(s.text.insert), g.args...)
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, err
	}
	return s.standing(ctx, part, got)
}

// standing returns all versions of the keys of part. Those in got need not be
// read where they were just created, or came with their other versions.
func (s *sqlStore) standing(ctx context.Context, part, got []Record) ([]Record, error) {
	found := byName(got)
	var names []string
	for _, r := range part {
		stand := found.of(r.Name)
		if len(stand) == 0 || s.lite && !bytes.Equal(stand[0].Wrapped, r.Wrapped) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return got, nil
	}
	more, err := s.Get(ctx, part[0].Tenant, names)
	again := byName(more)
	got = slices.DeleteFunc(got, func(r Record) bool { return len(again.of(r.Name)) > 0 })
	return append(got, more...), err
}

func (s *sqlStore) Reserve(ctx context.Context, tenant uuid.UUID, name string, version uint32, n, limit int64) (bool, error) {
	var uses int64
	err := s.db.QueryRowContext(ctx, s.text.reserve, tenant.String(), name, int64(version), n, limit-n).Scan(&uses)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, storeError("reserve", err)
}

func (s *sqlStore) List(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		rows, err := s.db.QueryContext(ctx, s.text.list)
		if err != nil {
			yield(Record{}, storeError("list", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanListed(rows)
			if !yield(r, storeError("list", err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Record{}, storeError("list", err))
		}
	}
}

func scanListed(rows *sql.Rows) (r Record, err error) {
	var tenant string
	var created, changed int64
	err = rows.Scan(&tenant, &r.Name, &r.Version, &r.State, &created, &changed)
	if err != nil {
		return r, err
	}
	r.Created, r.Changed = time.UnixMilli(created), time.UnixMilli(changed)
	r.Tenant, err = uuid.Parse(tenant)
	return r, err
}

// query reads records, of which about n are expected.
func query(ctx context.Context, q migrate.Querier, tenant uuid.UUID, n int, text string, args ...any) ([]Record, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, storeError("read", err)
	}
	defer rows.Close()
	out := make([]Record, 0, n)
	for rows.Next() {
		r := Record{Tenant: tenant}
		if err := rows.Scan(&r.Name, &r.Version, &r.State, &r.Wrapped); err != nil {
			return nil, storeError("read", err)
		}
		out = append(out, r)
	}
	return out, storeError("read", rows.Err())
}

// storeError tells a keystore that is not there from one that does not answer.
func storeError(verb string, err error) error {
	if err == nil {
		return nil
	}
	state := ""
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		state = e.SQLState()
	}
	switch {
	case state == "42P01", state == "3F000", state == "42501", strings.Contains(err.Error(), "no such table"):
		return fmt.Errorf("%w (%s: %w)", ErrKeystore, verb, err)
	}
	return fmt.Errorf("keyring: %s keystore: %w", verb, err)
}
