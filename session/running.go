package session

import (
	"context"
)

// running is the context of one request in a session. It ends with the session,
// and lays tenant, actor and session id over what the request's own context says.
type running struct {
	context.Context

	node    *node           // of the manager that admitted it
	names   context.Context // tenant, actor, session id; one per session and node
	session Session
	cancel  context.CancelCauseFunc

	use        *use // under node.mu, as are:
	next, prev *running
}

// runningKey finds the innermost request in a session, or that of one manager.
type runningKey struct{ node *node }

// Value implements [context.Context].
func (r *running) Value(key any) any {
	if key == (runningKey{}) || key == (runningKey{r.node}) {
		return r
	}
	if v := r.names.Value(key); v != nil {
		return v
	}
	return r.Context.Value(key)
}

// runningIn is the request in a session that ctx belongs to, whichever manager
// admitted it.
func runningIn(ctx context.Context) *running {
	run, _ := ctx.Value(runningKey{}).(*running)
	return run
}

// running is the same for this manager alone: what another one admitted was not
// judged by this one's store and limits.
func (n *node) running(ctx context.Context) *running {
	run, _ := ctx.Value(runningKey{n}).(*running)
	return run
}

// namesOf is the part of a request's context that is equal for all of a session.
func namesOf(s *Session) context.Context { return acting(context.Background(), s) }

// nobody is the context of a request that this manager found no session for. It
// covers those that managers around it have admitted.
type nobody struct {
	context.Context

	node  *node
	outer *running        // the innermost around it, or nil
	base  context.Context // the one outside all of them
	clear bool            // the cookie is of no further use
}

type nobodyKey struct{ node *node }

// nobody is ctx where a request without session runs.
func (n *node) nobody(ctx context.Context, v verdict) context.Context {
	outer := runningIn(ctx)
	if outer == nil && !v.clears() {
		return ctx
	}
	return &nobody{Context: ctx, node: n, outer: outer, base: outside(ctx), clear: v.clears()}
}

// outside is the context in which the outermost request in a session runs.
func outside(ctx context.Context) context.Context {
	if run := runningIn(ctx); run != nil {
		return outside(run.Context)
	}
	return ctx
}

// Value implements [context.Context].
func (c *nobody) Value(key any) any {
	switch {
	case key == (runningKey{}):
		return nil
	case key == (nobodyKey{c.node}):
		return c
	case c.outer != nil && c.outer.names.Value(key) != nil:
		return c.base.Value(key)
	}
	return c.Context.Value(key)
}

// useless reports whether the request of ctx carries a cookie of no further use.
func (n *node) useless(ctx context.Context) bool {
	c, _ := ctx.Value(nobodyKey{n}).(*nobody)
	return c != nil && c.clear
}
