package session

import (
	"context"
)

// running is the context of one request in a session. It ends with the session,
// and lays tenant, actor and session id over what the request's own context says.
type running struct {
	context.Context

	names   context.Context // tenant, actor, session id; one per session and node
	session Session
	cancel  context.CancelCauseFunc

	use        *use // under node.mu, as are:
	next, prev *running
}

type runningKey struct{}

// Value implements [context.Context].
func (r *running) Value(key any) any {
	if key == (runningKey{}) {
		return r
	}
	if v := r.names.Value(key); v != nil {
		return v
	}
	return r.Context.Value(key)
}

func runningIn(ctx context.Context) *running {
	run, _ := ctx.Value(runningKey{}).(*running)
	return run
}

// namesOf is the part of a request's context that is equal for all of a session.
func namesOf(s *Session) context.Context { return acting(context.Background(), s) }
