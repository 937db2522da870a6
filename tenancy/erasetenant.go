package tenancy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// TenantEraser is a [SubjectEraser] that can empty all that it holds of a tenant;
// *audit.Log is one.
type TenantEraser interface {
	SubjectEraser
	// EraseTenant queues in tx the removal of what the recorder holds of people
	// and data of tx's tenant, a bounded part of it: what begins at the id from,
	// the nil id at first. It returns where the next part begins, the nil id where
	// there is none. The tenant's keys are gone; repeating it is safe.
	EraseTenant(ctx context.Context, tx *Tx, from uuid.UUID) (next uuid.UUID, err error)
}

// EraseTenant erases all that the context's tenant has, for good, as after the end
// of a contract (Art. 28(3)(g) GDPR). First the ledger is told, if it is a
// [TenantLedger]. Then all keys of the tenant are destroyed: its encrypted fields
// cannot be read any more, in every copy of the data. From there on the tenant is
// closed: every verb answers [ErrErased], which is [ErrUnknownTenant] here too, and
// an event stands in the platform's log. Then, in bounded transactions, the columns
// of class personal and the blind indexes of all rows are cleared and the payloads
// of the tenant's log emptied; rows stay. If EraseTenant returns an error after the
// first step, it must be repeated until it returns nil; repeating it is always safe.
// What callers' own SQL writes in a transaction that began before is not waited for.
// Where a person acts it needs a reason ([ErrNoReason]).
func (db *DB) EraseTenant(ctx context.Context) (err error) {
	ctx, done := db.tel.span(ctx, "tenancy.EraseTenant")
	defer func() { done(err) }()
	scope, err := db.erasing(ctx)
	if err != nil {
		return err
	}
	scope.Closed = true
	if err := db.check(ctx, actionEraseTenant); err != nil {
		return err
	}
	if _, err := db.tenantErasure(ctx, scope.Tenant); err != nil {
		return err
	}
	for _, step := range db.tenantSteps() {
		err := step.do(ctx, scope)
		if step.data && errors.Is(err, ErrUnknownTenant) { // a restore without its data has closed it
			err = nil
		}
		if err != nil {
			return fmt.Errorf("tenancy: erase tenant: %s: %w", step.text, err)
		}
		db.at(step.name)
	}
	return nil
}

const actionEraseTenant = "tenant.erase"

// TenantErased reports whether the context's tenant was erased and nothing is left
// to do: its keys are gone, and its data are cleared.
func (db *DB) TenantErased(ctx context.Context) (bool, error) {
	id, err := TenantFrom(ctx)
	if err != nil {
		return false, err
	}
	state, err := db.tenantErasure(ctx, id.UUID())
	if err != nil || state.cleared.IsZero() {
		return false, err
	}
	gone, err := db.keys.ErasedTenant(ctx, id.UUID())
	return gone, wrap("look up", "tenant", err)
}

// tenantStep is one step of the erasure of a tenant; text says what failed and
// what to do about it, data that it works on the tenant's own data.
type tenantStep struct {
	name, text string
	data       bool
	do         func(ctx context.Context, scope engine.Scope) error
}

func (db *DB) tenantSteps() []tenantStep {
	const rest = "keys are destroyed, repeat for the rest"
	return []tenantStep{
		{"told", "write the ledger", false, db.tellOfTenant},
		{"shredded", "destroy keys", false, func(ctx context.Context, s engine.Scope) error { return db.keys.ShredTenant(ctx, s.Tenant) }},
		{"closed", rest, false, db.closeErased},
		{"marked", rest, true, db.holdOff},
		{"cleared", rest, true, db.clearTenant},
		{"emptied", rest, true, db.emptyLog},
		{"scrubbed", "keys are destroyed, repeat for the files", true, db.scrubTenant},
		{"finished", rest, false, db.finishTenant},
	}
}

func (db *DB) tellOfTenant(ctx context.Context, s engine.Scope) error {
	if l, ok := db.ledger.(TenantLedger); ok {
		return l.ErasedTenant(ctx, ID(s.Tenant))
	}
	return nil
}

