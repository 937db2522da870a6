package pgsource

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

// Loaded implements [backup.Destination]. It sets the sequences, demands that
// every foreign key holds, counts the rows as they were read, holds what waits
// in the outbox, closes tenants without a part, and commits.
func (d *Destination) Loaded(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	tables, err := d.loaded(ctx)
	if err != nil {
		return nil, fmt.Errorf("pgsource: check what was loaded: %w", told(err))
	}
	return tables, nil
}

func (d *Destination) loaded(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	if err := run(ctx, d.conn, "ANALYZE", d.scripts["sequences.sql"]); err != nil {
		return nil, err
	}
	if err := references(ctx, d.conn); err != nil {
		return nil, err
	}
	if err := run(ctx, d.conn, viewsScript, qualified); err != nil {
		return nil, err
	}
	tables, err := d.count(ctx)
	if err != nil {
		return nil, err
	}
	return tables, d.settle(ctx)
}

// settle changes what may not go on as it was: messages that waited are held, and
// tenants whose part is missing are closed. Then all of it stands.
func (d *Destination) settle(ctx context.Context) error {
	now := time.Now().UTC()
	if _, err := d.conn.Exec(ctx, holdOutbox, now); err != nil {
		return err
	}
	_, err := d.conn.Exec(ctx, "UPDATE art32.tenants SET closed_at = $1 WHERE closed_at IS NULL AND NOT id = ANY ($2::text[]::uuid[])",
		now, append([]string{}, d.present...))
	if err != nil {
		return err
	}
	return run(ctx, d.conn, "COMMIT")
}

// references says which foreign key does not hold.
func references(ctx context.Context, conn *pgx.Conn) error {
	err := run(ctx, conn, referencesScript)
	if code(err) == "23503" {
		return fmt.Errorf("%w: %w", backup.ErrDamaged, told(err))
	}
	return err
}

// count reads the rows as the source did.
func (d *Destination) count(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	known, err := tenants(ctx, d.conn)
	if err != nil {
		return nil, err
	}
	out := make(map[tenancy.ID][]backup.Table)
	for i := range d.layout.Tables {
		s := newSplitter(ctx, nil, &d.layout.Tables[i], 0, known)
		if err := s.read(ctx, d.conn); err != nil {
			return nil, err
		}
		for _, h := range s.all {
			if t, ok := s.told(h); ok {
				out[h.tenant] = append(out[h.tenant], t)
			}
		}
	}
	return out, nil
}
