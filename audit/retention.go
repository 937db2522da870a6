package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	defaultKeep      = 365 * 24 * time.Hour
	retentionLease   = "audit/retention"
	retentionPause   = 24 * time.Hour
	minimumRetention = 24 * time.Hour
)

//nolint:gochecknoglobals // a constant of a struct type
var retentionService = tenancy.MustService("audit/retention")

// errNotDropped says that the entry of a drop did not get its place.
var errNotDropped = errors.New("audit: the log does not take in that an older log is dropped: verify it")

// RetentionPolicy is what a controller has decided about the log of its tenant.
type RetentionPolicy struct {
	// Controller names who decided. It stands in the log beside each drop. Default:
	// the name of the tenant.
	Controller string
	// Keep is for how long a log stays after it ended, at least 24 hours; negative:
	// for ever. Default 365 days.
	Keep time.Duration
	// Classes is after what time the payloads of a class are emptied, by its name;
	// zero or less: never. Default: [Class].Retention. Entries stay as long as their
	// log, whatever their class.
	Classes map[string]time.Duration
}

// RetentionOptions are the choices of a [Retention]; nil and zero fields mean the
// defaults.
type RetentionOptions struct {
	// Policy gives a tenant's policy. Default: the defaults of [RetentionPolicy] for
	// all.
	Policy func(ctx context.Context, t tenancy.Tenant) (RetentionPolicy, error)
	// Interval is the pause between two rounds of [Retention.Run]. Default one day.
	Interval time.Duration
	// Logger receives what was dropped, and failures. Default [slog.Default].
	Logger *slog.Logger
}

// TenantRetention is what one round has done for one tenant.
type TenantRetention struct {
	Tenant     tenancy.ID // whose logs they are
	Controller string     // who decided on the policy
	// Held says that a legal hold keeps all.
	Held bool
	// Emptied counts the parts of payloads that were older than their classes allow.
	Emptied int64
	// Dropped are the logs whose entries were deleted.
	Dropped []DroppedLog
	// Next is when the next log falls due; zero: none has ended.
	Next time.Time
}

// Retention empties the payloads of tenants' events that are older than their
// classes allow, and drops the logs that are no longer to be kept, each as a
// whole: its entries, payloads and hashes. Its last checkpoint stays, and the log
// that grows holds an entry that says so. The platform's log is not dropped, since
// it names the logs of the tenants.
type Retention struct {
	sealer   *Sealer
	log      *Log
	db       *tenancy.DB
	policy   func(context.Context, tenancy.Tenant) (RetentionPolicy, error)
	interval time.Duration
	logger   *slog.Logger
	// step is called between the steps of a drop; nil but in tests that kill the
	// process there.
	step    func(name string)
	clock   func() time.Time
	dbClock func(ctx context.Context) (time.Time, error)
}

// NewRetention makes the retention of the logs that s seals.
func NewRetention(s *Sealer, o *RetentionOptions) (*Retention, error) {
	if s == nil {
		return nil, errors.New("audit: new retention: sealer must not be nil")
	}
	if o == nil {
		o = &RetentionOptions{}
	}
	r := &Retention{
		sealer: s, log: s.log, db: s.db, policy: o.Policy, interval: o.Interval, logger: o.Logger, step: func(string) {}, clock: time.Now,
	}
	r.dbClock = func(ctx context.Context) (time.Time, error) { return databaseClock(ctx, r.db) }
	if r.policy == nil {
		r.policy = func(context.Context, tenancy.Tenant) (RetentionPolicy, error) { return RetentionPolicy{}, nil }
	}
	if r.interval <= 0 {
		r.interval = retentionPause
	}
	if r.logger == nil {
		r.logger = slog.Default()
	}
	return r, nil
}

// Run drops what is due until ctx ends, and returns its cause. One instance does at
// a time, under a lease.
func (r *Retention) Run(ctx context.Context) error {
	e := r.db.Engine(engine.Library)
	m := lease.New(e.Platform(), e.Dialect(), "retention/"+strconv.Itoa(os.Getpid()))
	for ctx.Err() == nil {
		err := lease.Run(ctx, m, retentionLease, defaultLease, func(ctx context.Context, _ *lease.Lease) error {
			for ctx.Err() == nil {
				if _, err := r.RunDue(ctx); err != nil && ctx.Err() == nil {
					r.logger.ErrorContext(ctx, "audit: retention failed", slog.Any("error", err))
				}
				wait(ctx, r.interval)
			}
			return context.Cause(ctx)
		})
		if err != nil && ctx.Err() == nil {
			r.logger.WarnContext(ctx, "audit: retention interrupted", slog.Any("error", err))
			wait(ctx, r.interval)
		}
	}
	return context.Cause(ctx)
}

