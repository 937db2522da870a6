package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/tenancy"
)

// moment is a time with microseconds, outside UTC, as a caller may pass it.
func moment() time.Time {
	return time.Date(2031, 3, 9, 14, 15, 16, 123_456_000, time.FixedZone("elsewhere", 3600))
}

// newRow is a session of somebody new.
func newRow(t tenancy.ID, user uuid.UUID) session.Row {
	var h session.Hash
	a, b := uuid.New(), uuid.New()
	copy(h[:], a[:])
	copy(h[16:], b[:])
	now := moment()
	return session.Row{Hash: h, Session: session.Session{
		ID: uuid.New(), Tenant: t, User: user,
		Created: now, LastSeen: now.Add(time.Minute), Authenticated: now.Add(time.Second),
	}}
}

func anyRow() session.Row { return newRow(tenancy.NewID(), uuid.New()) }

// insert adds rows, and looks each up before and afterwards, as a request would: a
// store that remembers its answers must forget them with what the case does next.
func insert(ctx context.Context, s session.Store, rows ...session.Row) error {
	for _, row := range rows {
		_, _ = s.Lookup(ctx, row.Hash) // what comes of it the cases judge
		if err := s.Insert(ctx, row); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	for _, row := range rows {
		_, _ = s.Lookup(ctx, row.Hash)
	}
	return nil
}

// want compares what the store knows of a token with want.
func want(ctx context.Context, s session.Store, want session.Row) error {
	got, err := s.Lookup(ctx, want.Hash)
	if err != nil {
		return fmt.Errorf("look up: %w", err)
	}
	if got.ID != want.ID || got.Tenant != want.Tenant || got.User != want.User || got.Hash != want.Hash || got.Reason != want.Reason {
		return errors.New("look up: another session, or another reason, than was stored")
	}
	for name, pair := range map[string][2]time.Time{
		"Created": {got.Created, want.Created}, "LastSeen": {got.LastSeen, want.LastSeen},
		"Authenticated": {got.Authenticated, want.Authenticated}, "Revoked": {got.Revoked, want.Revoked},
	} {
		if !pair[0].Equal(pair[1]) || pair[0].Location() != time.UTC {
			return fmt.Errorf("look up: %s is %v, want %v in UTC", name, pair[0], pair[1])
		}
	}
	return nil
}

func all(checks ...error) error { return errors.Join(checks...) }

func wantNone(ctx context.Context, s session.Store, h session.Hash) error {
	_, err := s.Lookup(ctx, h)
	return wantNotFound("look up", err)
}

func wantNotFound(verb string, err error) error {
	if !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("%s: got error %w, want session.ErrNotFound", verb, orNil(err))
	}
	return nil
}

func orNil(err error) error {
	if err == nil {
		return errors.New("nil")
	}
	return err
}

func revoke(ctx context.Context, s session.Store, sel session.Selector, wanted ...session.Row) error {
	ids, err := s.Revoke(ctx, sel, moment().Add(time.Hour), session.ReasonRevoked)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if !sameIDs(ids, wanted) {
		return fmt.Errorf("revoke: %d sessions ended that were others, or another number, than the %d chosen", len(ids), len(wanted))
	}
	return nil
}

func sameIDs(ids []uuid.UUID, rows []session.Row) bool {
	found := map[uuid.UUID]int{}
	for _, id := range ids {
		found[id]++
	}
	for _, row := range rows {
		found[row.ID]--
	}
	for _, n := range found {
		if n != 0 {
			return false
		}
	}
	return true
}

// ended is row after revoke.
func ended(row session.Row) session.Row {
	row.Revoked, row.Reason = moment().Add(time.Hour), session.ReasonRevoked
	return row
}

func roundTrip(ctx context.Context, s session.Store) error {
	a, b := anyRow(), anyRow()
	if err := insert(ctx, s, a, b); err != nil {
		return err
	}
	return all(want(ctx, s, a), want(ctx, s, b))
}

