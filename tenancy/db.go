package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
)

// DB is a database of many tenants. It is made by the Open of an engine package
// and is safe for concurrent use.
type DB struct {
	eng    engine.Engine
	schema Schema
	keys   *keyring.Ring
	log    ChangeRecorder
	ledger ErasureLedger // nil for none
	// unrecorded is set before the first use.
	unrecorded Unrecorded
	tel        telemetry
	step       func(name string) // of an erasure; nil but in tests of crashes
	// pageRows is how many rows of a tenant one transaction clears; 0: clearPage.
	pageRows int
}

// New joins an engine with the tables, the keys, the log and, unless it is nil,
// the ledger of erasures. The Open functions of the engine packages call it; an
// engine can be made inside the module only.
func New(e engine.Engine, schema Schema, keys *keyring.Ring, log ChangeRecorder, ledger ErasureLedger) (*DB, error) {
	err := errors.Join(schema.check(), required("keys", keys), required("log", log), checkReads(schema, log))
	if err != nil {
		return nil, err
	}
	tel, err := newTelemetry()
	if err != nil {
		return nil, err
	}
	return &DB{eng: e, schema: schema, keys: keys, log: log, ledger: ledger, tel: tel}, nil
}

// required refuses a collaborator that is nil, also inside an interface.
func required(name string, v any) error {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() || rv.Kind() == reflect.Pointer && rv.IsNil() {
		return fmt.Errorf("tenancy: open: %s must not be nil", name)
	}
	return nil
}

// Engine gives the library's own packages the engine below. The key can be had
// inside the module only.
func (db *DB) Engine(engine.Key) engine.Engine { return db.eng }

// Close closes the connections. Transactions under way fail.
func (db *DB) Close() error { return db.eng.Close() }

// In runs fn in one transaction of the context's tenant and commits if fn
// returns nil. An error or a panic rolls back; what fn had refused is recorded
// all the same, before In returns. Inside another In of the same tenant fn
// joins that transaction; of another tenant, In returns [ErrOtherTenant].
func (db *DB) In(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) (err error) {
	if fn == nil {
		return fmt.Errorf("tenancy: In: no function: %w", ErrBadValue)
	}
	if outer := txIn(ctx); outer != nil && outer.db == db {
		return outer.join(ctx, fn)
	}
	scope, err := tenantScope(ctx)
	if err != nil {
		return err
	}
	ctx, done := db.tel.span(ctx, "tenancy.In")
	defer func() { done(err) }()
	return db.inScope(ctx, scope, fn)
}

// InSQL is [DB.In] for a function that needs SQL of its own. Of what that SQL
// writes the log holds tables, verbs and numbers of rows, but neither which rows nor
// what changed in them: record an event that says so, and the library adds none
// ([Unrecorded]). Writing needs an actor in the context, else it returns [ErrNoActor]
// at the end. The transaction runs under the role of callers' text: the database confines it to the tenant, lets
// it read none of the library's tables and write no row in them, nor in the log. It does
// not join an outer transaction, whose role differs: inside one it returns [ErrTxInUse].
func (db *DB) InSQL(ctx context.Context, fn func(ctx context.Context, tx *SQLTx) error) (err error) {
	if outer := txIn(ctx); outer != nil && outer.db == db {
		return fmt.Errorf("tenancy: InSQL inside In: %w", ErrTxInUse)
	}
	if fn == nil {
		return fmt.Errorf("tenancy: InSQL: no function: %w", ErrBadValue)
	}
	scope, err := tenantScope(ctx)
	if err != nil {
		return err
	}
	ctx, done := db.tel.span(ctx, "tenancy.InSQL")
	defer func() { done(err) }()
	e, err := db.eng.BeginSQL(ctx, scope)
	if err != nil {
		return db.ofErased(ctx, scope, wrap("begin", "transaction", err))
	}
	tx := &SQLTx{Tx: &Tx{db: db, eng: e, scope: scope}, sqlx: e.SQLX()}
	return tx.do(ctx, func(ctx context.Context) error {
		defer tx.noteDenied(e)
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.settle(ctx, e)
	})
}

