package keyring

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

var _ Copier = (*sqlStore)(nil)

// Export implements [Copier].
func (s *sqlStore) Export(ctx context.Context, after CopiedRecord, limit int) (out []CopiedRecord, err error) {
	rows, err := s.db.QueryContext(ctx, s.copies().export, after.Tenant.String(), after.Name, int64(after.Version), int64(limit))
	if err != nil {
		return nil, storeError("copy", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r CopiedRecord
		var tenant string
		var created, changed int64
		err := rows.Scan(&tenant, &r.Name, &r.Version, &r.State, &r.Wrapped, &created, &changed, &r.Uses)
		if err != nil {
			return nil, storeError("copy", err)
		}
		if r.Tenant, err = uuid.Parse(tenant); err != nil {
			return nil, storeError("copy", err)
		}
		r.Created, r.Changed = time.UnixMilli(created), time.UnixMilli(changed)
		out = append(out, r)
	}
	return out, storeError("copy", rows.Err())
}

// importRow is a record as the statements take it, in JSON.
type importRow struct {
	Tenant  uuid.UUID `json:"tenant"`
	Name    string    `json:"name"`
	Version uint32    `json:"version"`
	State   State     `json:"state"`
	Wrapped *string   `json:"wrapped"` // hexadecimal
	Under   *uint32   `json:"under"`   // version of the KEK; nil under the root
	Created int64     `json:"created"`
	Changed int64     `json:"changed"`
	Uses    int64     `json:"uses"`
}

func newImportRow(r CopiedRecord) importRow {
	row := importRow{
		Tenant: r.Tenant, Name: r.Name, Version: r.Version, State: r.State,
		Created: r.Created.UnixMilli(), Changed: r.Changed.UnixMilli(), Uses: r.Uses,
	}
	if len(r.Wrapped) > 0 {
		text := hex.EncodeToString(r.Wrapped)
		row.Wrapped = &text
	}
	if r.Name != nameRoot && r.Name != nameTenant {
		version, _ := aead.KeyVersion(r.Wrapped) // 0 is no version
		row.Under = &version
	}
	return row
}

// Import implements [Copier].
func (s *sqlStore) Import(ctx context.Context, records []CopiedRecord) (added, erased int64, err error) {
	conn, err := s.writer(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	for part := range slices.Chunk(records, batch) {
		a, e, err := s.importPart(ctx, conn, part)
		if err != nil {
			return added, erased, err
		}
		added, erased = added+a, erased+e
	}
	if s.lite && slices.ContainsFunc(records, func(r CopiedRecord) bool { return r.State == Erased }) {
		return added, erased, emptyLog(ctx, conn) // also where a call before has erased, and left bytes
	}
	return added, erased, nil
}

func (s *sqlStore) importPart(ctx context.Context, conn *sql.Conn, part []CopiedRecord) (added, erased int64, err error) {
	rows := make([]importRow, len(part))
	for i, r := range part {
		rows[i] = newImportRow(r)
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return 0, 0, err
	}
	defer clear(list)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, storeError("restore", err)
	}
	defer func() { err = errors.Join(err, rolledBack(tx)) }()
	texts := s.copies()
	for _, step := range []struct {
		text string
		n    *int64
	}{{texts.add, &added}, {texts.erase, &erased}, {texts.count, new(int64)}} {
		done, err := tx.ExecContext(ctx, step.text, string(list))
		if err != nil {
			return 0, 0, storeError("restore", err)
		}
		if *step.n, err = done.RowsAffected(); err != nil {
			return 0, 0, storeError("restore", err)
		}
	}
	return added, erased, storeError("restore", tx.Commit())
}

// rolledBack ends a transaction that is not committed.
func rolledBack(tx *sql.Tx) error {
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return storeError("restore", err)
	}
	return nil
}
