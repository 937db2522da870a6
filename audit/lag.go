package audit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const defaultMaxLag = time.Minute

// Lag is how far the sealer is behind in one log, or in all.
type Lag struct {
	// Tenant is whose log it is; zero for the platform's. Of the sum it is the one
	// that has waited longest.
	Tenant tenancy.ID
	// Waiting counts the events that wait for the sealer.
	Waiting int64
	// Oldest is for how long the oldest of them has waited: by the clock of its
	// writer, and if that is ahead, since this Sealer first saw it.
	Oldest time.Duration
	// Ahead counts those that are dated more than ten seconds into the future.
	Ahead int64
}

// lagWatch is what a sealer remembers of what waits, and has told.
type lagWatch struct {
	mu    sync.Mutex
	seen  map[uuid.UUID]firstSeen // of each log
	over  bool                    // the alarm was given
	gauge metric.Float64Gauge
}

// firstSeen is the first event that waits, and when it was first seen. It is by
// this process's clock, which no writer moves.
type firstSeen struct {
	seq int64
	at  time.Time
}

// Lag tells how far the sealer is behind: in all logs together, and in each in which
// something waits. It asks each tenant's log, and seals nothing.
func (s *Sealer) Lag(ctx context.Context) (all Lag, logs []Lag, err error) {
	tenants, err := s.due(ctx)
	if err != nil {
		return Lag{}, nil, err
	}
	waiting := make(map[uuid.UUID]bool)
	for _, tenant := range tenants {
		l, err := s.lagOf(ctx, tenant)
		if err != nil && !absent(s.db, err) {
			return Lag{}, nil, fmt.Errorf("audit: lag of the log of tenant %s: %w", tenant, err)
		}
		if l.Waiting == 0 {
			continue
		}
		waiting[tenant] = true
		logs = append(logs, l)
		all.Waiting += l.Waiting
		all.Ahead += l.Ahead
		if l.Oldest >= all.Oldest {
			all.Oldest, all.Tenant = l.Oldest, l.Tenant
		}
	}
	s.watch.forget(waiting)
	return all, logs, nil
}

// lagOf reads one log's lag. The oldest is looked for among all that wait, not at
// the head of the queue alone.
func (s *Sealer) lagOf(ctx context.Context, tenant uuid.UUID) (Lag, error) {
	l := Lag{Tenant: tenancy.ID(tenant)}
	now := time.Now()
	var first, oldest int64
	d := s.db.Engine(engine.Library).Dialect()
	err := read(ctx, s.db, tenant, engine.Stmt{
		SQL: "SELECT count(*), COALESCE(min(e.seq), 0), COALESCE(min(e.at), 0), COALESCE(sum(CASE WHEN e.at > $2 THEN 1 ELSE 0 END), 0) FROM " +
			engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf IS NULL",
		Args: []any{tenant, now.Add(clockSkew).UnixMicro()},
	}, func(r engine.Row) error { return r.Scan(&l.Waiting, &first, &oldest, &l.Ahead) })
	if err != nil || l.Waiting == 0 {
		return l, err
	}
	l.Oldest = max(now.Sub(time.UnixMicro(oldest)), now.Sub(s.watch.since(tenant, first, now)))
	return l, nil
}

// since is when the event at the head of a queue was first seen there.
func (w *lagWatch) since(tenant uuid.UUID, seq int64, now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[uuid.UUID]firstSeen)
	}
	f, ok := w.seen[tenant]
	if !ok || f.seq != seq {
		f = firstSeen{seq, now}
		w.seen[tenant] = f
	}
	return f.at
}

// forget drops the logs in which nothing waits.
func (w *lagWatch) forget(waiting map[uuid.UUID]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tenant := range w.seen {
		if !waiting[tenant] {
			delete(w.seen, tenant)
		}
	}
}

// Check gives the sealer's figures: how many events wait, in how many logs, for how
// long the oldest has, and how many are dated into the future.
func (s *Sealer) Check(ctx context.Context) ([]slog.Attr, error) {
	all, logs, err := s.Lag(ctx)
	if err != nil {
		return nil, err
	}
	return []slog.Attr{
		slog.Int64("waiting", all.Waiting), slog.Int("logs", len(logs)),
		slog.Duration("oldest", all.Oldest), slog.Int64("ahead", all.Ahead),
	}, nil
}

// watchLag looks at the lag until ctx ends, whether this instance seals or waits to
// take over: a sealer that hangs under its lease tells nobody.
func (s *Sealer) watchLag(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, max(s.interval, s.maxLag/4))
		if ctx.Err() != nil {
			return
		}
		all, _, err := s.Lag(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.logger.WarnContext(ctx, "audit: the lag of the sealer cannot be read", slog.Any("error", err))
			}
			continue
		}
		s.tellLag(ctx, all)
	}
}

// tellLag sets the metric, gives the alarm once and says when it is over.
func (s *Sealer) tellLag(ctx context.Context, all Lag) {
	s.watch.record(ctx, all)
	over := all.Oldest > s.maxLag
	s.watch.mu.Lock()
	was := s.watch.over
	s.watch.over = over
	s.watch.mu.Unlock()
	switch {
	case over && !was:
		s.logger.ErrorContext(ctx, "audit: events wait too long for the sealer: they could be removed without a trace",
			slog.Duration("oldest", all.Oldest), slog.Int64("waiting", all.Waiting), slog.Int64("ahead", all.Ahead), slog.String("tenant", all.Tenant.String()))
	case was && !over:
		s.logger.InfoContext(ctx, "audit: the sealer has caught up", slog.Duration("oldest", all.Oldest))
	}
}

// record sets the gauge art32.audit.seal.lag, in seconds. It tells of all logs
// together, and of no tenant.
func (w *lagWatch) record(ctx context.Context, all Lag) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gauge == nil {
		g, err := otel.Meter(scopeName).Float64Gauge("art32.audit.seal.lag",
			metric.WithDescription("For how long the oldest event has waited for the sealer."), metric.WithUnit("s"))
		if err != nil {
			return // unreachable: the name is valid
		}
		w.gauge = g
	}
	w.gauge.Record(ctx, all.Oldest.Seconds())
}
