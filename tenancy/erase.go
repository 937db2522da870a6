package tenancy

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// SubjectEraser is a [ChangeRecorder] that also holds data of data subjects;
// *audit.Log is one. EraseSubject queues in tx what removes all that it holds of
// the subject, and the event that something was erased, without saying whose.
type SubjectEraser interface {
	ChangeRecorder
	// EraseSubject queues in tx the removal of what the recorder holds of the
	// subject, and its event. Repeating it is safe.
	EraseSubject(ctx context.Context, tx *Tx, subject uuid.UUID) error
}

// scrubber is an engine that can clear erased bytes from its files.
type scrubber interface {
	Scrub(ctx context.Context, tenant uuid.UUID) error
}

// Erase erases a data subject of the context's tenant (Art. 17 GDPR). First the
// ledger, where there is one, is told, so that a backup that is restored later
// can be brought to the same state. Then the key is destroyed for good: from there
// on its encrypted fields answer [field.ErrErased], in every copy of the data. One
// transaction clears its blind indexes and the columns of class personal, empties
// its part of the audit log, and records the erasure. Rows stay, so that what
// refers to them stays whole. It waits for writers of the tables concerned, for at
// most a second at a time, and refuses to run inside another transaction with
// [ErrTxInUse]. If Erase returns an error after the first step, it must be repeated
// until it returns nil; repeating it is always safe. [DB.ErasureRecord] then issues
// the record.
func (db *DB) Erase(ctx context.Context, subject uuid.UUID) (err error) {
	ctx, done := db.tel.span(ctx, "tenancy.Erase")
	defer func() { done(err) }()
	if subject == uuid.Nil {
		return fmt.Errorf("tenancy: erase: no data subject: %w", ErrNotFound)
	}
	scope, err := db.erasing(ctx)
	if err != nil {
		return err
	}
	if err := db.knows(ctx, scope); err != nil {
		return err
	}
	if db.ledger != nil {
		if err := db.ledger.Erased(ctx, ID(scope.Tenant), subject); err != nil {
			return fmt.Errorf("tenancy: erase: write the ledger: %w", err)
		}
	}
	db.at("told")
	if err := db.keys.Shred(ctx, scope.Tenant, subject); err != nil {
		return fmt.Errorf("tenancy: erase: destroy key: %w", err)
	}
	db.at("shredded")
	err = db.patiently(ctx, scope, func(ctx context.Context, tx *Tx) error { return tx.erase(ctx, subject) })
	if err != nil {
		return fmt.Errorf("tenancy: erase: key is destroyed, repeat for the rest: %w", err)
	}
	db.at("cleared")
	if err := db.scrub(ctx, scope.Tenant); err != nil {
		return fmt.Errorf("tenancy: erase: key is destroyed, repeat for the files: %w", err)
	}
	db.at("scrubbed")
	return nil
}

// erasing is the scope of the context's tenant for an erasure, which needs an
// actor and no transaction around it.
func (db *DB) erasing(ctx context.Context) (engine.Scope, error) {
	if open := txIn(ctx); open != nil && open.db == db {
		return engine.Scope{}, fmt.Errorf("tenancy: erase inside a transaction, which could roll back: %w", ErrTxInUse)
	}
	if _, err := ActorFrom(ctx); err != nil {
		return engine.Scope{}, err
	}
	return tenantScope(ctx)
}

// scrub clears erased bytes from the files of an engine that has such.
func (db *DB) scrub(ctx context.Context, tenant uuid.UUID) error {
	if s, ok := db.eng.(scrubber); ok {
		return wrap("scrub", "files", s.Scrub(ctx, tenant))
	}
	return nil
}

// at is a step of an erasure, for tests that kill the process there.
func (db *DB) at(step string) {
	if db.step != nil {
		db.step(step)
	}
}

// The bounds of the wait for writers: others queue behind the wait.
const (
	lockPatience  = "SET LOCAL lock_timeout = '1s'"
	clearAttempts = 5
)

// patiently runs fn in a transaction, and begins anew where writers were in the way.
func (db *DB) patiently(ctx context.Context, scope engine.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := db.inScope(ctx, scope, fn)
		e, ok := errors.AsType[*engine.Error](err)
		if !ok || attempt == clearAttempts || e.Code != "55P03" && e.Code != "40P01" { // lock not available, deadlock
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(time.Duration(attempt) * 50 * time.Millisecond):
		}
	}
}

// inScope is [DB.In] for a scope that was made before.
func (db *DB) inScope(ctx context.Context, scope engine.Scope, fn func(ctx context.Context, tx *Tx) error) error {
	tx, err := db.begin(ctx, scope)
	if err != nil {
		return err
	}
	return tx.do(ctx, func(ctx context.Context) error { return fn(ctx, tx) })
}

// knows fails with [ErrUnknownTenant] before a tombstone is written for a
// tenant that does not exist.
func (db *DB) knows(ctx context.Context, scope engine.Scope) error {
	return db.inScope(ctx, scope, func(ctx context.Context, tx *Tx) error {
		_, err := tx.eng.Run(ctx, engine.Stmt{SQL: "SELECT 1"}, engine.Commit, nil)
		return wrap("erase", "data subject", err)
	})
}

