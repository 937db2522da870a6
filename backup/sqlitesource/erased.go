package sqlitesource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

var _ backup.Eraser = (*snapshot)(nil)

// erasedKeys are the tombstones of data subjects and tenants in the keystore: id
// of the tenant, a blank, name of the record. That of a tenant comes before those
// of its data subjects.
const erasedKeys = `SELECT DISTINCT tenant_id || ' ' || name FROM art32_keys
	WHERE state = 'erased' AND (name LIKE 'subject/%' OR name = 'tenant') ORDER BY tenant_id, name DESC`

// Erased implements [backup.Eraser].
func (v *snapshot) Erased(ctx context.Context, each func(tenancy.ID, uuid.UUID) error) error {
	path := filepath.Join(v.keys, keystoreName)
	var names []string
	err := with(ctx, path, readOnly, func(c *sql.Conn) (err error) {
		names, err = texts(ctx, c, erasedKeys)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlitesource: %w", unreadable(ctx, path, err))
	}
	for _, name := range names {
		tenant, subject, _ := strings.Cut(name, " ")
		t, err := uuid.Parse(tenant)
		id, idErr := uuid.Nil, error(nil)
		if subject != "tenant" {
			id, idErr = uuid.Parse(strings.TrimPrefix(subject, "subject/"))
		}
		if err != nil || idErr != nil {
			return errors.New("sqlitesource: the keystore names a data subject by no id")
		}
		if err := each(tenancy.ID(t), id); err != nil {
			return err
		}
	}
	return nil
}
