package audit

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// keepCosignatures stores signature lines beside the checkpoint that they sign. A
// line that is there already is left.
func keepCosignatures(ctx context.Context, db *tenancy.DB, h *Head, log uuid.UUID, lines []string) error {
	tenant := h.Tenant.UUID()
	return inTx(ctx, db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		for _, line := range lines {
			t.Queue(engine.Stmt{
				SQL: "INSERT INTO " + engine.Table(t.Dialect(), "cosignatures") +
					" (tenant_id, log_id, size, line, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (log_id, size, line) DO NOTHING",
				Args: []any{tenant, log, h.Size, line, time.Now().UnixMicro()},
			})
		}
		return nil
	})
}

// cosigned is a checkpoint with the lines that witnesses gave for it.
func cosigned(ctx context.Context, db *tenancy.DB, tenant, log uuid.UUID, n storedNote) ([]byte, error) {
	out := []byte(n.note)
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, tenant, engine.Stmt{
		SQL:  "SELECT line FROM " + engine.Table(d, "cosignatures") + " WHERE tenant_id = $1 AND log_id = $2 AND size = $3 ORDER BY created_at, line",
		Args: []any{tenant, log, n.size},
	}, func(r engine.Row) error {
		var line string
		err := r.Scan(&line)
		out = append(append(out, line...), '\n')
		return err
	})
	return out, err
}

// keepPublication notes that a place that wants heads seldom has got one.
func keepPublication(ctx context.Context, db *tenancy.DB, h *Head, log uuid.UUID, place string) error {
	tenant := h.Tenant.UUID()
	return inTx(ctx, db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL: "INSERT INTO " + engine.Table(t.Dialect(), "publications") + " (tenant_id, log_id, place, size, at) VALUES ($1, $2, $3, $4, $5)" +
				" ON CONFLICT (log_id, place) DO UPDATE SET size = excluded.size, at = excluded.at",
			Args: []any{tenant, log, place, h.Size, time.Now().UnixMicro()},
		})
		return nil
	})
}

// readPublication is the size that such a place last got, and when; -1 for never.
func readPublication(ctx context.Context, db *tenancy.DB, tenant, log uuid.UUID, place string) (size int64, at time.Time, err error) {
	size = -1
	d := db.Engine(engine.Library).Dialect()
	err = read(ctx, db, tenant, engine.Stmt{
		SQL:  "SELECT size, at FROM " + engine.Table(d, "publications") + " WHERE tenant_id = $1 AND log_id = $2 AND place = $3",
		Args: []any{tenant, log, place},
	}, func(r engine.Row) error {
		var micros int64
		err := r.Scan(&size, &micros)
		at = time.UnixMicro(micros)
		return err
	})
	return size, at, err
}
