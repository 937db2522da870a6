package incident

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident/deadline"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// CaseStatus is a case with its clocks, its notices and what is left to do.
type CaseStatus struct {
	Case        Case           // as it was opened
	Rule        deadline.Rule  // the controllers' period
	Clock       deadline.Clock // and its end, counted from our awareness
	FirstNotice time.Time      // our target for the first notice
	Escalation  time.Time      // from here on somebody asks who has not answered
	Notified    time.Time      // when [Desk.Notify] was first called; zero: not yet
	Closed      time.Time      // when somebody closed it; zero: open
	Notices     []NoticeStatus // one per tenant that is affected or may be, by the tenants' ids
	Tasks       []Task         // for people, open ones only
}

// NoticeStatus is how far a notice has come.
type NoticeStatus struct {
	ID           uuid.UUID       // of the notice
	Tenant       tenancy.ID      // whom it is for
	Number       int             // within case and tenant
	Found        time.Time       // when the tenant was found to be affected, or could not be counted
	Made         time.Time       // when the notice was written; zero: Wants is missing
	Wants        TaskKind        // [TaskCount] or [TaskContact], until the notice is written
	Acknowledged time.Time       // zero: not yet
	Closed       time.Time       // when somebody ended its tasks; zero: open
	Channels     []ChannelStatus // by name
}

// ChannelStatus is the way of a notice over one channel.
type ChannelStatus struct {
	Name      string    // of the channel
	Queued    time.Time // when its present round began
	Delivered time.Time // taken over by the channel, which is not acknowledged; zero: not yet
	Dead      time.Time // given up, or held by a restore: [Desk.Notify] puts it back; zero: not
	Attempts  int       // so far; 0 also when the queue has forgotten a delivered message
	Code      string    // of the last failure, in words of the code; "" for none
}

// Status shows all cases in the order of opening, judged by the time now. A case
// whose texts cannot be read is shown without them, and named in a [*CaseError]
// beside the result.
func (d *Desk) Status(ctx context.Context) ([]CaseStatus, error) {
	all, damaged := d.cases(ctx, uuid.Nil)
	if _, some := errors.AsType[*CaseError](damaged); damaged != nil && !some {
		return nil, damaged
	}
	notices, err := d.noticeStatus(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]CaseStatus, len(all))
	for i, c := range all {
		s := CaseStatus{Case: c.Case, Notified: c.notified, Closed: c.closed, Notices: notices[c.ID]}
		s.Rule, s.Clock = d.clock(&c.Case)
		s.FirstNotice = c.Report.Aware.Add(d.opts.Targets.FirstNotice)
		s.Escalation = c.Report.Aware.Add(d.opts.Targets.Escalation)
		s.Tasks = s.tasks(time.Now())
		out[i] = s
	}
	return out, damaged
}

// noticeStatus reads how far all notices have come, by case.
func (d *Desk) noticeStatus(ctx context.Context) (map[uuid.UUID][]NoticeStatus, error) {
	out := make(map[uuid.UUID][]NoticeStatus)
	err := d.read(ctx, engine.Stmt{
		SQL: "SELECT n.case_id, n.id, n.tenant_id, n.number, n.found_at, n.wants, COALESCE(n.made_at, 0), COALESCE(n.acknowledged_at, 0), COALESCE(n.closed_at, 0)," +
			" COALESCE(d.channel, ''), COALESCE(d.queued_at, 0), COALESCE(d.delivered_at, 0), COALESCE(d.dead_at, 0), o.dead_at, " + d.stranded() + "," +
			" COALESCE(o.attempts, 0), COALESCE(o.last_error, '') FROM " + d.table("incident_notices") + " n LEFT JOIN " + d.table("incident_deliveries") +
			" d ON d.notice_id = n.id LEFT JOIN " + d.table("outbox") + " o ON o.tenant_id = $1 AND o.id = d.message_id" +
			" WHERE n.made_at IS NOT NULL OR n.wants <> '' ORDER BY n.case_id, n.tenant_id, n.number, d.channel",
		Args: []any{uuid.Nil},
	}, func(r engine.Row) error {
		var id, tenant uuid.UUID
		var n NoticeStatus
		var c ChannelStatus
		var found, made, acknowledged, closed, queued, delivered, dead int64
		var ended queueTime
		var stranded bool
		if err := r.Scan(&id, &n.ID, &tenant, &n.Number, &found, &n.Wants, &made, &acknowledged, &closed,
			&c.Name, &queued, &delivered, &dead, &ended, &stranded, &c.Attempts, &c.Code); err != nil {
			return err
		}
		n.Tenant, n.Found, n.Made, n.Acknowledged = tenancy.ID(tenant), at(found), at(made), at(acknowledged)
		n.Closed = at(closed)
		if made != 0 {
			n.Wants = ""
		}
		c.Queued, c.Delivered = at(queued), at(delivered)
		if stranded {
			c.Dead = firstOf(at(dead), time.Time(ended), c.Queued)
		}
		out[id] = joined(out[id], n, c)
		return nil
	})
	return out, err
}

// queueTime is a time as the queue's table holds it in either database. One that
// cannot be read, as after work by hand, is none: the row is shown all the same.
type queueTime time.Time

// Scan implements sql.Scanner.
func (q *queueTime) Scan(v any) error {
	switch v := v.(type) {
	case time.Time:
		*q = queueTime(v.UTC())
	case string:
		t, _ := time.Parse(time.RFC3339Nano, v)
		*q = queueTime(t.UTC())
	}
	return nil
}

// firstOf is the first time that is set.
func firstOf(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// joined adds a row to what was read: a further channel of the last notice, or
// the next notice.
func joined(all []NoticeStatus, n NoticeStatus, c ChannelStatus) []NoticeStatus {
	if len(all) == 0 || all[len(all)-1].ID != n.ID {
		all = append(all, n)
	}
	if c.Name != "" {
		last := &all[len(all)-1]
		last.Channels = append(last.Channels, c)
	}
	return all
}
