package tenancy

import (
	"context"
	"regexp"
)

type ctxKey int

const (
	keyTenant ctxKey = iota
	keyActor
	keySession
	keyReason
	keyTx
)

// WithTenant sets the tenant on whose behalf ctx acts.
func WithTenant(ctx context.Context, id ID) context.Context {
	return context.WithValue(ctx, keyTenant, id)
}

// TenantFrom gives the tenant of ctx, or [ErrNoTenant].
func TenantFrom(ctx context.Context) (ID, error) {
	id, _ := ctx.Value(keyTenant).(ID)
	if id.IsZero() {
		return ID{}, ErrNoTenant
	}
	return id, nil
}

// WithActor sets who acts. Every change demands an actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, keyActor, a)
}

// ActorFrom gives who acts, or [ErrNoActor].
func ActorFrom(ctx context.Context) (Actor, error) {
	a, _ := ctx.Value(keyActor).(Actor)
	if a.IsZero() {
		return Actor{}, ErrNoActor
	}
	return a, nil
}

var sessionID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// WithSession sets the public id of the session that acts (never its token):
// letters, digits, "_" and "-", at most 64. Anything else is left out.
func WithSession(ctx context.Context, id string) context.Context {
	if !sessionID.MatchString(id) {
		id = ""
	}
	return context.WithValue(ctx, keySession, id)
}

// SessionFrom gives the session of ctx, or "".
func SessionFrom(ctx context.Context) string {
	s, _ := ctx.Value(keySession).(string)
	return s
}

// WithReason sets why ctx acts. The text may name people: it goes into the
// encrypted part of audit events only, unless an erasure record is issued with it.
func WithReason(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, keyReason, reason)
}

// ReasonFrom gives the reason of ctx, or "".
func ReasonFrom(ctx context.Context) string {
	s, _ := ctx.Value(keyReason).(string)
	return s
}

// TxFrom gives the transaction that [DB.In] or [DB.InSQL] put into ctx, or nil
// where there is none or it has ended. It serves collaborators that must leave
// their trace in that transaction; a repository takes its transaction as an
// argument.
func TxFrom(ctx context.Context) *Tx {
	if tx := txIn(ctx); tx != nil && !tx.done.Load() {
		return tx
	}
	return nil
}

// txIn is the transaction of ctx, ended or not.
func txIn(ctx context.Context) *Tx {
	tx, _ := ctx.Value(keyTx).(*Tx)
	return tx
}