// erase waits for writers, says that the subject is erased, which refuses later
// ones, and queues the clearing of all tables and the event.
func (tx *Tx) erase(ctx context.Context, subject uuid.UUID) error {
	if err := tx.alone(ctx, (*table).tellsOfPeople); err != nil {
		return err
	}
	tx.db.at("alone")
	mark, err := tx.markErased(ctx, subject)
	if err != nil {
		return err
	}
	tx.eng.Queue(mark)
	for _, t := range tx.db.schema {
		if s, ok := t.describe().clearing(tx, subject); ok {
			tx.eng.Queue(s)
		}
	}
	if e, ok := tx.db.log.(SubjectEraser); ok {
		if err := e.EraseSubject(ctx, tx, subject); err != nil {
			return err
		}
	} else if err := tx.db.log.Change(ctx, tx, Change{Action: "subject.erase", Outcome: Done}); err != nil {
		return err
	}
	tx.db.at("queued")
	return nil
}

// markErased says that the subject, or with the nil id the whole tenant, is
// erased. The first time stands.
func (tx *Tx) markErased(ctx context.Context, subject uuid.UUID) (engine.Stmt, error) {
	code, err := tx.db.erasureCode(ctx, tx.scope.Tenant, subject)
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(tx.eng.Dialect(), "erased") +
			" (tenant_id, subject, erased_at, code) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		Args: []any{tx.scope.Tenant, subject, time.Now().UTC().Truncate(time.Microsecond), code},
	}, err
}

// tellsOfPeople reports whether the table's rows name a data subject.
func (t *table) tellsOfPeople() bool { return t.subject >= 0 }

// alone holds off other writers of the tables of a kind until the transaction
// ends: one that was not waited for could write after the clearing. In SQLite
// there is one writer anyway.
func (tx *Tx) alone(ctx context.Context, kind func(*table) bool) error {
	if tx.eng.Dialect() == migrate.SQLite {
		return nil
	}
	if _, err := tx.eng.Run(ctx, engine.Stmt{SQL: lockPatience}, engine.Continue, nil); err != nil {
		return wrap("erase", "data subject", err)
	}
	for _, t := range tx.db.schema {
		if d := t.describe(); kind(d) {
			lock := engine.Stmt{SQL: "LOCK TABLE " + d.qualified(migrate.Postgres) + " IN EXCLUSIVE MODE"}
			if _, err := tx.eng.Run(ctx, lock, engine.Continue, nil); err != nil {
				return wrap("erase", d.name, err)
			}
		}
	}
	return nil
}

// guard fails if the data subject in $2 was erased, or the whole tenant. It must
// run behind the write, which may have waited for an erasure.
func guard(d migrate.Dialect, tenant, subject uuid.UUID) engine.Stmt {
	s := engine.Stmt{Args: []any{tenant, subject}}
	from := " FROM " + engine.Table(d, "erased") + " WHERE tenant_id = $1 AND subject IN ($2, '" + uuid.Nil.String() + "')"
	if d == migrate.SQLite {
		s.SQL, s.Rows = "SELECT 1 WHERE NOT EXISTS (SELECT 1"+from+")", 1
		return s
	}
	s.SQL = "SELECT 1 / (1 - least(count(*), 1))" + from
	return s
}

// clearing is the statement that clears what the table holds of a data subject
// in clear; false if it holds nothing.
func (t *table) clearing(tx *Tx, subject uuid.UUID) (engine.Stmt, bool) {
	if t.subject < 0 {
		return engine.Stmt{}, false
	}
	d := tx.eng.Dialect()
	set, args := t.clearedSet([]any{tx.scope.Tenant, subject})
	return engine.Stmt{
		SQL: "UPDATE " + t.qualified(d) + " SET " + set +
			" WHERE " + t.ofTenant(d) + " AND " + quote(t.cols[t.subject].name) + " = $2",
		Args: args,
	}, set != ""
}

// clearedSet is the list of an UPDATE that clears personal columns and blind
// indexes, with its values behind args; "" where there is none.
func (t *table) clearedSet(args []any) (string, []any) {
	var sets []string
	for i := range t.cols {
		c := &t.cols[i]
		switch {
		case c.class == Personal:
			args = append(args, c.empty())
			sets = append(sets, fmt.Sprintf("%s = $%d", quote(c.name), len(args)))
		case c.plaintext: // destroying a key does not erase it
			sets = append(sets, fmt.Sprintf("%[1]s = substr(%[1]s, 1, 0)", quote(c.name)))
		}
		if c.index != nil {
			sets = append(sets, quote(c.index.name)+" = NULL")
		}
	}
	return strings.Join(sets, ", "), args
}

// emptyOf is NULL for a pointer or slice, else the zero value.
func emptyOf(t reflect.Type) any {
	a, err := argument(reflect.Zero(t))
	if err != nil { // a type of the application's own that refuses its zero value
		return nil
	}
	return a
}
