package audit

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

//go:embed postgres/*.sql sqlite/*.sql
var migrations embed.FS

// Lines implements [tenancy.LineRecorder].
func (l *Log) Lines() []tenancy.Line { return []tenancy.Line{Line()} }

// Line is the log's line of migrations: on SQLite it belongs into the file of
// every tenant and of the platform.
func Line() tenancy.Line { return migrate.Line{Name: "audit", FS: migrations} }

// inTx runs fn in a transaction of its own and commits.
func inTx(ctx context.Context, db *tenancy.DB, s engine.Scope, fn func(engine.Tx) error) error {
	t, err := db.Engine(engine.Library).Begin(ctx, s)
	if err != nil {
		return dbError("begin", err)
	}
	if err := fn(t); err != nil {
		return errors.Join(err, t.Rollback(context.WithoutCancel(ctx)))
	}
	return dbError("commit", t.Commit(ctx))
}

// read runs one query in a transaction of its own. Long walks through a log
// consist of many: none keeps a snapshot or a lock for long. The log of a closed
// tenant is sealed, verified and exported as any.
func read(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, s engine.Stmt, row func(engine.Row) error) error {
	return readIn(ctx, db, engine.Scope{Tenant: tenant, Closed: true}, s, row)
}

// readIn is read for a scope.
func readIn(ctx context.Context, db *tenancy.DB, scope engine.Scope, s engine.Stmt, row func(engine.Row) error) error {
	t, err := db.Engine(engine.Library).Begin(ctx, scope)
	if err != nil {
		return dbError("begin", err)
	}
	if _, err := t.Run(ctx, s, engine.Commit, row); err != nil {
		return errors.Join(dbError("read", err), t.Rollback(context.WithoutCancel(ctx)))
	}
	return nil
}

func dbError(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("audit: %s: %w", verb, err)
}

// row is an event as it is stored. What cannot be an id reads as nil: an edited
// row must still be readable, to be found.
type row struct {
	leaf Leaf // without log
	seq  int64
	at   int64 // claimed number of the leaf; below 0: none
	odd  bool  // a column is not in the one form that the library writes
}

// errOdd says that a row has no leaf.
var errOdd = errors.New("audit: a row is not in the form that was written")

// hash is the hash of the row's leaf. What SQL would not find by its value, such
// as an id in capitals, has none, whatever it reads as.
func (r *row) hash(scratch []byte) (tlog.Hash, error) {
	if r.odd {
		return tlog.Hash{}, errOdd
	}
	return r.leaf.hash(scratch)
}

// eventColumns are what scanEvent reads. Where there is no leaf, -2 stands for
// NULL: not sealed yet. A stored -1 is an event that was not sealed.
const eventColumns = `e.id, e.tenant_id, e.at, e.writer, e.counter, e.actor, e.session, e.action, e.object, e.outcome,
 e.digests, e.mac, e.seq, COALESCE(e.leaf, -2)`

// scanEvent reads a row of eventColumns.
func scanEvent(d migrate.Dialect, r engine.Row) (*row, error) {
	if d == migrate.SQLite {
		return scanFileEvent(r)
	}
	var out row
	var at, outcome int64
	var mac []byte
	var object *uuid.UUID
	l := &out.leaf
	err := r.Scan(&l.Event, &l.Tenant, &at, &l.Writer, &l.Counter, &l.Actor, &l.Session, &l.Action,
		&object, &outcome, &l.Digests, &mac, &out.seq, &out.at)
	if err != nil {
		return nil, err
	}
	if object != nil {
		l.Object = *object
		out.odd = *object == uuid.Nil // a leaf without object is written as NULL
	}
	l.At, l.Outcome = time.UnixMicro(at).UTC(), tenancy.Outcome(outcome)
	out.odd = out.odd || len(mac) != macSize
	copy(l.MAC[:], mac)
	return &out, nil
}

// scanFileEvent reads a row of SQLite, where a column may hold a value of any type:
// one that reads the same but is not found by its value makes the row odd.
func scanFileEvent(r engine.Row) (*row, error) {
	var v [12]any
	var out row
	err := r.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11], &out.seq, &out.at)
	if err != nil {
		return nil, err
	}
	c := cells{values: v[:]}
	l := &out.leaf
	l.Event, l.Tenant = c.id(), c.id()
	l.At = time.UnixMicro(c.number()).UTC()
	l.Writer, l.Counter = c.id(), c.number()
	l.Actor, l.Session, l.Action = c.text(), c.text(), c.text()
	if c.values[0] == nil {
		c.values = c.values[1:]
	} else {
		l.Object = c.id()
		c.odd = c.odd || l.Object == uuid.Nil // a leaf without object is written as NULL
	}
	l.Outcome = tenancy.Outcome(c.number())
	l.Digests = c.bytes()
	mac := c.bytes()
	copy(l.MAC[:], mac)
	out.odd = c.odd || len(mac) != macSize
	return &out, nil
}

