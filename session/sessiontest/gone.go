package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/art32/art32/session"
)

func insertOverRevoked(ctx context.Context, s session.Store) error {
	first := anyRow()
	if err := all(insert(ctx, s, first), revoke(ctx, s, session.OfID(first.ID), first), want(ctx, s, ended(first))); err != nil {
		return err
	}
	sameID, sameHash, same := anyRow(), anyRow(), first
	sameID.ID, sameHash.Hash = first.ID, first.Hash
	for _, row := range []session.Row{sameID, sameHash, same} {
		if s.Insert(ctx, row) == nil {
			return errors.New("insert: the id or token of a session that was revoked was taken")
		}
	}
	return all(
		want(ctx, s, ended(first)), wantNone(ctx, s, sameID.Hash),
		wantList(ctx, s, session.OfID(first.ID, sameHash.ID), nil),
	)
}

func rotateMakesNothing(ctx context.Context, s session.Store) error {
	row, err := purgedRow(ctx, s)
	if err != nil {
		return err
	}
	purged, unknown := anyRow(), anyRow()
	purged.Session = row.Session
	return all(
		wantNotFound("rotate what was purged", s.Rotate(ctx, row.Hash, purged)),
		wantNotFound("rotate what never was", s.Rotate(ctx, anyRow().Hash, unknown)),
		wantNone(ctx, s, row.Hash), wantNone(ctx, s, purged.Hash), wantNone(ctx, s, unknown.Hash),
		wantList(ctx, s, session.OfID(purged.ID, unknown.ID), nil),
	)
}

// tries are more than the purges of the cases beside, each of which may take the
// session that noClock looks at.
const tries = 100

func noClock(ctx context.Context, s session.Store) (err error) {
	for range tries {
		if err = longAgo(ctx, s); err == nil {
			return nil
		}
	}
	return err
}

// longAgo works with a session whose limits have passed by any clock.
func longAgo(ctx context.Context, s session.Store) error {
	row, to := anyRow(), anyRow()
	row.Created = moment().AddDate(-30, 0, 0)
	row.LastSeen, row.Authenticated = row.Created.Add(time.Minute), row.Created.Add(time.Second)
	if err := all(insert(ctx, s, row), want(ctx, s, row)); err != nil {
		return err
	}
	if err := wantLists(ctx, s, []session.Row{row}); err != nil {
		return err
	}
	row.LastSeen = row.LastSeen.Add(time.Minute)
	if err := s.Touch(ctx, []session.Touch{{ID: row.ID, At: row.LastSeen}}); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	to.Session = row.Session
	if err := s.Rotate(ctx, row.Hash, to); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return all(want(ctx, s, to), revoke(ctx, s, session.OfUser(row.Tenant, row.User), to), want(ctx, s, ended(to)))
}