func unknownToken(ctx context.Context, s session.Store) error {
	if err := insert(ctx, s, anyRow()); err != nil {
		return err
	}
	return wantNone(ctx, s, anyRow().Hash)
}

func insertTwice(ctx context.Context, s session.Store) error {
	first := anyRow()
	if err := insert(ctx, s, first); err != nil {
		return err
	}
	sameID, sameHash := anyRow(), anyRow()
	sameID.ID, sameHash.Hash = first.ID, first.Hash
	if s.Insert(ctx, sameID) == nil || s.Insert(ctx, sameHash) == nil {
		return errors.New("insert: an id or token that is there already was taken")
	}
	return all(want(ctx, s, first), wantNone(ctx, s, sameID.Hash))
}

func touchForward(ctx context.Context, s session.Store) error {
	row, other := anyRow(), anyRow()
	if err := insert(ctx, s, row, other); err != nil {
		return err
	}
	row.LastSeen = row.LastSeen.Add(time.Minute)
	for _, at := range []time.Time{row.LastSeen.Add(-time.Second), row.LastSeen, row.LastSeen.Add(-time.Hour)} {
		if err := s.Touch(ctx, []session.Touch{{ID: row.ID, At: at}}); err != nil {
			return fmt.Errorf("touch: %w", err)
		}
	}
	return all(want(ctx, s, row), want(ctx, s, other))
}

func touchMany(ctx context.Context, s session.Store) error {
	tenant := tenancy.NewID()
	var rows []session.Row
	var touches []session.Touch
	for i := range 1200 {
		row := newRow(tenant, uuid.New())
		if err := insert(ctx, s, row); err != nil {
			return err
		}
		row.LastSeen = row.LastSeen.Add(time.Duration(i+1) * time.Second)
		rows = append(rows, row)
		touches = append(touches, session.Touch{ID: row.ID, At: row.LastSeen}, session.Touch{ID: uuid.New(), At: row.LastSeen})
	}
	gone := rows[600]
	if err := revoke(ctx, s, session.OfID(gone.ID), gone); err != nil {
		return err
	}
	gone.LastSeen = moment().Add(time.Minute)
	rows[600] = ended(gone)
	for _, h := range []session.Hash{rows[0].Hash, gone.Hash, rows[1100].Hash} {
		_, _ = s.Lookup(ctx, h)
	}
	if err := s.Touch(ctx, touches); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	for _, row := range rows {
		if err := want(ctx, s, row); err != nil {
			return err
		}
	}
	return nil
}

// purgedRow gives a session that the store held and has forgotten.
func purgedRow(ctx context.Context, s session.Store) (session.Row, error) {
	row := anyRow()
	row.Created = row.Created.Add(-4 * time.Hour)
	if err := insert(ctx, s, row); err != nil {
		return row, err
	}
	if _, err := s.Purge(ctx, row.Created.Add(time.Hour)); err != nil {
		return row, fmt.Errorf("purge: %w", err)
	}
	return row, wantNone(ctx, s, row.Hash)
}

func touchMakesNothing(ctx context.Context, s session.Store) error {
	row, err := purgedRow(ctx, s)
	if err != nil {
		return err
	}
	if err := s.Touch(ctx, []session.Touch{{ID: row.ID, At: row.LastSeen.Add(time.Hour)}}); err != nil {
		return fmt.Errorf("touch of what is gone: %w", err)
	}
	found, err := s.List(ctx, session.OfID(row.ID))
	if err != nil || len(found) != 0 {
		return fmt.Errorf("list: %d sessions (error %w), want none", len(found), orNil(err))
	}
	return all(wantNone(ctx, s, row.Hash), rounds(func() error { return purgeBesideTouches(ctx, s) }))
}