// closeErased closes the tenant and says so in the platform's log, once.
func (db *DB) closeErased(ctx context.Context, s engine.Scope) error {
	state, err := db.tenantErasure(ctx, s.Tenant)
	if err != nil || !state.erased.IsZero() {
		return err
	}
	code, err := db.erasureCode(ctx, s.Tenant, uuid.Nil)
	if err != nil {
		return err
	}
	c := Change{Action: actionEraseTenant, Object: s.Tenant, Outcome: Done}
	err = db.onPlatform(ctx, c, func(ctx context.Context, tx *Tx) error {
		tenants := engine.Table(tx.eng.Dialect(), "tenants")
		_, err := tx.eng.Run(ctx, engine.Stmt{
			SQL: "UPDATE " + tenants + " SET erased_at = $2, closed_at = COALESCE(closed_at, $2), erasure_code = $3" +
				" WHERE id = $1 AND erased_at IS NULL",
			Args: []any{s.Tenant, time.Now().UTC().Truncate(time.Microsecond), code}, Rows: 1,
		}, engine.Continue, nil)
		return wrap("close", "tenant", err)
	})
	if r, ok := db.eng.(rechecker); ok {
		r.Recheck(s.Tenant)
	}
	if errors.Is(err, ErrNotFound) { // another one was faster, or the tenant is gone
		if state, err := db.tenantErasure(ctx, s.Tenant); err == nil && !state.erased.IsZero() {
			return nil
		}
	}
	return err
}

// rechecker is an engine that believes for a while that a tenant is open.
type rechecker interface{ Recheck(tenant uuid.UUID) }

// holdOff waits for the writers that are under way and refuses later ones.
func (db *DB) holdOff(ctx context.Context, s engine.Scope) error {
	return db.patiently(ctx, s, func(ctx context.Context, tx *Tx) error {
		if err := tx.alone(ctx, (*table).holdsPersonal); err != nil {
			return err
		}
		mark, err := tx.markErased(ctx, uuid.Nil)
		if err == nil {
			_, err = tx.eng.Run(ctx, mark, engine.Continue, nil)
		}
		return wrap("mark", "tenant", err)
	})
}

// holdsPersonal reports whether a column may tell of people.
func (t *table) holdsPersonal() bool {
	return t.subject >= 0 || slices.ContainsFunc(t.cols, func(c column) bool { return c.class != Open })
}

// clearPage is how many rows one transaction clears.
const clearPage = 1000

func (db *DB) clearTenant(ctx context.Context, s engine.Scope) error {
	for _, t := range db.schema {
		d := t.describe()
		for from, more := keyTexts(nil), true; more; {
			err := db.patiently(ctx, s, func(ctx context.Context, tx *Tx) (err error) {
				from, more, err = tx.clearPage(ctx, d, from)
				return err
			})
			if err != nil {
				return err
			}
			db.at("page")
		}
	}
	return nil
}

// clearPage clears the rows from one key on, nil for the first, and says where the
// next page begins.
func (tx *Tx) clearPage(ctx context.Context, t *table, from keyTexts) (next keyTexts, more bool, err error) {
	d := tx.eng.Dialect()
	where, args := t.pageOf(d, []any{tx.scope.Tenant}, from, nil)
	if set, _ := t.clearedSet(nil); set == "" {
		return nil, false, nil
	}
	if from == nil {
		if paged, err := tx.pageable(ctx, t); err != nil || !paged {
			return nil, false, errors.Join(err, tx.clearRange(ctx, t, nil, nil))
		}
	}
	next, dest := t.scanKey()
	_, err = tx.eng.Run(ctx, engine.Stmt{
		SQL: "SELECT " + strings.Join(t.selectKey(), ", ") + " FROM " + t.qualified(d) + where +
			" ORDER BY " + t.keyOrder() + fmt.Sprintf(" LIMIT 1 OFFSET $%d", len(args)+1),
		Args: append(args, int64(tx.db.page())),
	}, engine.Continue, func(r engine.Row) error {
		more = true
		return r.Scan(dest...)
	})
	if err != nil {
		return from, false, wrap("clear", t.name, err)
	}
	if !more {
		next = nil
	}
	return next, more, tx.clearRange(ctx, t, from, next)
}

// clearRange clears the rows from one key up to another, nil for no bound.
func (tx *Tx) clearRange(ctx context.Context, t *table, from, next keyTexts) error {
	d := tx.eng.Dialect()
	where, args := t.pageOf(d, []any{tx.scope.Tenant}, from, next)
	set, args := t.clearedSet(args)
	_, err := tx.eng.Run(ctx, engine.Stmt{SQL: "UPDATE " + t.qualified(d) + " SET " + set + where, Args: args}, engine.Continue, nil)
	return wrap("clear", t.name, err)
}

// pageable reports whether a walk by keys meets all rows. A SQLite file may hold keys
// in another form than the library writes, which lie elsewhere in the order than the
// texts by which the walk goes on.
func (tx *Tx) pageable(ctx context.Context, t *table) (paged bool, err error) {
	d := tx.eng.Dialect()
	if d != migrate.SQLite {
		return true, nil
	}
	paged = true
	_, err = tx.eng.Run(ctx, engine.Stmt{
		SQL: "SELECT 1 FROM " + t.qualified(d) + " WHERE NOT " + t.writtenKeys() + " LIMIT 1",
	}, engine.Continue, func(engine.Row) error { paged = false; return nil })
	return paged, wrap("clear", t.name, err)
}

