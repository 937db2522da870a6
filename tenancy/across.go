package tenancy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// MaxAccess is how long an [Access] can last at most.
const MaxAccess = 8 * time.Hour

// Access says under which ticket, for how long and over which tenants the vendor
// reads: what a controller will want to be told. Who reads and why are the actor
// and the reason of the context.
type Access struct {
	// Ticket names where the access was agreed: 1 to 64 letters, digits and
	// "_", "-", ".", ":", "/", "#". It names nobody.
	Ticket string
	// Life is after what time nothing can be read any more: up to [MaxAccess].
	Life time.Duration
	// Tenants are those that may be read; nil means all.
	Tenants []ID
}

var ticketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/#-]{0,63}$`)

// check refuses what is incomplete, with all that is wrong.
func (a *Access) check() error {
	var errs []error
	if !ticketName.MatchString(a.Ticket) {
		errs = append(errs, errors.New("the ticket must match "+ticketName.String()))
	}
	if a.Life <= 0 || a.Life > MaxAccess {
		errs = append(errs, fmt.Errorf("the life must be more than 0 and at most %s", MaxAccess))
	}
	if a.Tenants != nil && (len(a.Tenants) == 0 || slices.Contains(a.Tenants, ID{})) {
		errs = append(errs, errors.New("the list of tenants is empty or holds a zero ID; nil means all"))
	}
	if len(errs) > 0 {
		return fmt.Errorf("tenancy: across: %w: %w", ErrBadValue, errors.Join(errs...))
	}
	return nil
}

// Across is one access over tenants while it lasts: a [Conn] that reads, and
// nothing else. Each verb reads for the tenant of its context. It is made by
// [DB.Across], ends with it, and is safe for concurrent use.
type Across struct {
	db     *DB
	id     uuid.UUID
	access Access
	by     func(context.Context) context.Context // sets actor, session and reason of the access
	actor  string
	until  time.Time
	done   atomic.Bool

	mu   sync.Mutex
	told map[reading]bool
}

// reading is what a tenant's log is told of once: that a table of its is read.
type reading struct {
	tenant ID
	table  string
}

var _ Conn = (*Across)(nil)

// Across gives fn an access over tenants, for the vendor's support, invoices and
// checks. It is the only way past the tenant of a context, and leaves three kinds
// of traces, each written before what it tells of: in the platform's log that the
// access begins and, when fn returns, that it has ended; in the log of each tenant
// that one of its tables is read. It needs an actor and a reason in the context. In
// PostgreSQL it has a login and connections of its own, which read rows of tenants
// while the access lasts and is not over: the database looks (postgres.Logins).
//
// It reads with Get, List, Page and Count, for one tenant at a time;
// [Across.Tenants] walks over them. A tenant that the access does not name, and
// whatever writes, is [ErrForbidden], and in the platform's log as refused.
func (db *DB) Across(ctx context.Context, a Access, fn func(ctx context.Context, x *Across) error) (err error) {
	if fn == nil {
		return fmt.Errorf("tenancy: across: no function: %w", ErrBadValue)
	}
	x, err := db.newAcross(ctx, a)
	if err != nil {
		return err
	}
	ctx, done := db.tel.span(ctx, "tenancy.Across")
	defer func() { done(err) }()
	if err := x.begin(ctx); err != nil {
		if errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrUnsealed) { // it may have begun, or has
			err = errors.Join(err, x.end(context.WithoutCancel(ctx)))
		}
		return err
	}
	defer func() { err = errors.Join(err, x.end(context.WithoutCancel(ctx))) }() // after a panic too
	return fn(ctx, x)
}

