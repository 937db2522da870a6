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
// before [Desk.Notify].
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
	if r.Scope.Until.IsZero() {
		c.Report.Scope.Until = c.Opened.Add(time.Microsecond) // the end is exclusive
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

// storedCase is a case with what changes about it.
type storedCase struct {
	Case

	notified time.Time
}

// cases reads one case, or with the nil id all, in the order of opening.
func (d *Desk) cases(ctx context.Context, id uuid.UUID) ([]storedCase, error) {
	where, args := "", []any(nil)
	if id != uuid.Nil {
		where, args = " WHERE id = $1", []any{id}
	}
	var all []storedCase
	var bodies [][]byte
	err := d.read(ctx, engine.Stmt{
		SQL:  "SELECT id, COALESCE(notified_at, 0), body FROM " + d.table("incident_cases") + where + " ORDER BY opened_at, id",
		Args: args,
	}, func(r engine.Row) error {
		var c storedCase
		var notified int64
		var body []byte
		err := r.Scan(&c.ID, &notified, &body)
		c.notified = at(notified)
		all, bodies = append(all, c), append(bodies, body)
		return err
	})
	for i := range all {
		if err == nil {
			err = d.open(ctx, tenancy.ID{}, "incident_cases", all[i].ID, bodies[i], &all[i].Case)
		}
	}
	return all, err
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