// pageOf is the condition on rows from one key on and before another, nil for no
// bound, with its parameters behind args.
func (t *table) pageOf(d migrate.Dialect, args []any, from, before keyTexts) (string, []any) {
	var where strings.Builder
	where.WriteString(" WHERE " + t.ofTenant(d))
	for _, bound := range []struct {
		sign string
		key  keyTexts
	}{{" >= ", from}, {" < ", before}} {
		if bound.key == nil {
			continue
		}
		where.WriteString(" AND " + t.keyTuple() + bound.sign + tuple(t.keyParams(d, len(args)+1)))
		args = append(args, bound.key.args(d)...)
	}
	return where.String(), args
}

func (db *DB) page() int {
	if db.pageRows > 0 {
		return db.pageRows
	}
	return clearPage
}

// emptyLog empties what the log holds of the tenant. A log that cannot do so by
// itself keeps what it has; its encrypted parts cannot be read any more.
func (db *DB) emptyLog(ctx context.Context, s engine.Scope) error {
	log, ok := db.log.(TenantEraser)
	if !ok {
		return nil
	}
	for from, more := uuid.Nil, true; more; {
		err := db.patiently(ctx, s, func(ctx context.Context, tx *Tx) (err error) {
			from, err = log.EraseTenant(ctx, tx, from)
			more = from != uuid.Nil
			return err
		})
		if err != nil {
			return err
		}
		db.at("log page")
	}
	return nil
}

func (db *DB) scrubTenant(ctx context.Context, s engine.Scope) error {
	if err := db.scrub(ctx, uuid.Nil); err != nil {
		return err
	}
	return db.scrub(ctx, s.Tenant)
}

// finishTenant says that nothing is left to do.
func (db *DB) finishTenant(ctx context.Context, s engine.Scope) error {
	return db.inScope(ctx, scopeOf(ctx, ID{}), func(ctx context.Context, tx *Tx) error {
		_, err := tx.eng.Run(ctx, engine.Stmt{
			SQL:  "UPDATE " + engine.Table(tx.eng.Dialect(), "tenants") + " SET cleared_at = COALESCE(cleared_at, $2) WHERE id = $1",
			Args: []any{s.Tenant, time.Now().UTC().Truncate(time.Microsecond)}, Rows: 1,
		}, engine.Continue, nil)
		return wrap("finish", "tenant", err)
	})
}

// tenantErasure is how far the erasure of a tenant went; zero times for not yet.
type tenantErasure struct {
	name                      string
	erased, cleared, replayed time.Time
}

func (db *DB) tenantErasure(ctx context.Context, tenant uuid.UUID) (e tenantErasure, err error) {
	tx, err := db.begin(ctx, engine.Scope{})
	if err != nil {
		return e, err
	}
	known := false
	_, err = tx.eng.Run(ctx, engine.Stmt{
		SQL:  "SELECT name, erased_at, cleared_at, replayed_at FROM " + engine.Table(db.eng.Dialect(), "tenants") + " WHERE id = $1",
		Args: []any{tenant},
	}, engine.Commit, func(r engine.Row) error {
		known = true
		var erased, cleared, replayed *time.Time
		err := r.Scan(&e.name, &erased, &cleared, &replayed)
		e.erased, e.cleared, e.replayed = orZero(erased), orZero(cleared), orZero(replayed)
		return err
	})
	if err == nil && !known {
		err = ErrUnknownTenant
	}
	return e, wrap("look up", "tenant", err)
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// tenantErasedError is what the verbs of an erased tenant answer.
type tenantErasedError struct{}

func (tenantErasedError) Error() string { return "tenancy: the tenant was erased" }

func (tenantErasedError) Is(target error) bool {
	return target == ErrErased || target == ErrUnknownTenant
}

// ofErased says why a tenant is unknown, or its keys are gone: it was erased.
func (db *DB) ofErased(ctx context.Context, s engine.Scope, err error) error {
	keysGone := errors.Is(err, keyring.ErrErased) && !errors.Is(err, ErrErased)
	if s.Tenant == uuid.Nil || !keysGone && !errors.Is(err, ErrUnknownTenant) {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if state, lookErr := db.tenantErasure(ctx, s.Tenant); lookErr != nil || state.erased.IsZero() {
		if gone, keyErr := db.keys.ErasedTenant(ctx, s.Tenant); keyErr != nil || !keysGone || !gone {
			return err
		}
	}
	return fmt.Errorf("%w (%w)", tenantErasedError{}, err)
}