// noteDenied makes one refusal of the statements of callers' text that the
// database refused: the log must show that somebody tried.
func (tx *SQLTx) noteDenied(e engine.SQLTx) {
	if n := e.Denied() - tx.denied; n > 0 {
		tx.Refuse(Change{Action: "sql.refused", Detail: strconv.Itoa(n) + " statements refused by the database"})
	}
}

func (db *DB) begin(ctx context.Context, scope engine.Scope) (*Tx, error) {
	e, err := db.eng.Begin(ctx, scope)
	if err != nil {
		return nil, wrap("begin", "transaction", err)
	}
	return &Tx{db: db, eng: e, scope: scope}, nil
}

// tenantScope is the scope of a context that must name a tenant.
func tenantScope(ctx context.Context) (engine.Scope, error) {
	id, err := TenantFrom(ctx)
	if err != nil {
		return engine.Scope{}, err
	}
	return scopeOf(ctx, id), nil
}

func scopeOf(ctx context.Context, id ID) engine.Scope {
	s := engine.Scope{Tenant: id.UUID(), Session: SessionFrom(ctx)}
	if a, err := ActorFrom(ctx); err == nil {
		s.Actor = a.String()
	}
	return s
}

// join runs fn in the open transaction tx.
func (tx *Tx) join(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	id, err := TenantFrom(ctx)
	if err != nil {
		return err
	}
	if id != tx.Tenant() {
		return fmt.Errorf("tenancy: In inside In: %w", ErrOtherTenant)
	}
	if tx.done.Load() {
		return ErrTxDone
	}
	return fn(ctx, tx)
}

// do runs fn and ends the transaction by its outcome.
func (tx *Tx) do(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	finished := false
	defer func() {
		if !finished { // fn panicked
			_ = tx.end(ctx, errPanic)
		}
	}()
	err = fn(context.WithValue(ctx, keyTx, tx))
	finished = true
	return tx.end(ctx, err)
}

var errPanic = errors.New("tenancy: panic in transaction")

// end commits if err is nil, else rolls back, and records what was refused.
func (tx *Tx) end(ctx context.Context, err error) error {
	tx.done.Store(true)
	if !tx.busy.TryLock() { // another goroutine's call is under way: let it finish
		tx.busy.Lock()
		err = errors.Join(err, ErrTxInUse)
	}
	defer tx.busy.Unlock()
	if err == nil && tx.spoilt.Load() {
		err = errSpoilt
	}
	if err == nil {
		err = wrap("commit", "transaction", tx.eng.Commit(ctx))
	} else if rbErr := tx.eng.Rollback(context.WithoutCancel(ctx)); rbErr != nil {
		err = errors.Join(err, wrap("roll back", "transaction", rbErr))
	}
	if err != nil {
		tx.uncount(0)
	} else {
		tx.reads = nil // they are written
	}
	err = tx.db.ofErased(ctx, tx.scope, err)
	tx.db.tel.count(ctx, err, tx.refused)
	if err == nil {
		err = tx.committed(ctx)
	}
	return errors.Join(err, tx.recordRest(ctx))
}

// recordRest writes the refused changes in a fresh transaction, also when the
// context was cancelled meanwhile, and what was read in one that rolled back.
func (tx *Tx) recordRest(ctx context.Context) error {
	if len(tx.refused)+len(tx.reads) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	scope := tx.scope
	scope.Access = uuid.Nil // which only reads
	fresh, err := tx.db.begin(ctx, scope)
	if err != nil {
		return fmt.Errorf("tenancy: record refusal: %w", err)
	}
	for _, c := range tx.refused {
		if err := fresh.record(ctx, c); err != nil {
			return errors.Join(fmt.Errorf("tenancy: record refusal: %w", err), fresh.eng.Rollback(ctx))
		}
	}
	for _, again := range tx.reads {
		if err := again(fresh); err != nil {
			return errors.Join(fmt.Errorf("tenancy: record reading: %w", err), fresh.eng.Rollback(ctx))
		}
	}
	if err := fresh.eng.Commit(ctx); err != nil {
		return wrap("record", "refusal", err)
	}
	return fresh.committed(ctx)
}
