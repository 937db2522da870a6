package sqlite

import (
	"context"

	"github.com/google/uuid"
)

// Shrink writes a tenant's file anew without the space of rows that were deleted.
// It takes as much space again while it runs, and writers wait for it.
func (d *database) Shrink(ctx context.Context, tenant uuid.UUID) (err error) {
	h, err := d.acquire(ctx, tenant, true)
	if err != nil {
		return err
	}
	defer d.release(h)
	if _, err := h.file.upkeepAs(ctx, rewriter, `VACUUM`); err != nil {
		return err
	}
	return h.file.scrub(ctx)
}
