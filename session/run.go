package session

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
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
// Each process runs one; a second Run of the same manager returns [ErrRunning].
// What fails is told to the logger once and tried again.
func (m *Manager) Run(ctx context.Context) error {
	if !m.batching.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer m.stop(ctx)
	m.rounds(ctx)
	return context.Cause(ctx)
}

func (m *Manager) rounds(ctx context.Context) {
	jobs := []*job{
		{name: "touch", every: m.flushEvery(), do: m.flush},
		{name: "poll", every: m.poll, do: m.pollRevoked},
		{name: "purge", every: purgeEvery, do: m.purge, due: time.Now()},
	}
	for _, j := range jobs[:2] {
		j.due = time.Now().Add(j.every)
	}
	for ctx.Err() == nil {
		next := slices.MinFunc(jobs, func(a, b *job) int { return a.due.Compare(b.due) })
		if !sleep(ctx, time.Until(next.due)) {
			return
		}
		m.round(ctx, next)
		next.due = time.Now().Add(next.every)
	}
}

// job is a part of Run.
type job struct {
	name    string
	every   time.Duration
	due     time.Time // on the monotonic clock
	do      func(context.Context) error
	failing bool
}

func (m *Manager) round(ctx context.Context, j *job) {
	bounded, cancel := context.WithTimeout(ctx, patience)
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
		gone := slices.DeleteFunc(ids, func(id uuid.UUID) bool {
			return slices.ContainsFunc(known, func(s Session) bool { return s.ID == id })
		})
		if len(gone) > 0 {
			m.node.end(ctx, ErrRevoked, gone...)
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