// RunDue drops all that is due now, and reports for each tenant. The error of one
// tenant does not keep it from the others.
func (r *Retention) RunDue(ctx context.Context) ([]TenantRetention, error) {
	tenants, err := r.db.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	now, err := r.now(ctx)
	if err != nil {
		return nil, err
	}
	var all []TenantRetention
	var errs []error
	if _, err := r.empty(ctx, uuid.Nil, RetentionPolicy{}, now); err != nil {
		errs = append(errs, fmt.Errorf("audit: retention of the platform: %w", err))
	}
	for _, t := range tenants {
		done, err := r.tenant(ctx, t, now)
		if err != nil && !r.sealer.gone(err) {
			errs = append(errs, fmt.Errorf("audit: retention of tenant %s: %w", t.ID, err))
		}
		if all = append(all, done); ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(errs...)
}

// now is the earlier of two clocks: one that has jumped ahead drops nothing that
// the other would keep.
func (r *Retention) now(ctx context.Context) (time.Time, error) {
	own := r.clock()
	other, err := r.dbClock(ctx)
	if other.Before(own) {
		return other, err
	}
	return own, err
}

// databaseClock is that of the server; SQLite has the one of this process.
func databaseClock(ctx context.Context, db *tenancy.DB) (time.Time, error) {
	if db.Engine(engine.Library).Dialect() != migrate.Postgres {
		return time.Now(), nil
	}
	var at int64
	err := read(ctx, db, uuid.Nil, engine.Stmt{
		SQL: "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
	}, func(row engine.Row) error { return row.Scan(&at) })
	return time.UnixMicro(at), err
}

func (r *Retention) tenant(ctx context.Context, t tenancy.Tenant, now time.Time) (TenantRetention, error) {
	out := TenantRetention{Tenant: t.ID}
	p, err := r.policy(ctx, t)
	if err != nil {
		return out, err
	}
	if p.Keep == 0 {
		p.Keep = defaultKeep
	}
	if p.Controller == "" {
		p.Controller = t.Name
	}
	out.Controller = p.Controller
	if p.Keep > 0 && p.Keep < minimumRetention {
		return out, fmt.Errorf("audit: retention: a policy keeps logs for %s, less than %s", p.Keep, minimumRetention)
	}
	if out.Held, err = r.held(ctx, t.ID.UUID()); err != nil || out.Held {
		return out, err
	}
	if out.Emptied, err = r.empty(ctx, t.ID.UUID(), p, now); err != nil || p.Keep < 0 {
		return out, err
	}
	return out, r.logs(ctx, t.ID.UUID(), p, now, &out)
}

// logs drops a tenant's logs that are due, the oldest first: what excuses the
// absence of one excuses that of those before it.
func (r *Retention) logs(ctx context.Context, tenant uuid.UUID, p RetentionPolicy, now time.Time, out *TenantRetention) error {
	logs, err := readLogs(ctx, r.db, tenant)
	if err != nil {
		return err
	}
	for i, h := range logs[:max(0, len(logs)-1)] {
		if h.dropped {
			continue
		}
		end, err := follows(h, logs[i+1]) // when it ended, the old key has signed
		if err != nil {
			return err
		}
		if due := end.At.Add(p.Keep); due.After(now) {
			out.Next = due
			break
		}
		done, err := r.drop(ctx, tenant, h, p)
		if err != nil {
			if held, herr := r.held(ctx, tenant); herr == nil && held {
				out.Held = true // meanwhile
				break
			}
			return err
		}
		done.Ended = end.At
		r.logger.InfoContext(ctx, "audit: log dropped", slog.String("tenant", tenant.String()),
			slog.String("log", done.Origin), slog.Int64("entries", done.Size))
		out.Dropped = append(out.Dropped, done)
	}
	if len(out.Dropped) == 0 {
		return nil
	}
	return r.shrink(ctx, tenant)
}

func (r *Retention) held(ctx context.Context, tenant uuid.UUID) (held bool, err error) {
	held = true
	err = read(ctx, r.db, tenant, noHold(r.db.Engine(engine.Library).Dialect(), tenant, 0), func(engine.Row) error {
		held = false
		return nil
	})
	return held, err
}

// shrinker is an engine whose files do not become smaller by themselves.
type shrinker interface {
	Shrink(ctx context.Context, tenant uuid.UUID) error
}

func (r *Retention) shrink(ctx context.Context, tenant uuid.UUID) error {
	if s, ok := r.db.Engine(engine.Library).(shrinker); ok {
		return dbError("free the space", s.Shrink(ctx, tenant))
	}
	return nil
}