func (db *DB) newAcross(ctx context.Context, a Access) (*Across, error) {
	actor, err := ActorFrom(ctx)
	if err != nil {
		return nil, err
	}
	if ReasonFrom(ctx) == "" {
		return nil, ErrNoReason
	}
	if open := txIn(ctx); open != nil && open.db == db {
		return nil, fmt.Errorf("tenancy: across inside a transaction, which could roll back: %w", ErrTxInUse)
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	a.Tenants = slices.Clone(a.Tenants)
	until := time.Now().UTC().Truncate(time.Microsecond).Add(a.Life)
	session, reason := SessionFrom(ctx), ReasonFrom(ctx)
	by := func(ctx context.Context) context.Context {
		return WithReason(WithSession(WithActor(ctx, actor), session), reason)
	}
	return &Across{db: db, id: uuid.New(), access: a, by: by, actor: actor.String(), until: until, told: map[reading]bool{}}, nil
}

// begin writes the access down: the event, and what the database judges by.
func (x *Across) begin(ctx context.Context) error {
	return x.platform(ctx, "across.begin", Done, func(d *engine.Stmt) error {
		tenants, err := x.tenants()
		if err != nil {
			return err
		}
		d.SQL = "INSERT INTO " + x.table() + " (id, actor, ticket, until, tenants) VALUES ($1, $2, $3, $4, $5)"
		d.Args = []any{x.id, x.actor, x.access.Ticket, x.until, tenants}
		if x.db.eng.Dialect() == migrate.Postgres { // whose clock judges: one that is ahead here lengthens nothing
			d.SQL = "INSERT INTO " + x.table() + " (id, actor, ticket, until, tenants) " +
				"VALUES ($1, $2, $3, least($4, clock_timestamp() + $6 * interval '1 microsecond'), $5)"
			d.Args = append(d.Args, float64(x.access.Life.Microseconds()))
		}
		return nil
	})
}

// end writes down that it is over, for the database too.
func (x *Across) end(ctx context.Context) error {
	x.done.Store(true)
	return x.platform(ctx, "across.end", Done, func(d *engine.Stmt) error {
		d.SQL = "UPDATE " + x.table() + " SET until = $2 WHERE id = $1 AND until > $2"
		if x.db.eng.Dialect() == migrate.Postgres {
			d.SQL = "UPDATE " + x.table() + " SET until = least(until, $2, clock_timestamp()) WHERE id = $1"
		}
		d.Args = []any{x.id, time.Now().UTC().Truncate(time.Microsecond)}
		return nil
	})
}

// platform writes an event about the access into the platform's log, with a
// statement beside it.
func (x *Across) platform(ctx context.Context, action string, o Outcome, with func(*engine.Stmt) error) error {
	ctx = x.by(ctx)
	err := x.db.inScope(ctx, scopeOf(ctx, ID{}), func(ctx context.Context, tx *Tx) error {
		if err := x.db.log.Change(ctx, tx, x.change(action, o)); err != nil {
			return err
		}
		var s engine.Stmt
		if err := with(&s); err != nil {
			return err
		}
		_, err := tx.eng.Run(ctx, s, engine.Continue, nil)
		return err
	})
	return wrap("write down", action, err)
}

// change is the event about the access.
func (x *Across) change(action string, o Outcome) Change {
	tenants := "all"
	if x.access.Tenants != nil {
		tenants = fmt.Sprint(x.access.Tenants)
	}
	return Change{Action: action, Object: x.id, Outcome: o, Fields: []FieldChange{
		{Column: "ticket", Class: Open, New: x.access.Ticket},
		{Column: "until", Class: Open, New: x.until},
		{Column: "tenants", Class: Open, New: tenants},
	}}
}

func (x *Across) table() string { return engine.Table(x.db.eng.Dialect(), "accesses") }

// tenants is the list as one parameter, nil for all.
func (x *Across) tenants() (any, error) {
	if x.access.Tenants == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	ids := make([]any, len(x.access.Tenants))
	for i, id := range x.access.Tenants {
		ids[i] = id.UUID()
	}
	return engine.List(x.db.eng.Dialect(), ids)
}

// Tenants yields the tenants of the access that are open, in the order of their ids.
// To read of one, use [WithTenant] and x.
func (x *Across) Tenants(ctx context.Context) iter.Seq2[Tenant, error] {
	return func(yield func(Tenant, error) bool) {
		for last := uuid.Nil; ; {
			page, err := x.page(ctx, last)
			if err != nil {
				yield(Tenant{}, err)
				return
			}
			for _, t := range page {
				if last = t.ID.UUID(); x.may(t.ID) && !yield(t, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// page reads the next open tenants.
func (x *Across) page(ctx context.Context, behind uuid.UUID) (all []Tenant, err error) {
	if err := x.lasts(); err != nil {
		return nil, err
	}
	tx, err := x.db.begin(ctx, engine.Scope{})
	if err != nil {
		return nil, err
	}
	_, err = tx.eng.Run(ctx, engine.Stmt{
		SQL: "SELECT id, name, created_at FROM " + engine.Table(x.db.eng.Dialect(), "tenants") +
			" WHERE closed_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
		Args: []any{behind, int64(pageSize)},
	}, engine.Commit, func(r engine.Row) error {
		var t Tenant
		var id uuid.UUID
		err := r.Scan(&id, &t.Name, &t.Created)
		t.ID = ID(id)
		all = append(all, t)
		return err
	})
	return all, wrap("list", "tenants", err)
}

func (x *Across) may(id ID) bool {
	return x.access.Tenants == nil || slices.Contains(x.access.Tenants, id)
}

// lasts says whether the access does.
func (x *Across) lasts() error {
	if x.done.Load() || !time.Now().Before(x.until) {
		return ErrAccessOver
	}
	return nil
}

func (x *Across) unit(ctx context.Context, what purpose) (*unit, error) {
	if err := x.lasts(); err != nil {
		return nil, err
	}
	id, err := TenantFrom(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case what == readsRaw:
		return nil, errRawAcross
	case what == writes || !x.may(id):
		return nil, x.refuse(ctx, what, id)
	}
	scope := scopeOf(ctx, id)
	scope.Access = x.id
	e, err := x.db.eng.Begin(ctx, scope)
	if err != nil {
		return nil, wrap("begin", "transaction", err)
	}
	return &unit{tx: &Tx{db: x.db, eng: e, scope: scope, across: x}, own: true, readOnly: true}, nil
}

var errRawAcross = errors.New("tenancy: Where holds SQL of the caller's, which an access over tenants does not run: use DB.InSQL for one tenant")

// refuse records in the platform's log that more was tried than the access allows.
func (x *Across) refuse(ctx context.Context, what purpose, id ID) error {
	c := x.change("across.refused", Refused)
	why := "the access does not name the tenant"
	if c.Detail = why + ": " + id.String(); what == writes {
		why = "an access over tenants only reads"
		c.Detail = why
	}
	ctx = x.by(ctx)
	err := x.db.inScope(ctx, scopeOf(ctx, ID{}), func(ctx context.Context, tx *Tx) error { return x.db.log.Change(ctx, tx, c) })
	return errors.Join(fmt.Errorf("tenancy: across: %s: %w", why, ErrForbidden), wrap("record", "refusal", err))
}

// tell writes into the tenant's log that a table of its is about to be read.
func (x *Across) tell(ctx context.Context, tenant ID, table string) error {
	r := reading{tenant, table}
	x.mu.Lock()
	defer x.mu.Unlock() // who reads the same meanwhile waits for the event
	if x.told[r] {
		return nil
	}
	c := x.change("across.read", Done)
	c.Object = uuid.Nil // of no row: a Trace counts rows
	c.Fields = append(c.Fields[:2], FieldChange{Column: "table", Class: Open, New: table}, FieldChange{Column: "access", Class: Open, New: x.id})
	ctx = x.by(ctx) // the verb's may say anything
	err := x.db.inScope(ctx, scopeOf(ctx, tenant), func(ctx context.Context, tx *Tx) error { return x.db.log.Change(ctx, tx, c) })
	if err != nil {
		return wrap("record", "access", err)
	}
	x.told[r] = true
	return nil
}

// tell does so where the transaction is one of an access over tenants.
func (tx *Tx) tell(ctx context.Context, table string) error {
	if tx.across == nil {
		return nil
	}
	return tx.across.tell(ctx, tx.Tenant(), table)
}
