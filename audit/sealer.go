package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	defaultBatch    = 4096
	defaultInterval = time.Second
	defaultLease    = 30 * time.Second
	defaultPeriod   = 90 * 24 * time.Hour
	leaseName       = "audit/seal"
	maxOvertaken    = 64 // batches in a row that another sealer may be faster at
)

// SealerOptions are the choices of a [Sealer]; nil and zero fields mean the
// defaults.
type SealerOptions struct {
	// Interval is the pause between two rounds of [Sealer.Run]: for so long an
	// event may be removed without a trace in the tree. Default one second.
	Interval time.Duration
	// Period is after how long a log ends and another begins with a new key, at the
	// next event: retention drops logs as a whole. Negative: never. Default 90 days.
	Period time.Duration
	// Batch is how many events are sealed in one transaction. Default 4,096.
	Batch int
	// Lease is after how long another instance takes over from one that died.
	// Default 30 seconds.
	Lease time.Duration
	// MaxLag is for how long an event may wait before [Sealer.Run] gives an alarm, an
	// error in the log and the metric art32.audit.seal.lag. Default one minute.
	MaxLag time.Duration
	// Logger receives events that cannot be sealed. Default [slog.Default].
	Logger *slog.Logger
}

// Sealer gives events their place in the tenant's Merkle tree and signs its head.
// Before a tenant's log gets its first entry, the platform's log takes in,
// sealed, that it was opened. Writers never wait for it. It is safe for
// concurrent use, and any number may run: a log cannot fork, since each batch
// moves the log's size from the one that it has read.
type Sealer struct {
	log      *Log
	db       *tenancy.DB
	logger   *slog.Logger
	interval time.Duration
	lease    time.Duration
	period   time.Duration
	batch    int
	maxLag   time.Duration
	watch    lagWatch

	mu      sync.Mutex
	signers map[string]*signer

	// step is called between the steps of a batch; nil but in tests that kill
	// the process there.
	step func(name string)
}

// NewSealer makes the sealer of a database that was opened with l.
func NewSealer(l *Log, db *tenancy.DB, o *SealerOptions) (*Sealer, error) {
	if l == nil || db == nil {
		return nil, errors.New("audit: new sealer: log and database must not be nil")
	}
	if o == nil {
		o = &SealerOptions{}
	}
	s := &Sealer{
		log: l, db: db, logger: o.Logger, interval: o.Interval, lease: o.Lease, period: o.Period, batch: o.Batch,
		signers: make(map[string]*signer), step: func(string) {},
	}
	if s.interval <= 0 {
		s.interval = defaultInterval
	}
	if s.lease <= 0 {
		s.lease = defaultLease
	}
	if s.period == 0 {
		s.period = defaultPeriod
	}
	if s.batch <= 0 {
		s.batch = defaultBatch
	}
	if s.maxLag = o.MaxLag; s.maxLag <= 0 {
		s.maxLag = defaultMaxLag
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	return s, nil
}

// Run seals until ctx ends, and returns its cause. One instance seals at a
// time, under a lease; the others wait to take over. An error of one round is
// logged once and the round repeated.
func (s *Sealer) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { s.watchLag(ctx) })
	defer watching.Wait()
	e := s.db.Engine(engine.Library)
	holder := "sealer/" + strconv.Itoa(os.Getpid())
	m := lease.New(e.Platform(), e.Dialect(), holder)
	for ctx.Err() == nil {
		err := lease.Run(ctx, m, leaseName, s.lease, func(ctx context.Context, _ *lease.Lease) error {
			return s.loop(ctx)
		})
		if err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "audit: sealing interrupted", slog.Any("error", err))
			wait(ctx, s.interval)
		}
	}
	return context.Cause(ctx)
}

func (s *Sealer) loop(ctx context.Context) error {
	failing := false
	for ctx.Err() == nil {
		_, err := s.SealDue(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.logger.ErrorContext(ctx, "audit: sealing failed", slog.Any("error", err))
		}
		failing = err != nil
		wait(ctx, s.interval)
	}
	return context.Cause(ctx)
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// SealDue seals all that was committed when it began, of the platform and every
// tenant, and returns how many events that were. The error of one tenant does
// not keep it from the others.
func (s *Sealer) SealDue(ctx context.Context) (sealed int, err error) {
	tenants, err := s.due(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, tenant := range tenants {
		n, err := s.seal(ctx, tenant)
		sealed += n
		if err != nil && !s.gone(err) {
			errs = append(errs, fmt.Errorf("audit: seal the log of tenant %s: %w", tenant, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return sealed, errors.Join(errs...)
}

// gone reports whether a tenant was closed and has no file any more, as after a
// restore without its part: on SQLite all that are listed are known otherwise.
func (s *Sealer) gone(err error) bool {
	return s.db.Engine(engine.Library).Dialect() == migrate.SQLite && errors.Is(err, tenancy.ErrUnknownTenant)
}

// due lists whose logs may have something to seal; nil is the platform.
func (s *Sealer) due(ctx context.Context) ([]uuid.UUID, error) {
	if s.db.Engine(engine.Library).Dialect() == migrate.Postgres {
		return s.unsealed(ctx)
	}
	tenants, err := s.db.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	all := []uuid.UUID{uuid.Nil}
	for _, t := range tenants {
		all = append(all, t.ID.UUID())
	}
	return all, nil
}

func (s *Sealer) unsealed(ctx context.Context) ([]uuid.UUID, error) {
	var all []uuid.UUID
	err := read(ctx, s.db, uuid.Nil, engine.Stmt{SQL: "SELECT art32.unsealed()"}, func(r engine.Row) error {
		var id uuid.UUID
		err := r.Scan(&id)
		all = append(all, id)
		return err
	})
	return all, err
}

// seal empties one tenant's queue, batch by batch.
func (s *Sealer) seal(ctx context.Context, tenant uuid.UUID) (sealed int, err error) {
	for tries := 0; ; tries++ {
		b, err := s.sealBatch(ctx, tenant)
		sealed += b.platform
		if (overtaken(err) || errors.Is(err, errAgain)) && tries < maxOvertaken {
			continue // another one got further, or the log was renewed; see what is left
		}
		if err != nil {
			return sealed, err
		}
		tries = 0
		sealed += b.sealed
		if b.read < s.batch {
			return sealed, nil
		}
	}
}

// overtaken reports whether another sealer has moved the log meanwhile.
func overtaken(err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	return ok && (e.Kind == engine.WrongRows || e.Kind == engine.Unique)
}

// signerName names the secret from which the key of a log is made.
func signerName(tenant uuid.UUID, shard int64) string {
	return "audit/sign/" + tenant.String() + "/" + strconv.FormatInt(shard, 10)
}

// signer is the one of a log. Its seed is a secret of the platform, one per
// log: a log stays signed and verifiable when its tenant's keys are gone. All
// sealers get the same one, so that a log has its id before it exists.
func (s *Sealer) signer(ctx context.Context, tenant uuid.UUID, shard int64) (*signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := signerName(tenant, shard)
	if k, ok := s.signers[name]; ok {
		return k, nil
	}
	seed, err := s.log.keys.Secret(ctx, uuid.Nil, name)
	if err != nil {
		return nil, fmt.Errorf("audit: signing key: %w", err)
	}
	defer clear(seed)
	k, err := newLogSigner(seed)
	if err != nil {
		return nil, err
	}
	s.signers[name] = k
	return k, nil
}
