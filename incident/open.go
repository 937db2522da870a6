package incident

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident/deadline"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// Open opens a case. The context must give an actor and a reason. It returns
// [ErrReport], [ErrFuture], [ErrNoReason], or tenancy.ErrNoActor; nobody is told
// before [Desk.Notify]. A report that says nothing about whom it touches, a scope
// that can match nothing and a tenant that does not exist are [ErrReport]: a slip
// of the pen must not end the duty to notify.
func (d *Desk) Open(ctx context.Context, r Report) (Case, error) {
	actor, err := byPerson(ctx)
	if err != nil {
		return Case{}, err
	}
	if err := r.check(); err != nil {
		return Case{}, err
	}
	if _, ok := deadline.InForce(d.opts.Rules, r.Aware); !ok {
		return Case{}, fmt.Errorf("%w: report: no period was law at the time of awareness", ErrReport)
	}
	c := Case{ID: uuid.New(), Opened: now(), By: actor.String(), Reason: tenancy.ReasonFrom(ctx), Report: r}
	c.Report.Aware = r.Aware.UTC().Truncate(time.Microsecond)
	if err := d.checkScope(ctx, &r); err != nil {
		return Case{}, err
	}
	c.freeze()
	if err := d.db.CheckTrace(c.Report.Scope); err != nil {
		return Case{}, fmt.Errorf("%w: report: %w", ErrReport, err) // it begins after its end, now
	}
	if r.Scope.Until.IsZero() && !r.Scope.IsZero() {
		if err := d.reach(ctx, &c); err != nil {
			return Case{}, err
		}
	}
	body, err := d.seal(ctx, tenancy.ID{}, "incident_cases", c.ID, c)
	if err != nil {
		return Case{}, err
	}
	if err := d.recorder.Record(platform(ctx), "incident.open", slog.String("case", c.ID.String()),
		slog.Time("aware", c.Report.Aware), slog.String("kind", strings.Join(r.Kind.Words(), ","))); err != nil {
		return Case{}, wrap("record", err)
	}
	return c, d.inTx(ctx, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL:  "INSERT INTO " + d.table("incident_cases") + " (id, aware_at, opened_at, body) VALUES ($1, $2, $3, $4)",
			Args: []any{c.ID, c.Report.Aware.UnixMicro(), c.Opened.UnixMicro(), body},
		})
		return nil
	})
}

// freeze gives the scope its end, and both ends the microseconds of events.
func (c *Case) freeze() {
	q := &c.Report.Scope
	if q.IsZero() {
		return
	}
	if q.Until.IsZero() {
		q.Until = c.Opened.Add(time.Microsecond) // the end is exclusive
	}
	if up := q.Until.Truncate(time.Microsecond); up.Before(q.Until) {
		q.Until = up.Add(time.Microsecond)
	}
	q.From = q.From.Truncate(time.Microsecond)
}

// scope is where changes are looked for. Without one it is an empty span: those
// that the report names are affected, and nobody else.
func (c *Case) scope() tenancy.TraceQuery {
	if c.Report.Scope.IsZero() {
		end := c.Opened.Add(time.Microsecond)
		return tenancy.TraceQuery{From: end, Until: end}
	}
	return c.Report.Scope
}

// checkScope wants to know whom the case touches, in words that exist.
func (d *Desk) checkScope(ctx context.Context, r *Report) error {
	if r.Scope.IsZero() && len(r.Tenants) == 0 {
		return fmt.Errorf("%w: report: a scope or tenants are required", ErrReport)
	}
	if err := d.db.CheckTrace(r.Scope); err != nil {
		return fmt.Errorf("%w: report: %w", ErrReport, err)
	}
	known, err := d.db.Tenants(ctx)
	if err != nil {
		return wrap("list tenants", err)
	}
	for _, id := range r.Tenants {
		if !isListed(known, id) {
			return fmt.Errorf("%w: report: %w", ErrReport, tenancy.ErrUnknownTenant)
		}
	}
	return nil
}

// storedCase is a case with what changes about it.
type storedCase struct {
	Case

	notified, closed time.Time
}

// cases reads one case, or with the nil id all, in the order of opening. Beside
// them it returns a [*CaseError] for those whose texts cannot be read.
func (d *Desk) cases(ctx context.Context, id uuid.UUID) ([]storedCase, error) {
	where, args := "", []any(nil)
	if id != uuid.Nil {
		where, args = " WHERE id = $1", []any{id}
	}
	var all []storedCase
	var bodies [][]byte
	err := d.read(ctx, engine.Stmt{
		SQL:  "SELECT id, aware_at, opened_at, COALESCE(notified_at, 0), COALESCE(closed_at, 0), body FROM " + d.table("incident_cases") + where + " ORDER BY opened_at, id",
		Args: args,
	}, func(r engine.Row) error {
		var c storedCase
		var aware, opened, notified, closed int64
		var body []byte
		err := r.Scan(&c.ID, &aware, &opened, &notified, &closed, &body)
		c.Report.Aware, c.Opened, c.notified, c.closed = at(aware), at(opened), at(notified), at(closed)
		all, bodies = append(all, c), append(bodies, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	var damaged CaseError
	for i := range all {
		var c Case
		if err := d.open(ctx, tenancy.ID{}, "incident_cases", all[i].ID, bodies[i], &c); err != nil {
			damaged.add(all[i].ID, err)
			continue
		}
		all[i].Case = c
	}
	return all, damaged.orNil()
}

// find reads one case.
func (d *Desk) find(ctx context.Context, id uuid.UUID) (Case, error) {
	all, err := d.cases(ctx, id)
	switch {
	case err != nil:
		return Case{}, err
	case id == uuid.Nil || len(all) == 0:
		return Case{}, ErrNoCase
	}
	return all[0].Case, nil
}

// clock is the controller's, computed from our awareness.
func (d *Desk) clock(c *Case) (deadline.Rule, deadline.Clock) {
	rule, ok := deadline.InForce(d.opts.Rules, c.Report.Aware)
	if !ok { // the options have other rules than when the case was opened
		rule = deadline.Authority()[0]
	}
	return rule, deadline.Of(c.Report.Aware, rule, d.opts.Location)
}
