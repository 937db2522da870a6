package session

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store keeps sessions. Package memstore holds one in memory, package sqlstore
// one in the platform database; sessiontest.RunStore tests any other.
//
// Every change names the state from which it goes, and the store compares and
// sets in one step: nothing is written back that was read before. Two rules
// follow which no store may break. A session that was revoked stays revoked, with
// its first time and reason, whatever is called afterwards. And no method but
// Insert makes a session.
//
// A store judges no limits and reads no clock: it takes the times that it is
// given. It keeps them to the microsecond and gives them back in UTC. Any error
// but [ErrNotFound] and [ErrSelector] means that the store is down, and the
// manager then refuses service; none may hold a token's hash. All methods are
// safe for concurrent use.
type Store interface {
	// Insert adds a session that is not revoked. An ID or Hash that is there
	// already is an error and leaves the older session as it is.
	Insert(ctx context.Context, row Row) error

	// Lookup finds the session of a token's hash, revoked or not, or returns
	// [ErrNotFound]. It precedes all knowledge of the tenant. It writes nothing,
	// and sees what any method has changed that returned before it was called,
	// on any node.
	Lookup(ctx context.Context, h Hash) (Row, error)

	// Rotate gives the session row.ID, whose hash is old and which is not
	// revoked, row.Hash and row.Authenticated; all else stays. From then on the
	// old hash is unknown. Where there is no such session it returns
	// [ErrNotFound]: of several rotations of one hash, one succeeds.
	Rotate(ctx context.Context, old Hash, row Row) error

	// Touch moves LastSeen forward to At for those sessions that are not revoked
	// and were last seen before it. Others, and unknown ones, are left as they
	// are, which is no error. The touches of a call need not be one transaction.
	Touch(ctx context.Context, touches []Touch) error

	// Revoke ends the sessions chosen by s that are not revoked yet, and returns
	// the ids of these. None is no error.
	Revoke(ctx context.Context, s Selector, at time.Time, reason Reason) ([]uuid.UUID, error)

	// List gives the sessions chosen by s that are not revoked, in any order,
	// expired ones included.
	List(ctx context.Context, s Selector) ([]Session, error)

	// Purge deletes the sessions that were created before the given time,
	// revoked or not, and returns how many. It need not be one transaction, and may
	// leave some for the next time: other work must not wait for it. With an error
	// it returns how many were deleted before it.
	Purge(ctx context.Context, before time.Time) (int, error)
}

// Touch says that a session was in use.
type Touch struct {
	ID uuid.UUID // of the session
	At time.Time // when a request came
}