// cells takes values from the front; what is of another type than was written sets
// odd, and so does an id in another form.
type cells struct {
	values []any
	odd    bool
}

func take[T any](c *cells) T {
	v, ok := c.values[0].(T)
	c.odd = c.odd || !ok
	c.values = c.values[1:]
	return v
}

func (c *cells) text() string  { return take[string](c) }
func (c *cells) number() int64 { return take[int64](c) }
func (c *cells) bytes() []byte { return take[[]byte](c) }

func (c *cells) id() uuid.UUID {
	id, ok := exactID(c.text())
	c.odd = c.odd || !ok
	return id
}

// exactID reads an id in the one form that the library writes: in lower case, with
// hyphens.
func exactID(s string) (id uuid.UUID, ok bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'F' {
			return uuid.Nil, false
		}
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// parseID is exactID for what must be an id; another text is nil.
func parseID(s string) uuid.UUID {
	id, _ := exactID(s)
	return id
}

// head is a log's row: how far it was sealed.
type head struct {
	id         uuid.UUID
	shard      int64
	origin     string
	vkey       string
	base       int64 // number of the log's first leaf in the column leaf
	size       int64
	root       [32]byte
	created    int64  // microseconds since 1970
	ended      int64  // microseconds since 1970; 0: it grows
	dropped    bool   // its entries are gone
	succession string // signed by the log before; "" for the first
	newest     storedNote
}

// storedNote is a checkpoint as it is stored.
type storedNote struct {
	size int64 // -1: there is none
	note string
}

// logColumns are what head.dest takes.
const logColumns = `CAST(l.id AS TEXT), l.shard, l.origin, l.vkey, l.base, l.size, l.root, l.created_at,
 COALESCE(l.ended_at, 0), l.dropped_at IS NOT NULL, COALESCE(l.succession, '')`

func (h *head) dest(id *string, root *[]byte) []any {
	return []any{id, &h.shard, &h.origin, &h.vkey, &h.base, &h.size, root, &h.created, &h.ended, &h.dropped, &h.succession}
}

func (h *head) set(id string, root []byte) {
	h.id = parseID(id)
	if len(root) == len(h.root) {
		h.root = [32]byte(root)
	}
}

// end is the number behind the log's last leaf in the column leaf.
func (h *head) end() int64 { return h.base + h.size }

// readHead reads the newest log of a tenant with its newest checkpoint; nil when
// nothing was ever sealed.
func readHead(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) (*head, error) {
	all, err := readHeads(ctx, db, tenant, " ORDER BY l.shard DESC LIMIT 1")
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// readLogs reads all logs of a tenant, the oldest first.
func readLogs(ctx context.Context, db *tenancy.DB, tenant uuid.UUID) ([]*head, error) {
	return readHeads(ctx, db, tenant, " ORDER BY l.shard")
}

// readHeads reads logs with their newest checkpoints, in one statement, so that
// they fit each other.
func readHeads(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, order string) ([]*head, error) {
	var all []*head
	d := db.Engine(engine.Library).Dialect()
	checkpoints := engine.Table(d, "checkpoints")
	err := read(ctx, db, tenant, engine.Stmt{
		SQL: "SELECT " + logColumns + ", COALESCE(c.size, -1), COALESCE(c.note, '') FROM " + engine.Table(d, "logs") +
			" l LEFT JOIN " + checkpoints + " c ON c.log_id = l.id AND c.size = (SELECT max(size) FROM " + checkpoints +
			" WHERE log_id = l.id) WHERE l.tenant_id = $1" + order,
		Args: []any{tenant},
	}, func(r engine.Row) error {
		var h head
		var id string
		var root []byte
		if err := r.Scan(append(h.dest(&id, &root), &h.newest.size, &h.newest.note)...); err != nil {
			return err
		}
		h.set(id, root)
		all = append(all, &h)
		return nil
	})
	return all, err
}
