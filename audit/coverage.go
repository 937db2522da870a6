package audit

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// TableCoverage is what the log tells of the writes to one declared table.
type TableCoverage struct {
	Table string // as declared
	// Net says that what callers' SQL writes to it is recorded: [tenancy.DB.Nets].
	Net bool
	// Events counts the events that were done, by what follows the table's name in
	// the action: insert, update, delete, a word of the application's, or sql for
	// those by which the library tells of callers' SQL.
	Events map[string]int
	Last   time.Time // of the newest of them, UTC; zero without
	// Outside counts rows by verb that callers' SQL wrote and of which no event of the
	// application's tells: the log holds neither which they are nor what changed.
	Outside map[string]int64
	// Unread counts events of callers' SQL whose payload is gone, damaged or forged, so
	// that Outside lacks their rows.
	Unread int
}

// Coverage tells for each declared table, in the order of the schema, what the log of
// the context's tenant holds of the time from since (inclusive) until until
// (exclusive); zero does not narrow. Events that the sealer has rejected do not count.
// Without a tenant it returns [tenancy.ErrNoTenant].
func (l *Log) Coverage(ctx context.Context, db *tenancy.DB, since, until time.Time) ([]TableCoverage, error) {
	if db == nil {
		return nil, errors.New("audit: coverage: database must not be nil")
	}
	id, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return nil, err
	}
	nets, err := db.Nets(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]TableCoverage, len(nets))
	at := make(map[string]*TableCoverage, len(nets))
	for i, n := range nets {
		all[i] = TableCoverage{Table: n.Table, Net: n.Present, Events: map[string]int{}, Outside: map[string]int64{}}
		at[n.Table] = &all[i]
	}
	if err := countActions(ctx, db, id.UUID(), since, until, at); err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Events[outsideVerb] == 0 {
			continue
		}
		if err := l.sumOutside(ctx, db, Filter{Action: all[i].Table + tenancy.UnrecordedSuffix, Since: since, Until: until}, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// outsideVerb is the verb of [tenancy.UnrecordedSuffix].
var outsideVerb = strings.TrimPrefix(tenancy.UnrecordedSuffix, ".")

// countActions has the database count. The name of a table may hold a full stop, and
// the word of an application too: the longest name that fits is the table's.
func countActions(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, since, until time.Time, at map[string]*TableCoverage) error {
	return readIn(ctx, db, engine.Scope{Tenant: tenant}, engine.Stmt{
		SQL: "SELECT e.action, count(*), max(e.at) FROM " + engine.Table(db.Engine(engine.Library).Dialect(), "events") + " e" +
			" WHERE e.tenant_id = $1 AND e.at >= $2 AND e.at < $3 AND e.outcome = 1 AND (e.leaf IS NULL OR e.leaf >= 0) GROUP BY e.action",
		Args: []any{tenant, micros(since, math.MinInt64), micros(roundedUp(until), math.MaxInt64)},
	}, func(r engine.Row) error {
		var action string
		var n, last int64
		if err := r.Scan(&action, &n, &last); err != nil {
			return err
		}
		for end := strings.LastIndexByte(action, '.'); end > 0; end = strings.LastIndexByte(action[:end], '.') {
			if t := at[action[:end]]; t != nil {
				t.Events[action[end+1:]] += int(n)
				if newest := time.UnixMicro(last).UTC(); newest.After(t.Last) {
					t.Last = newest
				}
				break
			}
		}
		return nil
	})
}

// sumOutside reads how many rows callers' SQL wrote from the payloads.
func (l *Log) sumOutside(ctx context.Context, db *tenancy.DB, f Filter, to *TableCoverage) error {
	for e, err := range l.Events(ctx, db, f) {
		if err != nil {
			return err
		}
		if e.Forged || e.Erased || e.Damaged || len(e.Attrs) == 0 {
			to.Unread++
			continue
		}
		for verb, rows := range e.Attrs {
			var n int64
			if json.Unmarshal(rows, &n) != nil { // an event of the application's that bears the name
				to.Unread++
				break
			}
			to.Outside[verb] += n
		}
	}
	return nil
}
