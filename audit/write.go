package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// An action is a word of the code, so that no data can stand in a leaf.
var actionName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./:-]{0,199}$`)

// Change implements [tenancy.ChangeRecorder]: it queues the event of c in tx,
// to travel with the change itself. Without an actor in ctx it returns
// [tenancy.ErrNoActor], and the caller must not perform the change.
func (l *Log) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	p := &payload{Attrs: attrMap(c.Attrs), Detail: c.Detail, Fields: changed(c.Fields), Reason: tenancy.ReasonFrom(ctx)}
	e, err := l.openOwn(ctx, tx.Tenant().UUID(), c.Action)
	if err != nil {
		return err
	}
	if c.Outcome != tenancy.Refused { // what did not happen is recorded in any case
		if err := l.demand(ctx, c.Action); err != nil {
			return err
		}
	}
	e.leaf.Object, e.leaf.Outcome = c.Object, c.Outcome
	a := about{
		tenant: e.leaf.Tenant, event: e.leaf.Event, subject: c.Subject,
		fields: c.Fields, refused: c.Outcome == tenancy.Refused,
	}
	if e.parts, err = l.seal(ctx, a, p); err != nil {
		return err
	}
	return l.queueIn(ctx, tx, e)
}

// Record writes an event that is no change of a row: a login, a backup, an
// export. It is queued in the transaction that [tenancy.DB.In] put into ctx;
// outside one it returns [ErrNoTx], and a [Recorder] is what is needed. All
// attrs are encrypted. The action is a word of the code such as "session.open".
func (l *Log) Record(ctx context.Context, action string, attrs ...slog.Attr) error {
	tx := tenancy.TxFrom(ctx)
	if tx == nil {
		return ErrNoTx
	}
	e, err := l.recorded(ctx, tx.Tenant().UUID(), action, attrs)
	if err != nil {
		return err
	}
	return l.queueIn(ctx, tx, e)
}

// recorded is the event of a [Log.Record].
func (l *Log) recorded(ctx context.Context, tenant uuid.UUID, action string, attrs []slog.Attr) (*event, error) {
	e, err := l.openOwn(ctx, tenant, action)
	if err != nil {
		return nil, err
	}
	if err := l.demand(ctx, action); err != nil {
		return nil, err
	}
	p := &payload{Attrs: attrMap(attrs), Reason: tenancy.ReasonFrom(ctx)}
	e.parts, err = l.seal(ctx, about{tenant: tenant, event: e.leaf.Event}, p)
	return e, err
}

// event is a leaf without log, and the parts of its payload.
type event struct {
	leaf  Leaf
	parts []part
}

// openOwn is open for what others write: the actions on which a verification relies
// are the log's own.
func (l *Log) openOwn(ctx context.Context, tenant uuid.UUID, action string) (*event, error) {
	if slices.Contains(written, action) {
		return nil, ErrAction
	}
	return l.open(ctx, tenant, action)
}

// open begins an event: who, when, what.
func (l *Log) open(ctx context.Context, tenant uuid.UUID, action string) (*event, error) {
	actor, err := tenancy.ActorFrom(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if !actionName.MatchString(action) {
		return nil, ErrAction
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	return &event{leaf: Leaf{
		Tenant: tenant, Event: newEventID(at), At: at, Writer: l.writer,
		Actor: actor.String(), Session: tenancy.SessionFrom(ctx), Action: action, Outcome: tenancy.Done,
	}}, nil
}

// queueIn queues e in a transaction of tenancy. Under the seal the database
// itself fills in actor and session, so that they must be the transaction's.
func (l *Log) queueIn(ctx context.Context, tx *tenancy.Tx, e *event) error {
	t := tx.Engine(engine.Library)
	if t.Role() == engine.RoleApp && (e.leaf.Actor != tx.Actor() || e.leaf.Session != tx.Session()) {
		return ErrOtherActor
	}
	if err := l.queue(ctx, t, e); err != nil {
		return err
	}
	l.holdAfter(tx, e)
	tx.Recorded(engine.Library, e.leaf.Action)
	return nil
}

// queue vouches for e and queues its statements.
func (l *Log) queue(ctx context.Context, t engine.Tx, e *event) error {
	key, err := l.mac(ctx)
	if err != nil {
		return err
	}
	e.leaf.Counter = l.next(e.leaf.Tenant)
	for _, p := range e.parts {
		d := p.digest()
		e.leaf.Digests = append(e.leaf.Digests, d[:]...)
	}
	if e.leaf.MAC, err = vouch(key, &e.leaf); err != nil {
		return err
	}
	if _, err := e.leaf.AppendBinary(nil); err != nil {
		return err
	}
	if a, ok := t.(engine.Admitter); ok {
		s, err := admitEvent(a, e)
		if err == nil {
			t.Queue(s)
		}
		return err
	}
	t.Queue(insertEvent(t.Dialect(), &e.leaf))
	for i, p := range e.parts {
		t.Queue(insertPart(t.Dialect(), &e.leaf, i, p))
	}
	return nil
}

func insertEvent(d migrate.Dialect, l *Leaf) engine.Stmt {
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(d, "events") +
			" (id, tenant_id, at, writer, counter, action, object, outcome, digests, mac, actor, session)" +
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		Args: []any{
			l.Event, l.Tenant, l.At.UnixMicro(), l.Writer, l.Counter,
			l.Action, nullID(l.Object), int64(l.Outcome), notNil(l.Digests), l.MAC[:], l.Actor, l.Session,
		},
	}
}

// admitEvent adds an event beside callers' text, which may not add any: the
// database demands a proof. Tenant, actor and session are those of the sealed
// context, so that injected SQL cannot name others.
func admitEvent(a engine.Admitter, e *event) (engine.Stmt, error) {
	l := &e.leaf
	proof, err := a.Prove(slices.Concat(l.Tenant[:], l.Event[:], l.MAC[:], l.Digests))
	if err != nil {
		return engine.Stmt{}, dbError("prove event", err)
	}
	var subjects, ciphertexts []any
	for _, p := range e.parts {
		subjects, ciphertexts = append(subjects, p.subject), append(ciphertexts, p.ciphertext)
	}
	ids, err := engine.List(migrate.Postgres, subjects)
	if err != nil {
		return engine.Stmt{}, dbError("prove event", err)
	}
	parts, err := engine.List(migrate.Postgres, ciphertexts)
	if err != nil {
		return engine.Stmt{}, dbError("prove event", err)
	}
	return engine.Stmt{
		SQL: "SELECT art32.admit_event($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		Args: []any{
			l.Event, l.At.UnixMicro(), l.Writer, l.Counter, l.Action, nullID(l.Object),
			int64(l.Outcome), notNil(l.Digests), l.MAC[:], ids, parts, proof,
		},
	}, nil
}

func insertPart(d migrate.Dialect, l *Leaf, number int, p part) engine.Stmt {
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(d, "event_parts") +
			" (tenant_id, event_id, part, subject, ciphertext) VALUES ($1, $2, $3, $4, $5)",
		Args: []any{l.Tenant, l.Event, int64(number), nullID(p.subject), p.ciphertext},
	}
}

func nullID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Recorder is a [Log] with a database to write to when there is no transaction
// in the context. It is safe for concurrent use.
type Recorder struct {
	log *Log
	db  *tenancy.DB
}

// NewRecorder joins a log with a database that was opened with it.
func NewRecorder(l *Log, db *tenancy.DB) (*Recorder, error) {
	if l == nil || db == nil {
		return nil, errors.New("audit: new recorder: log and database must not be nil")
	}
	return &Recorder{log: l, db: db}, nil
}

// Record is [Log.Record] that outside a transaction commits the event by
// itself: into the log of the context's tenant, or the platform's without one.
// Where the action's class fails open ([FailOpen]), an event that cannot be written
// there is no error.
func (r *Recorder) Record(ctx context.Context, action string, attrs ...slog.Attr) error {
	if tenancy.TxFrom(ctx) != nil {
		return r.log.Record(ctx, action, attrs...)
	}
	err := r.record(ctx, action, attrs)
	if c := r.log.classOf(action); err != nil && c.Failure == FailOpen && !misused(err) {
		r.log.lose(ctx, c, action, err)
		return nil
	}
	return err
}

// misused reports whether the caller's code is to blame, and not the log.
func misused(err error) bool {
	for _, e := range []error{tenancy.ErrNoActor, ErrAction, ErrPayload, ErrTooLarge} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// lose tells the operator of an event that could not be written.
func (l *Log) lose(ctx context.Context, c *Class, action string, err error) {
	l.lost.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("class", c.Name))))
	l.logger.ErrorContext(ctx, "audit: event lost", slog.String("action", action), slog.Any("error", err))
}

func (r *Recorder) record(ctx context.Context, action string, attrs []slog.Attr) error {
	var tenant uuid.UUID
	if id, err := tenancy.TenantFrom(ctx); err == nil {
		tenant = id.UUID()
	}
	e, err := r.log.recorded(ctx, tenant, action, attrs)
	if err != nil {
		return err
	}
	scope := engine.Scope{Tenant: tenant, Actor: e.leaf.Actor, Session: e.leaf.Session}
	err = inTx(ctx, r.db, scope, func(t engine.Tx) error { return r.log.queue(ctx, t, e) })
	if err != nil || !r.log.classOf(action).Sealed {
		return err
	}
	return r.log.hold(ctx, r.db, tenant, e.leaf.Event)
}
