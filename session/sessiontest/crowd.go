package sessiontest

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/tenancy"
)

// crowd is more sessions than a page, a batch or a list of parameters holds.
const crowd = 1100

// fill adds a crowd of sessions of a new user at a new tenant.
func fill(ctx context.Context, s session.Store) ([]session.Row, error) {
	tenant, user := tenancy.NewID(), uuid.New()
	rows := make([]session.Row, crowd)
	for i := range rows {
		rows[i] = newRow(tenant, user)
		if err := s.Insert(ctx, rows[i]); err != nil {
			return nil, fmt.Errorf("insert: %w", err)
		}
	}
	return rows, nil
}

// choices are the selectors, one of each kind, that choose all sessions of a user
// who is alone at a tenant.
func choices(rows []session.Row) []session.Selector {
	ids := make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return []session.Selector{session.OfTenant(rows[0].Tenant), session.OfUser(rows[0].Tenant, rows[0].User), session.OfID(ids...)}
}

func listMany(ctx context.Context, s session.Store) error {
	rows, err := fill(ctx, s)
	if err != nil {
		return err
	}
	return wantLists(ctx, s, rows)
}

func wantLists(ctx context.Context, s session.Store, rows []session.Row) error {
	var errs []error
	for _, sel := range choices(rows) {
		errs = append(errs, wantList(ctx, s, sel, rows))
	}
	return all(errs...)
}

// revokeMany ends a crowd by user, one by tenant, and before that the last few of
// many ids of which nobody knows the others.
func revokeMany(ctx context.Context, s session.Store) error {
	mine, err := fill(ctx, s)
	if err != nil {
		return err
	}
	theirs, err := fill(ctx, s)
	if err != nil {
		return err
	}
	few, rest := mine[:3], mine[3:]
	var ids []uuid.UUID
	for range crowd {
		ids = append(ids, uuid.New())
	}
	for _, row := range few {
		ids = append(ids, row.ID)
	}
	return all(
		revoke(ctx, s, session.OfID(ids...), few...),
		revoke(ctx, s, session.OfUser(mine[0].Tenant, mine[0].User), rest...),
		revoke(ctx, s, session.OfTenant(theirs[0].Tenant), theirs...),
		wantList(ctx, s, session.OfTenant(mine[0].Tenant), nil),
		wantList(ctx, s, session.OfTenant(theirs[0].Tenant), nil),
	)
}
