package session

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	purgeEvery = time.Hour
	keepEnded  = 24 * time.Hour // beyond the absolute limit
	pollBatch  = 500
)

// Run does in the background what otherwise requests do themselves or nobody
// does, until ctx ends, and returns its cause. It writes in batches when sessions
// were last seen; it asks the store whether sessions of running requests were
// revoked elsewhere; and every hour it deletes the sessions whose absolute limit
// lies a day back, with the policy of now.
//
// None of the three waits for another; Run returns when all have stopped. Each
// process runs one; a second Run of the same manager returns [ErrRunning].
// What fails is told to the logger once and tried again.
func (m *Manager) Run(ctx context.Context) error {
	if !m.batching.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer m.stop(ctx)
	m.rounds(ctx)
	return context.Cause(ctx)
}

// rounds has each job done by a goroutine of its own: none waits for another.
func (m *Manager) rounds(ctx context.Context) {
	var all sync.WaitGroup
	for _, j := range []*job{
		{name: "touch", first: m.flushEvery(), every: m.flushEvery(), bound: patience, do: m.flush},
		{name: "poll", first: m.poll, every: m.poll, bound: patience, do: m.pollRevoked},
		{name: "purge", every: purgeEvery, bound: purgeEvery, do: m.purge},
	} {
		all.Go(func() {
			for wait := j.first; sleep(ctx, wait); wait = j.every {
				m.round(ctx, j)
			}
		})
	}
	all.Wait()
}

// job is a part of Run.
type job struct {
	name         string
	first, every time.Duration // until it is done, and done again
	bound        time.Duration // for one time
	do           func(context.Context) error
	failing      bool
}

func (m *Manager) round(ctx context.Context, j *job) {
	bounded, cancel := context.WithTimeout(ctx, j.bound)
	defer cancel()
	err := j.do(bounded)
	if err != nil && ctx.Err() == nil && !j.failing {
		m.logger.ErrorContext(ctx, "session: background work fails", slog.String("job", j.name), slog.Any("error", err))
	}
	j.failing = err != nil
}

// stop writes the touches that wait, for nobody else does.
func (m *Manager) stop(ctx context.Context) {
	m.batching.Store(false)
	bounded, cancel := settled(ctx)
	defer cancel()
	if err := m.flush(bounded); err != nil {
		m.logger.ErrorContext(ctx, "session: background work fails", slog.String("job", "touch"), slog.Any("error", err))
	}
}

// pollRevoked ends the running requests of sessions that are not there any more.
func (m *Manager) pollRevoked(ctx context.Context) error {
	for ids := range slices.Chunk(m.node.busy(), pollBatch) {
		known, err := m.store.List(ctx, OfID(ids...))
		if err != nil {
			return err
		}
		m.node.learn(known)
		for _, id := range missing(ids, known) {
			m.node.over(ctx, id)
		}
	}
	return nil
}

func (m *Manager) purge(ctx context.Context) error {
	_, err := m.store.Purge(ctx, stamp(time.Now().Add(-m.policy.Absolute-keepEnded)))
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
