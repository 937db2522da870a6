package incident

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/art32/art32/tenancy"
)

// clockTolerance is by how much the clock of a writer may be ahead of the desk's.
const clockTolerance = 5 * time.Minute

// reach looks for matching changes that are there and dated after the default end
// of the scope: the case is not open yet, so that they are no later ones. Where the
// tolerance takes some in, the scope ends with it. Tenants that have others behind
// it, and those that cannot be read now, are noted in the case: later nothing would
// tell the dates from those of later changes.
func (d *Desk) reach(ctx context.Context, c *Case) error {
	tenants, err := d.db.Tenants(ctx)
	if err != nil {
		return wrap("list tenants", err)
	}
	late := *c
	late.Report.Scope.Until = late.Report.Scope.Until.Add(clockTolerance)
	end := c.Report.Scope.Until
	for _, t := range tenants {
		in := tenancy.WithTenant(ctx, t.ID)
		all, err := d.behind(in, c)
		var far int
		if err == nil && all > 0 {
			far, err = d.behind(in, &late)
		}
		switch {
		case ctx.Err() != nil:
			return wrap("count", ctx.Err())
		case err != nil || far > 0:
			c.Ahead = append(c.Ahead, t.ID)
		}
		if all > far {
			end = late.Report.Scope.Until
		}
	}
	c.Report.Scope.Until = end
	return nil
}

// behind counts the matching changes that are dated after the end of the scope.
func (d *Desk) behind(ctx context.Context, c *Case) (int, error) {
	q := c.Report.Scope
	q.From, q.Until = q.Until, time.Time{}
	trace, err := d.trail.Trace(ctx, d.db, q)
	if !left(err) {
		return 0, wrap("trace", err)
	}
	return trace.Events, nil
}

// ahead says that a tenant is not cleared by the dates in its log: they contradict
// that of the case, so that the log may show too little.
func (d *Desk) ahead(ctx context.Context, c *Case, tenant tenancy.ID) error {
	if !slices.Contains(c.Ahead, tenant) {
		return nil
	}
	n, err := d.behind(ctx, c)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: %d changes that match are dated after the end of the scope, by a clock that was ahead", tenancy.ErrDamagedLog, n)
	}
	return err
}
