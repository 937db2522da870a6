package pgsource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

var _ backup.Eraser = (*snapshot)(nil)

// tombstone is a data subject whose key was destroyed, or a tenant.
type tombstone struct {
	Tenant uuid.UUID
	Name   string // of the record
}

// tombstones lists those of a tenant first: its name comes behind all others.
const tombstones = `SELECT DISTINCT tenant_id, name FROM art32_keys.keys
	WHERE state = 'erased' AND (name LIKE 'subject/%' OR name = 'tenant') ORDER BY 1, 2 DESC`

// Erased implements [backup.Eraser].
func (s *snapshot) Erased(ctx context.Context, each func(tenancy.ID, uuid.UUID) error) error {
	var all []tombstone
	err := s.source.inKeystore(ctx, func(conn *pgx.Conn, _ []table) error {
		rows, err := conn.Query(ctx, tombstones)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[tombstone])
		return err
	})
	if err != nil {
		return fmt.Errorf("pgsource: read keystore: %w", told(err))
	}
	for _, t := range all {
		id, err := uuid.Nil, error(nil)
		if t.Name != "tenant" {
			id, err = uuid.Parse(strings.TrimPrefix(t.Name, "subject/"))
		}
		if err != nil {
			return errors.New("pgsource: the keystore names a data subject by no id")
		}
		if err := each(tenancy.ID(t.Tenant), id); err != nil {
			return err
		}
	}
	return nil
}
