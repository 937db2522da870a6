package keyring

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

var _ Rotator = (*sqlStore)(nil)

// Page implements [Rotator].
func (s *sqlStore) Page(ctx context.Context, tenant uuid.UUID, name, after string, limit int) (records []Record, next string, err error) {
	if name != "" && !strings.HasSuffix(name, "/") {
		records, err = pageOf(ctx, s.db, tenant, s.more.one, tenant.String(), name)
		return records, "", err
	}
	if after == "" {
		after = name
	}
	records, err = pageOf(ctx, s.db, tenant, s.more.page, tenant.String(), name, after, int64(limit))
	if err != nil || len(records) < limit {
		return records, "", err
	}
	last := records[len(records)-1].Name // it may have further versions
	whole := slices.IndexFunc(records, func(r Record) bool { return r.Name == last })
	if whole == 0 { // more versions than a page
		return s.Page(ctx, tenant, name, after, 2*limit)
	}
	return records[:whole], records[whole-1].Name, nil
}

func pageOf(ctx context.Context, q migrate.Querier, tenant uuid.UUID, text string, args ...any) (out []Record, err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, storeError("read", err)
	}
	defer rows.Close()
	for rows.Next() {
		r := Record{Tenant: tenant}
		var created, changed int64
		if err := rows.Scan(&r.Name, &r.Version, &r.State, &r.Wrapped, &created, &changed); err != nil {
			return nil, storeError("read", err)
		}
		r.Created, r.Changed = time.UnixMilli(created), time.UnixMilli(changed)
		out = append(out, r)
	}
	return out, storeError("read", rows.Err())
}

// Introduce implements [Rotator].
func (s *sqlStore) Introduce(ctx context.Context, records []Record) (n int64, err error) {
	for part := range slices.Chunk(ordered(records), batch) {
		g := s.given(part[0].Tenant.String(), part[0].Created.UnixMilli())
		for _, r := range part {
			g.add(r.Name, int64(r.Version), r.Wrapped, under(r.Name, r.Wrapped))
		}
		added, err := s.change(ctx, "introduce keys into", s.more.introduce, g)
		if n += added; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Retire implements [Rotator].
func (s *sqlStore) Retire(ctx context.Context, tenant uuid.UUID, records []Record, at time.Time) (n int64, err error) {
	for part := range slices.Chunk(ordered(records), batch) {
		g := s.given(tenant.String(), at.UnixMilli())
		for _, r := range part {
			g.add(r.Name, int64(r.Version))
		}
		retired, err := s.change(ctx, "retire keys of", s.more.retire, g)
		if n += retired; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Rewrap implements [Rotator].
func (s *sqlStore) Rewrap(ctx context.Context, tenant uuid.UUID, list []Rewrap) (n int64, err error) {
	for part := range slices.Chunk(list, batch) {
		g := s.given(tenant.String())
		for _, w := range part {
			if s.lite && len(w.New) != len(w.Old) {
				return n, ErrSize
			}
			g.add(w.Name, int64(w.Version), w.New, under(w.Name, w.New), w.Old)
		}
		done, err := s.change(ctx, "wrap anew keys of", s.more.rewrap, g)
		if n += done; err != nil {
			return n, err
		}
	}
	return n, nil
}

// change runs one statement that writes keys.
func (s *sqlStore) change(ctx context.Context, verb, text string, g *given) (int64, error) {
	conn, err := s.writer(ctx)
	if err != nil {
		return 0, err
	}
	n, err := affected(conn.ExecContext(ctx, g.into(text), g.args...))
	return n, errors.Join(storeError(verb, err), conn.Close())
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// ordered is by name, as all lock, but a KEK before what it wraps.
func ordered(records []Record) []Record {
	return slices.SortedFunc(slices.Values(records), func(a, b Record) int {
		if aKEK, bKEK := a.Name == nameTenant, b.Name == nameTenant; aKEK != bKEK {
			if aKEK {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
}
