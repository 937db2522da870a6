package session

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// quiet is how long a second outage of the same work is not told: what fails for
// one tenant and works for the next would fill the log.
const quiet = time.Minute

// health is how one kind of work on store and log fares.
type health struct {
	work    string
	failing atomic.Bool
	told    atomic.Pointer[time.Time] // with the monotonic clock
}

// note tells the operator of each outage's beginning and end.
func (h *health) note(ctx context.Context, m *Manager, err error) {
	if err == nil {
		if h.failing.Load() && h.failing.CompareAndSwap(true, false) {
			m.logger.InfoContext(ctx, "session: service again", slog.String("work", h.work))
		}
		return
	}
	if told := h.told.Load(); ctx.Err() != nil || told != nil && time.Since(*told) < quiet {
		return
	}
	if h.failing.CompareAndSwap(false, true) {
		now := time.Now()
		h.told.Store(&now)
		m.logger.ErrorContext(ctx, "session: no service: "+h.effect(), slog.String("work", h.work), slog.Any("error", err))
	}
}

func (h *health) effect() string {
	if h.work == "expire" {
		return "ends of sessions are not recorded yet; the sessions are over all the same"
	}
	return "requests with a session are answered 503"
}
