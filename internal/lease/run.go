package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// releaseTime bounds the release after the caller's context has ended.
const releaseTime = 5 * time.Second

// Run waits for the lease called name and calls fn under it, as Lease.Run does.
// An error of the database while waiting ends Run.
func Run(ctx context.Context, m *Manager, name string, ttl time.Duration, fn func(ctx context.Context, l *Lease) error) error {
	l, err := wait(ctx, m, name, ttl)
	if err != nil {
		return err
	}
	return l.Run(ctx, fn)
}

// Run calls fn, renews the lease beside it every third of its time to live,
// after a failure every tenth, and releases it in the end.
//
// When the lease is lost, or could not be renewed in time, fn's context ends
// with the cause ErrLost: fn must return then, and Run returns an error around
// ErrLost if fn returns one. Otherwise Run returns fn's error. While fn has not
// returned the lease is renewed, also after ctx has ended.
func (l *Lease) Run(ctx context.Context, fn func(ctx context.Context, l *Lease) error) (err error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		if e := l.Release(ctx); e != nil {
			err = errors.Join(err, e)
		}
	}()
	return l.hold(ctx, fn)
}

// wait tries until it gets the lease.
func wait(ctx context.Context, m *Manager, name string, ttl time.Duration) (*Lease, error) {
	for {
		l, err := m.Acquire(ctx, name, ttl)
		if err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(ttl / 3):
		}
	}
}

// hold calls fn and renews l beside it, until fn returns: also after ctx has
// ended, for fn may have something to bring to an end.
func (l *Lease) hold(ctx context.Context, fn func(context.Context, *Lease) error) error {
	renewCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.renewing(renewCtx, cancel)
	}()
	defer func() {
		stop()
		<-ended
	}()
	err := fn(ctx, l)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrLost) && !errors.Is(err, ErrLost) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// renewing renews l until ctx ends or l is lost, which it tells by lost. The
// watchdog tells it on time even while a renewal hangs.
func (l *Lease) renewing(ctx context.Context, lost context.CancelCauseFunc) {
	watchdog := time.AfterFunc(time.Until(l.end()), func() { lost(ErrLost) })
	defer watchdog.Stop()
	for next := l.ttl / 3; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
		switch err := l.Renew(ctx); {
		case errors.Is(err, ErrLost):
			lost(ErrLost)
			return
		case err != nil:
			next = l.ttl / 10
		default:
			next = l.ttl / 3
			watchdog.Reset(time.Until(l.end()))
		}
	}
}
