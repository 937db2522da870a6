package audit

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// Trace counts what the log of the context's tenant tells about q: the changes
// of rows that were done, for the scope of an incident. It reads the open half
// of the events alone, so that it needs no key and shows nothing of anybody.
// Refused changes do not count, nor do events that the sealer has rejected;
// those that wait for it do, and [tenancy.Trace].Pending says how many. Times
// are those of the writers' clocks. The checkpoint is read after the events, so
// that it covers every sealed one that was counted.
//
// Each entry that the checkpoint covers must be there, once, the sealer must have
// rejected none, and each part of a payload must have its event. Where that is not
// so, or the log contradicts itself in another way that shows without reading all
// of it, the figures come beside [tenancy.ErrDamagedLog]: they hold what is left.
// That entries are as they were sealed is for [Verify] to say: edited ones count
// as what they say now. Without a tenant it returns [tenancy.ErrNoTenant].
func (l *Log) Trace(ctx context.Context, db *tenancy.DB, q tenancy.TraceQuery) (tenancy.Trace, error) {
	if db == nil {
		return tenancy.Trace{}, errors.New("audit: trace: database must not be nil")
	}
	id, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return tenancy.Trace{}, err
	}
	out, err := countTrace(ctx, db, id.UUID(), q)
	if err != nil {
		return tenancy.Trace{}, err
	}
	err = groundOf(ctx, db, id.UUID(), &out)
	if err != nil && !errors.Is(err, tenancy.ErrDamagedLog) {
		return tenancy.Trace{}, err
	}
	return out, err
}

// countTrace has the database count, in one statement and so at one moment. The
// row without a table counts the data subjects of all: one person may have rows
// in several tables.
func countTrace(ctx context.Context, db *tenancy.DB, tenant uuid.UUID, q tenancy.TraceQuery) (tenancy.Trace, error) {
	var out tenancy.Trace
	err := readIn(ctx, db, engine.Scope{Tenant: tenant}, traceStmt(db.Engine(engine.Library).Dialect(), tenant, q), func(r engine.Row) error {
		var t tenancy.TableTrace
		var events, records, subjects, unnamed, pending int64
		if err := r.Scan(&t.Table, &events, &records, &subjects, &unnamed, &pending); err != nil {
			return err
		}
		if t.Table == "" {
			out.Subjects = int(subjects)
			return nil
		}
		t.Records, t.Subjects = int(records), int(subjects)
		out.Tables = append(out.Tables, t)
		out.Events += int(events)
		out.Records += t.Records
		out.Unnamed += int(unnamed)
		out.Pending += int(pending)
		return nil
	})
	slices.SortFunc(out.Tables, func(a, b tenancy.TableTrace) int { return strings.Compare(a.Table, b.Table) })
	return out, err
}

// tableOf and verbOf are what stands before and behind an action's last full stop.
const (
	tableOf = "rtrim(rtrim(e.action, replace(e.action, '.', '')), '.')"
	verbOf  = "substr(e.action, length(" + tableOf + ") + 2)"
)

// A part without person and without text is one that was erased.
const (
	traceRows = "SELECT " + tableOf + " AS tab, e.object, e.id AS event, p.subject, e.leaf IS NULL AS waits," +
		" p.event_id IS NOT NULL AND p.subject IS NULL AND p.ciphertext IS NULL AS erased"
	traceCounts = "count(DISTINCT event), count(DISTINCT object), count(DISTINCT subject)," +
		" count(DISTINCT CASE WHEN erased THEN event END), count(DISTINCT CASE WHEN waits THEN event END) FROM m"
)

func traceStmt(d migrate.Dialect, tenant uuid.UUID, q tenancy.TraceQuery) engine.Stmt {
	where, args := traceWhere(d, tenant, q)
	return engine.Stmt{
		SQL: "SELECT * FROM (WITH m AS (" + traceRows + " FROM " + engine.Table(d, "events") + " e LEFT JOIN " + engine.Table(d, "event_parts") +
			" p ON p.tenant_id = e.tenant_id AND p.event_id = e.id WHERE " + where + ") SELECT tab, " + traceCounts +
			" GROUP BY tab UNION ALL SELECT '', " + traceCounts + ") x",
		Args: args,
	}
}

// traceWhere selects the events on rows that were done and that the sealer has
// not rejected.
func traceWhere(d migrate.Dialect, tenant uuid.UUID, q tenancy.TraceQuery) (string, []any) {
	args := []any{tenant, micros(q.From, math.MinInt64), micros(roundedUp(q.Until), math.MaxInt64)}
	where := "e.tenant_id = $1 AND e.at >= $2 AND e.at < $3 AND e.outcome = 1 AND e.object IS NOT NULL" +
		" AND (e.leaf IS NULL OR e.leaf >= 0) AND " + tableOf + " <> ''"
	among := func(column string, words []string) {
		if len(words) == 0 {
			return
		}
		args = append(args, wordList(words))
		where += " AND " + column + " IN " + wordsIn(d, len(args))
	}
	if len(q.Actors) > 0 {
		args = append(args, wordList(q.Actors))
		where += " AND " + actedBy(d, wordsIn(d, len(args)))
	}
	among("e.session", q.Sessions)
	among(tableOf, q.Tables)
	among(verbOf, q.Verbs)
	return where, args
}

// micros is t as events hold it; without one it is what stands for no limit.
func micros(t time.Time, none int64) int64 {
	if t.IsZero() {
		return none
	}
	return t.UnixMicro()
}

// roundedUp is the next full microsecond, since events are no finer: an event
// before an exclusive end stays before it.
func roundedUp(t time.Time) time.Time {
	if into := t.Nanosecond() % int(time.Microsecond); into != 0 {
		return t.Add(time.Microsecond - time.Duration(into))
	}
	return t
}

// wordsIn is a subquery of the words in parameter n, which wordList has written.
func wordsIn(d migrate.Dialect, n int) string {
	p := "$" + strconv.Itoa(n)
	if d == migrate.SQLite {
		return "(SELECT value FROM json_each(" + p + "))"
	}
	return "(SELECT jsonb_array_elements_text(" + p + "::jsonb))"
}

// wordList leaves out what no column can hold, which PostgreSQL would refuse.
func wordList(words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.ContainsRune(w, 0) })
	if words == nil {
		words = []string{}
	}
	b, err := json.Marshal(words)
	if err != nil {
		return "[]" // unreachable: a string has a form in JSON
	}
	return string(b)
}
