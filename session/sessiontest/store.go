package sessiontest

import (
	"context"
	"testing"

	"github.com/art32/art32/session"
)

// Case is one promise of a [session.Store].
type Case struct {
	// Name names the test.
	Name string
	// Measure is the clause that the promise carries.
	Measure string
	// Explanation says what goes wrong where the promise is broken.
	Explanation string
	// Check returns what is wrong with the store, or nil. Several cases may share
	// a store, at once too. They purge what was created before March 2031.
	Check func(ctx context.Context, s session.Store) error
}

// RunStore runs each case as a test, with a store that newStore gives it. It may
// give all of them the same one.
func RunStore(t *testing.T, newStore func(t *testing.T) session.Store) {
	t.Helper()
	for _, c := range StoreCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), newStore(t)); err != nil {
				t.Errorf("%v\n%s", err, c.Explanation)
			}
		})
	}
}

// StoreCases are the promises of [session.Store].
func StoreCases() []Case {
	const ends, apart = "TOM-2.3", "TOM-5.2"
	return []Case{
		{"round trip", ends, "A session must come back as it was stored, to the microsecond, or limits are judged wrongly.", roundTrip},
		{"unknown token", ends, "A token that was never given out opens nothing, and is no failure of the store.", unknownToken},
		{"insert twice", apart, "A second session under the same id or token would take over the first.", insertTwice},
		{"insert over what was revoked", apart, "A session that takes the id or token of one that was revoked brings it back.", insertOverRevoked},
		{"touch moves forward", ends, "LastSeen that moves back ends sessions early; that does not move ends all of them.", touchForward},
		{"touch many", ends, "A batch that is cut off, or stops at a session which is gone, ends the sessions behind it early.", touchMany},
		{"touch makes nothing", ends, "A session that was purged must not come back with the touch of a request under way.", touchMakesNothing},
		{"no resurrection", ends, "A session that was revoked must not come back with the touch or the rotation of a request under way.", noResurrection},
		{"revoke once", apart, "When and why a session was first ended must stand; each end is counted once.", revokeOnce},
		{"revoke of a user", apart, "Only the sessions of this user at this tenant may end, and all of them.", revokeUser},
		{"revoke of a tenant", apart, "Only the sessions of this tenant may end, and all of them.", revokeTenant},
		{"revoke by id", apart, "Only the sessions of these ids may end.", revokeID},
		{"revoke many", apart, "However many sessions are chosen, all must end: those that are left stay with who should be locked out.", revokeMany},
		{"selector of nothing", apart, "What names nothing must not choose everything.", selectorOfNothing},
		{"list", apart, "Who looks at sessions must see those that are live, and nobody else's.", list},
		{"list many", apart, "A list that is cut off hides sessions from who would end them.", listMany},
		{"rotate", ends, "The old token must die with the rotation, and the session stay the same.", rotate},
		{"rotate makes nothing", ends, "A session that was purged, or never was, must not come to life with a rotation.", rotateMakesNothing},
		{"rotations race", ends, "Of two rotations of one token, one must lose, or two tokens open the session; a touch beside them brings no token back.", rotationsRace},
		{"revocations race", apart, "Of many who end a session one has done it; a touch or a rotation beside them does not undo it.", revocationsRace},
		{"purge", apart, "What is over must go, and nothing else.", purge},
		{"no clock", ends, "Limits are the manager's business: a store that judges them by its own clock hides sessions that are open, or leaves them open.", noClock},
	}
}
