// Package sqlstore keeps sessions in the platform database, on SQLite and on
// PostgreSQL.
//
// It serves TOM-2.3 and TOM-5.2 as package session does. Pass [Line] to the
// engine and make the [Store] of the open database:
//
//	db, err := sqlite.Open(ctx, dir, schema, keys, log, &sqlite.Options{Lines: []tenancy.Line{sqlstore.Line()}})
//	store, err := sqlstore.New(db)
//
// With PostgreSQL the line stands in postgres.SetupOptions.Lines.
//
// # Guarantees
//
// Those of [session.Store], as sessiontest.RunStore tests them. Each method is
// one round trip, but for more than 500 touches and a purge of more than 1000
// rows, which are as many transactions. Revoking by user or tenant uses an index.
// On PostgreSQL the login of callers' SQL may neither read nor write the table;
// how large it is and how often it is used, every login can see. The library's
// login cannot change whose a session is.
//
// # Not covered
//
// A row that somebody with rights on the table inserts is a session.
//
// # Compatibility
//
// The tables art32.sessions and art32_sessions keep their columns. The API may
// change before version 1.
package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/session"
	"github.com/art32/art32/tenancy"
)

//go:embed postgres/*.sql sqlite/*.sql
var migrations embed.FS

// Line is the store's line of migrations. It belongs into the platform database.
func Line() tenancy.Line { return migrate.Line{Name: "session", FS: migrations} }

// Store is a [session.Store] in the platform database. It is safe for concurrent
// use, by any number of processes.
type Store struct {
	eng  engine.Engine
	text texts
}

var _ session.Store = (*Store)(nil)

// New makes the store of a database that was opened with [Line].
func New(db *tenancy.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlstore: new: database must not be nil")
	}
	eng := db.Engine(engine.Library)
	return &Store{eng: eng, text: textsOf(eng.Dialect())}, nil
}

// Insert implements [session.Store].
func (s *Store) Insert(ctx context.Context, row session.Row) error {
	_, err := s.run(ctx, nil, engine.Stmt{SQL: s.text.insert, Args: []any{
		row.ID, row.Hash[:], row.Tenant.UUID(), row.User,
		row.Created.UnixMicro(), row.LastSeen.UnixMicro(), row.Authenticated.UnixMicro(),
	}})
	return wrap("insert", err)
}

// Lookup implements [session.Store].
func (s *Store) Lookup(ctx context.Context, h session.Hash) (session.Row, error) {
	var row session.Row
	n, err := s.run(ctx, func(r engine.Row) error {
		var hash []byte
		var since int64
		var reason string
		err := scan(r, &row.Session, &hash, &since, &reason)
		if len(hash) == len(row.Hash) {
			row.Hash = session.Hash(hash)
		}
		if since != 0 {
			row.Revoked, row.Reason = at(since), session.Reason(reason)
		}
		return err
	}, engine.Stmt{SQL: s.text.lookup, Args: []any{h[:]}})
	if err == nil && n == 0 {
		return session.Row{}, session.ErrNotFound
	}
	return row, wrap("look up", err)
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, old session.Hash, row session.Row) error {
	n, err := s.run(ctx, nil, engine.Stmt{SQL: s.text.rotate, Args: []any{
		row.Hash[:], row.Authenticated.UnixMicro(), row.ID, old[:],
	}})
	if err == nil && n == 0 {
		return session.ErrNotFound
	}
	return wrap("rotate", err)
}

// touchBatch is how many touches are one transaction.
const touchBatch = 500

// Touch implements [session.Store]. All nodes take the rows in one order, so that
// they cannot wait for each other in a circle.
func (s *Store) Touch(ctx context.Context, touches []session.Touch) error {
	sorted := slices.SortedFunc(slices.Values(touches), func(a, b session.Touch) int {
		return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), a.At.Compare(b.At))
	})
	for batch := range slices.Chunk(sorted, touchBatch) {
		stmts := make([]engine.Stmt, len(batch))
		for i, t := range batch {
			stmts[i] = engine.Stmt{SQL: s.text.touch, Args: []any{t.At.UnixMicro(), t.ID}}
		}
		if _, err := s.run(ctx, nil, stmts...); err != nil {
			return wrap("touch", err)
		}
	}
	return nil
}

// Revoke implements [session.Store].
func (s *Store) Revoke(ctx context.Context, sel session.Selector, when time.Time, reason session.Reason) ([]uuid.UUID, error) {
	where, args := s.text.chosen(sel, 3)
	if where == "" {
		return nil, wrap("revoke", session.ErrSelector)
	}
	var ids []uuid.UUID
	_, err := s.run(ctx, func(r engine.Row) error {
		var id uuid.UUID
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, engine.Stmt{SQL: s.text.revoke(where), Args: append([]any{when.UnixMicro(), string(reason)}, args...)})
	return ids, wrap("revoke", err)
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, sel session.Selector) ([]session.Session, error) {
	where, args := s.text.chosen(sel, 1)
	if where == "" {
		return nil, wrap("list", session.ErrSelector)
	}
	var all []session.Session
	_, err := s.run(ctx, func(r engine.Row) error {
		var one session.Session
		err := scan(r, &one)
		all = append(all, one)
		return err
	}, engine.Stmt{SQL: s.text.list + where, Args: args})
	return all, wrap("list", err)
}

// purgeBatch is how many rows are deleted in one transaction: others write to the
// database in between, and what was deleted stays so whatever follows.
const purgeBatch = 1000

// Purge implements [session.Store].
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	count := 0
	for {
		n, err := s.run(ctx, nil, engine.Stmt{SQL: s.text.purge, Args: []any{before.UnixMicro()}})
		count += int(n)
		if err != nil || n < purgeBatch {
			return count, wrap("purge", err)
		}
	}
}

// run executes statements in one transaction of the platform and commits; row
// gets what the last one returns.
func (s *Store) run(ctx context.Context, row func(engine.Row) error, stmts ...engine.Stmt) (int64, error) {
	t, err := s.eng.Begin(ctx, engine.Scope{})
	if err != nil {
		return 0, err
	}
	last := len(stmts) - 1
	for _, stmt := range stmts[:last] {
		t.Queue(stmt)
	}
	n, err := t.Run(ctx, stmts[last], engine.Commit, row)
	if err != nil {
		return n, errors.Join(err, t.Rollback(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// scan reads the columns of a session, and more.
func scan(r engine.Row, s *session.Session, more ...any) error {
	var created, seen, authenticated int64
	dest := append([]any{&s.ID, &s.Tenant, &s.User, &created, &seen, &authenticated}, more...)
	if err := r.Scan(dest...); err != nil {
		return err
	}
	s.Created, s.LastSeen, s.Authenticated = at(created), at(seen), at(authenticated)
	return nil
}

func at(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

func wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: %s: %w", verb, err)
}