func noResurrection(ctx context.Context, s session.Store) error {
	row, to := anyRow(), anyRow()
	to.Session = row.Session
	if err := all(insert(ctx, s, row), revoke(ctx, s, session.OfID(row.ID), row), want(ctx, s, ended(row))); err != nil {
		return err
	}
	if err := s.Touch(ctx, []session.Touch{{ID: row.ID, At: row.LastSeen.Add(2 * time.Hour)}}); err != nil {
		return fmt.Errorf("touch of what was revoked: %w", err)
	}
	return all(
		wantNotFound("rotate", s.Rotate(ctx, row.Hash, to)),
		wantNone(ctx, s, to.Hash),
		want(ctx, s, ended(row)),
	)
}

func revokeOnce(ctx context.Context, s session.Store) error {
	row := anyRow()
	if err := all(insert(ctx, s, row), revoke(ctx, s, session.OfID(row.ID), row), want(ctx, s, ended(row))); err != nil {
		return err
	}
	ids, err := s.Revoke(ctx, session.OfUser(row.Tenant, row.User), moment().Add(3*time.Hour), session.ReasonLogout)
	if err != nil || len(ids) != 0 {
		return fmt.Errorf("revoke again: %d sessions (error %w), want none", len(ids), orNil(err))
	}
	return want(ctx, s, ended(row))
}

// people are sessions of a user: two at a tenant, one at another; and one of
// another user at the first tenant.
func people(ctx context.Context, s session.Store) (mine, elsewhere, colleague []session.Row, err error) {
	a, b, user := tenancy.NewID(), tenancy.NewID(), uuid.New()
	mine = []session.Row{newRow(a, user), newRow(a, user)}
	elsewhere = []session.Row{newRow(b, user)}
	colleague = []session.Row{newRow(a, uuid.New())}
	return mine, elsewhere, colleague, insert(ctx, s, slices.Concat(mine, elsewhere, colleague)...)
}

// wantEnded looks at all sessions after some were revoked.
func wantEnded(ctx context.Context, s session.Store, gone, live []session.Row) error {
	var errs []error
	for _, row := range gone {
		errs = append(errs, want(ctx, s, ended(row)))
	}
	for _, row := range live {
		errs = append(errs, want(ctx, s, row))
	}
	return errors.Join(errs...)
}

func revokeUser(ctx context.Context, s session.Store) error {
	mine, elsewhere, colleague, err := people(ctx, s)
	if err == nil {
		err = revoke(ctx, s, session.OfUser(mine[0].Tenant, mine[0].User), mine...)
	}
	return all(err, wantEnded(ctx, s, mine, slices.Concat(elsewhere, colleague)))
}

func revokeTenant(ctx context.Context, s session.Store) error {
	mine, elsewhere, colleague, err := people(ctx, s)
	here := slices.Concat(mine, colleague)
	if err == nil {
		err = revoke(ctx, s, session.OfTenant(mine[0].Tenant), here...)
	}
	return all(err, wantEnded(ctx, s, here, elsewhere))
}

func revokeID(ctx context.Context, s session.Store) error {
	mine, elsewhere, colleague, err := people(ctx, s)
	if err == nil {
		err = revoke(ctx, s, session.OfID(mine[1].ID, uuid.New(), colleague[0].ID), mine[1], colleague[0])
	}
	gone := slices.Concat(mine[1:], colleague)
	return all(err, wantEnded(ctx, s, gone, slices.Concat(mine[:1], elsewhere)))
}

func selectorOfNothing(ctx context.Context, s session.Store) error {
	row := anyRow()
	if err := insert(ctx, s, row); err != nil {
		return err
	}
	for _, sel := range []session.Selector{
		{}, session.OfID(), session.OfTenant(tenancy.ID{}), session.OfUser(row.Tenant, uuid.Nil), session.OfUser(tenancy.ID{}, row.User),
	} {
		if _, err := s.Revoke(ctx, sel, moment(), session.ReasonRevoked); !errors.Is(err, session.ErrSelector) {
			return fmt.Errorf("revoke: got error %w, want session.ErrSelector", orNil(err))
		}
		if _, err := s.List(ctx, sel); !errors.Is(err, session.ErrSelector) {
			return fmt.Errorf("list: got error %w, want session.ErrSelector", orNil(err))
		}
	}
	return want(ctx, s, row)
}

