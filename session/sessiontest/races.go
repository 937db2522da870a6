package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
)

const (
	racers      = 8
	many        = 8 // rounds, for what goes wrong only sometimes
	mostTouches = 8 // of one racer: a store whose locks are not fair must come to an end
)

// rounds repeats what may go wrong once in a while.
func rounds(check func() error) error {
	for range many {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// race calls fn at once and gives the errors.
func race(fn func(i int) error) []error {
	errs := make([]error, racers)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// touchBeside moves a session forward again and again, as its requests do, while
// half of the racers do something to it: a touch that writes back what it has read
// undoes that.
func touchBeside(ctx context.Context, s session.Store, row session.Row, done *atomic.Int32) error {
	for n := range mostTouches {
		last := done.Load() >= racers/2
		err := s.Touch(ctx, []session.Touch{{ID: row.ID, At: row.LastSeen.Add(time.Duration(n+1) * time.Second)}})
		if err != nil {
			return fmt.Errorf("touch: %w", err)
		}
		if last {
			break
		}
		runtime.Gosched()
	}
	return nil
}

// wantTouched is want for a session that touches may have moved forward.
func wantTouched(ctx context.Context, s session.Store, row session.Row) error {
	got, err := s.Lookup(ctx, row.Hash)
	if err != nil {
		return fmt.Errorf("look up: %w", err)
	}
	if got.LastSeen.After(row.LastSeen) {
		row.LastSeen = got.LastSeen
	}
	return want(ctx, s, row)
}

// successors are what the racers rotate a session to.
func successors(row session.Row) []session.Row {
	to := make([]session.Row, racers)
	for i := range to {
		to[i] = anyRow()
		to[i].Session = row.Session
	}
	return to
}

func rotationsRace(ctx context.Context, s session.Store) error {
	return rounds(func() error { return rotateBesideTouches(ctx, s) })
}

func rotateBesideTouches(ctx context.Context, s session.Store) error {
	row := anyRow()
	if err := insert(ctx, s, row); err != nil {
		return err
	}
	to, rotated := successors(row), make([]error, racers)
	var done atomic.Int32
	errs := race(func(i int) error {
		if i%2 == 1 {
			return touchBeside(ctx, s, row, &done)
		}
		defer done.Add(1)
		rotated[i] = s.Rotate(ctx, row.Hash, to[i])
		return nil
	})
	won := 0
	for i := 0; i < racers; i += 2 {
		if rotated[i] == nil {
			won++
			errs = append(errs, wantTouched(ctx, s, to[i]))
		} else {
			errs = append(errs, wantNotFound("rotate", rotated[i]), wantNone(ctx, s, to[i].Hash))
		}
	}
	if won != 1 {
		errs = append(errs, fmt.Errorf("rotate: %d of %d rotations of one token succeeded", won, racers/2))
	}
	return all(append(errs, wantNone(ctx, s, row.Hash))...)
}

func revocationsRace(ctx context.Context, s session.Store) error {
	return rounds(func() error { return all(revokeBesideTouches(ctx, s), revokeBesideRotations(ctx, s)) })
}

// revokeAtOnce ends all sessions of a user with half of the racers, while the
// others do something beside. Each session must be ended by one of them.
func revokeAtOnce(ctx context.Context, s session.Store, rows []session.Row, beside func(i int, done *atomic.Int32) error) error {
	ids := make([][]uuid.UUID, racers)
	var done atomic.Int32
	errs := race(func(i int) (err error) {
		if i%2 == 1 {
			return beside(i, &done)
		}
		defer done.Add(1)
		ids[i], err = s.Revoke(ctx, session.OfUser(rows[0].Tenant, rows[0].User), moment().Add(time.Hour), session.ReasonRevoked)
		return err
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if !sameIDs(slices.Concat(ids...), rows) {
		return errors.New("revoke: a session was ended by nobody, or by several")
	}
	return nil
}

func revokeBesideTouches(ctx context.Context, s session.Store) error {
	rows := []session.Row{anyRow()}
	for range racers / 2 {
		rows = append(rows, newRow(rows[0].Tenant, rows[0].User))
	}
	if err := insert(ctx, s, rows...); err != nil {
		return err
	}
	err := revokeAtOnce(ctx, s, rows, func(i int, done *atomic.Int32) error { return touchBeside(ctx, s, rows[i/2], done) })
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		errs = append(errs, wantTouched(ctx, s, ended(row)))
	}
	return all(errs...)
}

// revokeBesideRotations ends a session while it gets another token: by whichever
// it is found then, it is revoked.
func revokeBesideRotations(ctx context.Context, s session.Store) error {
	row := anyRow()
	if err := insert(ctx, s, row); err != nil {
		return err
	}
	to := successors(row)
	err := revokeAtOnce(ctx, s, []session.Row{row}, func(i int, _ *atomic.Int32) error {
		if err := s.Rotate(ctx, row.Hash, to[i]); !errors.Is(err, session.ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	found := 0
	for _, row := range append(to, row) {
		if _, err := s.Lookup(ctx, row.Hash); errors.Is(err, session.ErrNotFound) {
			continue
		}
		if err := want(ctx, s, ended(row)); err != nil {
			return err
		}
		found++
	}
	if found != 1 {
		return fmt.Errorf("look up: %d tokens open one session", found)
	}
	return nil
}

// purgeBesideTouches deletes a session while its requests touch it. A purge may
// leave it for the next time; but once it is gone it stays so.
func purgeBesideTouches(ctx context.Context, s session.Store) error {
	row := anyRow()
	row.Created = row.Created.Add(-4 * time.Hour)
	if err := insert(ctx, s, row); err != nil {
		return err
	}
	var done atomic.Int32
	var gone atomic.Bool
	errs := race(func(i int) error {
		if i%2 == 1 {
			return touchBeside(ctx, s, row, &done)
		}
		defer done.Add(1)
		if _, err := s.Purge(ctx, row.Created.Add(time.Hour)); err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		if wantNone(ctx, s, row.Hash) == nil {
			gone.Store(true)
		}
		return nil
	})
	if gone.Load() {
		errs = append(errs, wantNone(ctx, s, row.Hash))
	}
	return all(errs...)
}
