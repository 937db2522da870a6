// Package memstore keeps sessions in memory, for tests and for programs of one
// process whose users may log in again after a restart.
//
// It serves TOM-2.3 and TOM-5.2 as package session does. [New] makes a [Store].
//
// # Guarantees
//
// Those of [session.Store], as sessiontest.RunStore tests them.
//
// # Not covered
//
// Several processes, and restarts: package sqlstore is for these.
//
// # Compatibility
//
// The API may change before version 1.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/tenancy"
)

// Store is a [session.Store] in memory. It is safe for concurrent use.
type Store struct {
	mu       sync.RWMutex
	byHash   map[session.Hash]*session.Row
	byID     map[uuid.UUID]*session.Row
	byTenant map[tenancy.ID]map[uuid.UUID]*session.Row
}

var _ session.Store = (*Store)(nil)

var errExists = errors.New("memstore: insert: id or token exists already")

// New makes an empty store.
func New() *Store {
	return &Store{
		byHash:   map[session.Hash]*session.Row{},
		byID:     map[uuid.UUID]*session.Row{},
		byTenant: map[tenancy.ID]map[uuid.UUID]*session.Row{},
	}
}

// Format implements [fmt.Formatter]: hashes are not to be printed.
func (*Store) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "memstore.Store") }

// Insert implements [session.Store].
func (s *Store) Insert(_ context.Context, row session.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHash[row.Hash] != nil || s.byID[row.ID] != nil {
		return errExists
	}
	row.Created, row.LastSeen, row.Authenticated = stamp(row.Created), stamp(row.LastSeen), stamp(row.Authenticated)
	s.byHash[row.Hash], s.byID[row.ID] = &row, &row
	if s.byTenant[row.Tenant] == nil {
		s.byTenant[row.Tenant] = map[uuid.UUID]*session.Row{}
	}
	s.byTenant[row.Tenant][row.ID] = &row
	return nil
}

// Lookup implements [session.Store].
func (s *Store) Lookup(_ context.Context, h session.Hash) (session.Row, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	row := s.byHash[h]
	if row == nil {
		return session.Row{}, session.ErrNotFound
	}
	return *row, nil
}

// Rotate implements [session.Store].
func (s *Store) Rotate(_ context.Context, old session.Hash, to session.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.byID[to.ID]
	if row == nil || row.Hash != old || !row.Revoked.IsZero() {
		return session.ErrNotFound
	}
	if s.byHash[to.Hash] != nil {
		return errExists
	}
	delete(s.byHash, old)
	row.Hash, row.Authenticated = to.Hash, stamp(to.Authenticated)
	s.byHash[row.Hash] = row
	return nil
}

// Touch implements [session.Store].
func (s *Store) Touch(_ context.Context, touches []session.Touch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range touches {
		row, at := s.byID[t.ID], stamp(t.At)
		if row != nil && row.Revoked.IsZero() && row.LastSeen.Before(at) {
			row.LastSeen = at
		}
	}
	return nil
}

// Revoke implements [session.Store].
func (s *Store) Revoke(_ context.Context, sel session.Selector, at time.Time, reason session.Reason) ([]uuid.UUID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, err := s.live(sel)
	if err != nil {
		return nil, fmt.Errorf("memstore: revoke: %w", err)
	}
	var ids []uuid.UUID
	for _, row := range live {
		row.Revoked, row.Reason = stamp(at), reason
		ids = append(ids, row.ID)
	}
	return ids, nil
}

// List implements [session.Store].
func (s *Store) List(_ context.Context, sel session.Selector) ([]session.Session, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	live, err := s.live(sel)
	if err != nil {
		return nil, fmt.Errorf("memstore: list: %w", err)
	}
	var all []session.Session
	for _, row := range live {
		all = append(all, row.Session)
	}
	return all, nil
}

// Purge implements [session.Store].
func (s *Store) Purge(_ context.Context, before time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for id, row := range s.byID {
		if !row.Created.Before(before) {
			continue
		}
		count++
		delete(s.byID, id)
		delete(s.byHash, row.Hash)
		if delete(s.byTenant[row.Tenant], id); len(s.byTenant[row.Tenant]) == 0 {
			delete(s.byTenant, row.Tenant)
		}
	}
	return count, nil
}

// live gives the rows that sel chooses and that are not revoked. The caller holds
// the lock.
func (s *Store) live(sel session.Selector) (live []*session.Row, err error) {
	rows := map[uuid.UUID]*session.Row{}
	switch sel.Kind() {
	case session.KindID:
		for _, id := range sel.IDs() {
			if row := s.byID[id]; row != nil {
				rows[id] = row
			}
		}
	case session.KindUser, session.KindTenant:
		rows = s.byTenant[sel.Tenant()]
	default:
		return nil, session.ErrSelector
	}
	for _, row := range rows {
		if row.Revoked.IsZero() && sel.Matches(row.Session) {
			live = append(live, row)
		}
	}
	return live, nil
}

// stamp is t as stores keep it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