func list(ctx context.Context, s session.Store) error {
	mine, elsewhere, colleague, err := people(ctx, s)
	if err != nil {
		return err
	}
	gone := newRow(mine[0].Tenant, mine[0].User)
	if err := all(insert(ctx, s, gone), revoke(ctx, s, session.OfID(gone.ID), gone)); err != nil {
		return err
	}
	return all(
		wantList(ctx, s, session.OfUser(mine[0].Tenant, mine[0].User), mine),
		wantList(ctx, s, session.OfTenant(mine[0].Tenant), slices.Concat(mine, colleague)),
		wantList(ctx, s, session.OfID(mine[0].ID, gone.ID, uuid.New(), elsewhere[0].ID), slices.Concat(mine[:1], elsewhere)),
		wantList(ctx, s, session.OfUser(elsewhere[0].Tenant, colleague[0].User), nil),
	)
}

func wantList(ctx context.Context, s session.Store, sel session.Selector, rows []session.Row) error {
	found, err := s.List(ctx, sel)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	stored := map[uuid.UUID]session.Row{}
	for _, row := range rows {
		stored[row.ID] = row
	}
	var ids []uuid.UUID
	for _, f := range found {
		ids = append(ids, f.ID)
		row, ok := stored[f.ID]
		if ok && (f.Tenant != row.Tenant || f.User != row.User || !f.LastSeen.Equal(row.LastSeen)) {
			return errors.New("list: another session than was stored")
		}
	}
	if !sameIDs(ids, rows) {
		return fmt.Errorf("list by %s: %d sessions that are others, or another number, than the %d live ones", sel.Kind(), len(ids), len(rows))
	}
	return nil
}

func rotate(ctx context.Context, s session.Store) error {
	row, to, other := anyRow(), anyRow(), anyRow()
	if err := insert(ctx, s, row, other); err != nil {
		return err
	}
	old := row.Hash
	to.Session = session.Session{ID: row.ID, Authenticated: moment().Add(time.Hour)}
	if err := wantNone(ctx, s, to.Hash); err != nil {
		return err
	}
	if err := s.Rotate(ctx, old, to); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	row.Hash, row.Authenticated = to.Hash, to.Authenticated
	again, foreign := anyRow(), anyRow()
	again.ID, foreign.ID = row.ID, other.ID
	return all(
		wantNone(ctx, s, old), want(ctx, s, row), want(ctx, s, other),
		wantNotFound("rotate from the old token", s.Rotate(ctx, old, again)),
		wantNotFound("rotate another session", s.Rotate(ctx, row.Hash, foreign)),
		wantNone(ctx, s, again.Hash), wantNone(ctx, s, foreign.Hash),
	)
}

func purge(ctx context.Context, s session.Store) error {
	old, gone, young := anyRow(), anyRow(), anyRow()
	old.Created = moment().Add(-2 * time.Hour)
	gone.Created = moment().Add(-2 * time.Hour)
	if err := all(insert(ctx, s, old, gone, young), revoke(ctx, s, session.OfID(gone.ID), gone),
		want(ctx, s, old), want(ctx, s, ended(gone)), want(ctx, s, young)); err != nil {
		return err
	}
	n, err := s.Purge(ctx, moment())
	if err != nil || n < 2 {
		return fmt.Errorf("purge: %d sessions (error %w), want 2 at least", n, orNil(err))
	}
	return all(wantNone(ctx, s, old.Hash), wantNone(ctx, s, gone.Hash), want(ctx, s, young))
}
