// Package engine is the private seam between package tenancy and the two
// databases below it. A repository builds fixed statements; an engine runs
// them scoped to one tenant, in as few round trips as the database allows.
package engine

import (
	"context"
	"database/sql"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/migrate"
)

// Key admits the library's own packages to statements under the library role.
// Code outside the module can neither name nor make one.
type Key struct{ library bool }

// Library is the [Key] that the library's packages pass.
//
//nolint:gochecknoglobals // a constant of a struct type
var Library = Key{library: true}

// Scope says for whom and by whom a transaction runs. A nil Tenant is the
// platform itself: accounts, tenants, the platform's log.
type Scope struct {
	Tenant  uuid.UUID // nil for the platform
	Actor   string    // as tenancy.Actor writes it; "" for nobody
	Session string    // its public id; "" for none
	// Closed admits a tenant that is closed: what is left of it is erased, and
	// its log sealed and verified.
	Closed bool
	// Access is the access over tenants that the transaction reads under, in
	// [Engine.Begin]; nil for none. Nothing can be written.
	Access uuid.UUID
	// ReadOnly is for [Engine.BeginSQL]: nothing can be written, and no writer is in
	// the way.
	ReadOnly bool
}

// Erased names a data subject who was erased, or with a nil Subject a tenant.
type Erased struct {
	Tenant, Subject uuid.UUID // their ids
	Code            []byte    // that the erasure has written beside them
}

// Erasures tells each who was erased, as the database knows it, those of one tenant
// behind each other. An error of each ends it.
type Erasures func(ctx context.Context, each func(Erased) error) error

// Stmt is one statement with its bind parameters ($1, $2, … in both dialects):
// nil, bool, int64, float64, string, []byte, [time.Time], [uuid.UUID] or a pointer to
// one, which spares a copy.
type Stmt struct {
	SQL  string // fixed text; a caller's only where the role is RoleApp
	Args []any  // of the types above
	// Rows, when not zero, is the exact number of rows that the statement must
	// affect or return; any other number fails the transaction. Where it is set,
	// the commit waits for the check, which may cost a round trip.
	Rows int64
	// Once says that the text is not worth preparing: its shape depends on the
	// number of its parameters, or a plan for long arrays would not do for any.
	Once bool
	// Caller says that a caller wrote a part of the text: it runs with a caller's
	// rights, in a transaction of [RoleApp] only.
	Caller bool
}

// End says whether a transaction goes on after a statement.
type End int

// The two ends of [Tx.Run].
const (
	Continue End = iota // the transaction stays open
	Commit              // it commits in the same round trip
)

// Role is the login that a transaction runs under.
type Role int

// The two roles: fixed text of the library, and text a caller wrote or shaped.
const (
	RoleLibrary Role = iota + 1
	RoleApp
)

// Row is the current row of a result; it is valid inside the callback only.
type Row interface {
	// Scan stores the columns into dest, pointers to Go values, in order. A
	// []byte destination receives bytes that the caller may keep.
	Scan(dest ...any) error
}

// Tx is one transaction in one database, begun lazily: nothing is sent before
// the first Run or Commit. A Tx is used by one goroutine at a time.
type Tx interface {
	// Dialect is the dialect of the statements.
	Dialect() migrate.Dialect
	// Role is the login that the transaction runs under.
	Role() Role
	// Queue holds a statement back until the next Run or Commit, with which it
	// travels, before that call's own statement. If it fails, that call fails.
	Queue(s Stmt)
	// Run executes the queue and s in one round trip and hands each row of s to
	// row (which may be nil). It returns the number of rows affected or read.
	// A Tx that failed is rolled back and refuses further use.
	Run(ctx context.Context, s Stmt, end End, row func(Row) error) (int64, error)
	// Commit executes what is queued and commits. Without anything sent or
	// queued it does nothing.
	Commit(ctx context.Context) error
	// Rollback ends the transaction; after a Commit it does nothing.
	Rollback(ctx context.Context) error
}

// SQLTx is a [Tx] under the caller's role that also carries text of callers.
type SQLTx interface {
	Tx
	// SQLX is the transaction for callers' text.
	SQLX() *sqlx.Tx
	// Denied counts the statements that the database refused as [Forbidden].
	Denied() int
	// Written says what callers' text has written so far, also by way of triggers and
	// foreign keys; what a savepoint took back counts.
	Written() []Written
	// Recorded says that an event of the transaction is recorded: without, the
	// database may refuse to commit what was written.
	Recorded()
}

// Written is how many rows callers' text wrote in one way.
type Written struct {
	Table string // as the database calls it; with its schema, unless that is public
	Verb  string // insert, update or delete
	Rows  int64  // above 0
}

// AddWritten adds w to those of its table and verb.
func AddWritten(all []Written, w Written) []Written {
	for i := range all {
		if all[i].Table == w.Table && all[i].Verb == w.Verb {
			all[i].Rows += w.Rows
			return all
		}
	}
	return append(all, w)
}

// Admitter is what a [SQLTx] offers beyond, if its database takes in events of a
// caller's transaction only with a proof that callers' text cannot make.
type Admitter interface {
	// Prove is the proof for a message, which names what is to be taken in.
	Prove(message []byte) (string, error)
}

// Engine runs transactions on one database system.
type Engine interface {
	// Dialect is the dialect of the statements.
	Dialect() migrate.Dialect
	// Begin prepares a transaction of library text; it sends nothing.
	// An unknown tenant fails here or in the first Run with [UnknownTenant].
	Begin(ctx context.Context, s Scope) (Tx, error)
	// BeginSQL prepares a transaction of caller text under the sealed context.
	BeginSQL(ctx context.Context, s Scope) (SQLTx, error)
	// BeginRead prepares a transaction like that of BeginSQL, for a read whose text a
	// caller wrote a part of: nothing can be written, whatever the scope says.
	BeginRead(ctx context.Context, s Scope) (Tx, error)
	// Platform is the library's own handle on the platform database, for
	// leases and the outbox.
	Platform() *sql.DB
	// Close closes the connections.
	Close() error
}

// Table is the name of a control table in dialect d: art32.events in
// PostgreSQL, art32_events in SQLite.
func Table(d migrate.Dialect, name string) string {
	if d == migrate.SQLite {
		return "art32_" + name
	}
	return "art32." + name
}
