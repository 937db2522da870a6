package audit

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	// actionOpen is the entry in the platform's log that binds a tenant to its
	// log. Its object is the log.
	actionOpen  = "audit.open"
	openLabel   = "art32/audit/open/v1"
	sealerActor = "service:audit/sealer"
)

//nolint:gochecknoglobals // a constant of a struct type
var sealerService = tenancy.MustService("audit/sealer")

// errNotOpened says that the platform's log does not hold what it must.
var errNotOpened = errors.New("audit: the platform's log does not take in that the log is opened: verify the platform's log")

// openingOf is the id of the event that opens a tenant's log. It follows from
// both, so that it binds them to each other and is written once.
func openingOf(tenant, log uuid.UUID) uuid.UUID { return derived(openLabel, tenant[:], log[:]) }

// open makes sure that the platform's log holds the opening of a tenant's log,
// sealed, before that log has its first entry. It lies in another database on
// SQLite: wherever this stops, the next call goes on. It returns how many events
// of the platform were sealed on the way.
func (s *Sealer) open(ctx context.Context, tenant, log uuid.UUID) (sealed int, err error) {
	id := openingOf(tenant, log)
	found, err := readEvent(ctx, s.db, uuid.Nil, id)
	if err != nil {
		return 0, err
	}
	if found == nil {
		if err := s.writeOpening(ctx, id, log); err != nil && !overtaken(err) {
			return 0, err
		}
		s.step("opening")
	}
	if found == nil || found.at < 0 {
		if sealed, err = s.seal(ctx, uuid.Nil); err != nil {
			return sealed, err
		}
		if found, err = readEvent(ctx, s.db, uuid.Nil, id); err != nil {
			return sealed, err
		}
	}
	if found == nil || !found.opens(log) {
		return sealed, errNotOpened
	}
	s.step("opened")
	return sealed, nil
}

func (s *Sealer) writeOpening(ctx context.Context, id, log uuid.UUID) error {
	e := &event{leaf: Leaf{
		Event: id, At: time.Now().UTC().Truncate(time.Microsecond), Writer: s.log.writer,
		Actor: sealerActor, Action: actionOpen, Object: log, Outcome: tenancy.Done,
	}}
	return inTx(ctx, s.db, engine.Scope{Actor: sealerActor}, func(t engine.Tx) error { return s.log.queue(ctx, t, e) })
}

// opens reports whether the row is a sealed entry that opens the log.
func (r *row) opens(log uuid.UUID) bool {
	return r.at >= 0 && !r.odd && r.leaf.Action == actionOpen && r.leaf.Outcome == tenancy.Done && r.leaf.Object == log
}

// readEvent reads one event by its id; nil where there is none.
func readEvent(ctx context.Context, db *tenancy.DB, tenant, id uuid.UUID) (*row, error) {
	var found *row
	d := db.Engine(engine.Library).Dialect()
	err := read(ctx, db, tenant, engine.Stmt{
		SQL:  "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.id = $2 LIMIT 1",
		Args: []any{tenant, id},
	}, func(r engine.Row) (err error) {
		found, err = scanEvent(d, r)
		return err
	})
	return found, err
}
