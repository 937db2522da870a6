package keyring

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

var _ Destroyer = (*sqlStore)(nil)

// Destroy implements [Destroyer].
func (s *sqlStore) Destroy(ctx context.Context, tenant uuid.UUID, list []Record, retired, at time.Time) error {
	conn, err := s.writer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var refused error
	for part := range slices.Chunk(ordered(list), batch) {
		err := s.destroyPart(ctx, conn, tenant, part, retired, at)
		switch {
		case errors.Is(err, ErrNoKey), errors.Is(err, ErrTooEarly), errors.Is(err, ErrInUse):
			refused = err
		case err != nil:
			return err
		}
	}
	if s.lite {
		return errors.Join(refused, emptyLog(ctx, conn))
	}
	return refused
}

// destroyPart is one transaction on PostgreSQL: the rows are locked by a
// statement of their own, so that the next one sees what those have written
// who held them. On SQLite nobody writes while the one statement runs.
func (s *sqlStore) destroyPart(ctx context.Context, conn *sql.Conn, tenant uuid.UUID, part []Record, retired, at time.Time) error {
	pairs, times := s.given(tenant.String()), s.given(tenant.String(), retired.UnixMilli(), at.UnixMilli())
	report := s.given(times.args...)
	for _, r := range part {
		pairs.add(r.Name, int64(r.Version))
		report.add(r.Name, int64(r.Version))
		times.add(r.Name, int64(r.Version), header(r))
	}
	if s.lite {
		if _, err := conn.ExecContext(ctx, times.into(s.more.destroy), times.args...); err != nil {
			return storeError("destroy keys of", err)
		}
		return s.refused(ctx, conn, report)
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return storeError("destroy keys of", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, pairs.into(s.more.lock), pairs.args...); err != nil {
		return storeError("destroy keys of", err)
	}
	if _, err := tx.ExecContext(ctx, times.into(s.more.destroy), times.args...); err != nil {
		return storeError("destroy keys of", err)
	}
	refused := s.refused(ctx, tx, report)
	return errors.Join(storeError("destroy keys of", tx.Commit()), refused)
}

// header is how everything begins that a KEK has wrapped; NULL for other keys.
func header(r Record) any {
	if r.Name != nameTenant {
		return nil
	}
	return binary.BigEndian.AppendUint32([]byte{1}, r.Version)
}

// refused says why one of the versions was not destroyed.
func (s *sqlStore) refused(ctx context.Context, q migrate.Querier, g *given) error {
	rows, err := q.QueryContext(ctx, g.into(s.more.report), g.args...)
	if err != nil {
		return storeError("destroy keys of", err)
	}
	defer rows.Close()
	var refused error
	for rows.Next() {
		var state sql.NullString
		var ripe sql.NullBool
		if err := rows.Scan(&state, &ripe); err != nil {
			return storeError("destroy keys of", err)
		}
		switch {
		case !state.Valid:
			refused = ErrNoKey
		case State(state.String) == Retired && !ripe.Bool:
			refused = ErrTooEarly
		default:
			refused = ErrInUse
		}
	}
	if err := rows.Err(); err != nil {
		return storeError("destroy keys of", err)
	}
	return refused
}

// Clear implements [Destroyer].
func (s *sqlStore) Clear(ctx context.Context, tenant uuid.UUID, after string, limit int, at time.Time) (next string, err error) {
	conn, err := s.writer(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, s.more.last, tenant.String(), after, int64(limit)).Scan(&next); err != nil || next == "" {
		return "", storeError("clear keys of", err)
	}
	_, err = conn.ExecContext(ctx, s.more.clear, tenant.String(), after, next, at.UnixMilli())
	return next, storeError("clear keys of", err)
}

// Settle implements [Destroyer].
func (s *sqlStore) Settle(ctx context.Context) error {
	if !s.lite {
		return nil
	}
	conn, err := s.writer(ctx)
	if err != nil {
		return err
	}
	return errors.Join(emptyLog(ctx, conn), conn.Close())
}
