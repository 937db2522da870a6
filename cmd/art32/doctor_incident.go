package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident/deadline"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/outbox"
)

const (
	contactAge = 90 * 24 * time.Hour // after which somebody asks whether it is still right
	messageAge = time.Hour           // that no message should wait
)

// incidents looks for cases that nobody tells and tenants that nobody could tell.
func (d *doctor) incidents(ctx context.Context, src source, used bool) {
	if !used {
		d.unused("TOM-9.2", "incidents", "there are no tables of package incident; art32 migrate makes them")
		return
	}
	cases, contacts, err := d.reported(ctx, src)
	switch {
	case err != nil:
		d.add("TOM-9.2", "incidents", bad(err.Error(), ""))
	case cases+contacts == 0:
		d.unused("TOM-9.2", "incidents", "no case and no contact; art32 incident contact names whom to tell at each tenant")
	default:
		d.late(ctx, src, cases)
		d.contacts(ctx, src)
	}
}

// reported counts cases and contacts.
func (d *doctor) reported(ctx context.Context, src source) (cases, contacts int64, err error) {
	table := func(name string) string { return engine.Table(src.dialect(), name) }
	err = each(ctx, src, uuid.Nil, func(r engine.Row) error { return r.Scan(&cases, &contacts) },
		"SELECT (SELECT count(*) FROM "+table("incident_cases")+"), (SELECT count(*) FROM "+table("incident_contacts")+")")
	return cases, contacts, err
}

// late finds cases past the target of the contract without a delivered notice.
func (d *doctor) late(ctx context.Context, src source, cases int64) {
	table := func(name string) string { return engine.Table(src.dialect(), name) }
	target := deadline.Default().FirstNotice
	var found []fault
	err := each(ctx, src, uuid.Nil, func(r engine.Row) error {
		var id string
		var told bool
		var rows, open int64
		err := r.Scan(&id, &told, &rows, &open)
		switch {
		case !told:
			found = append(found, bad(fmt.Sprintf("case %s: nobody was told within %.0f hours of awareness", id, target.Hours()), "art32 incident notify --case "+id))
		case rows == 0:
			found = append(found, bad(fmt.Sprintf("case %s: its scope found nobody", id), "open a case with a wider scope, and art32 incident close --case "+id))
		case open > 0:
			found = append(found, bad(fmt.Sprintf("case %s: %d tenants that are or may be affected have no delivered notice", id, open), "art32 incident status --case "+id+" says why"))
		}
		return err
	}, `SELECT CAST(c.id AS TEXT), c.notified_at IS NOT NULL,
		(SELECT count(*) FROM `+table("incident_notices")+` n WHERE n.case_id = c.id AND (n.body IS NOT NULL OR n.wants <> '')),
		(SELECT count(*) FROM `+table("incident_notices")+` n WHERE n.case_id = c.id AND n.acknowledged_at IS NULL AND n.closed_at IS NULL
			AND (n.body IS NOT NULL OR n.wants <> '') AND NOT EXISTS
			(SELECT 1 FROM `+table("incident_deliveries")+` d WHERE d.notice_id = n.id AND d.delivered_at IS NOT NULL))
		FROM `+table("incident_cases")+` c WHERE c.aware_at < $1 AND c.closed_at IS NULL ORDER BY c.aware_at, c.id`, time.Now().Add(-target).UnixMicro())
	if err != nil {
		found = append(found, bad(err.Error(), ""))
	}
	d.note("TOM-9.2", "incidents", fmt.Sprintf("%d cases", cases), found...)
}

// contacts finds tenants that nobody could tell, or not for sure.
func (d *doctor) contacts(ctx context.Context, src source) {
	table := func(name string) string { return engine.Table(src.dialect(), name) }
	var found []fault
	err := each(ctx, src, uuid.Nil, func(r engine.Row) error {
		var id string
		var known bool
		err := r.Scan(&id, &known)
		text := "tenant " + id + " has no contact for notices"
		if known {
			text = "tenant " + id + ": nobody has verified its contact for 90 days"
		}
		found = append(found, bad(text, "art32 incident contact --tenant "+id))
		return err
	}, `SELECT CAST(t.id AS TEXT), c.tenant_id IS NOT NULL FROM `+table("tenants")+` t LEFT JOIN `+table("incident_contacts")+` c ON c.tenant_id = t.id
		WHERE t.closed_at IS NULL AND (c.tenant_id IS NULL OR c.verified_at < $1) ORDER BY t.created_at, t.id`, time.Now().Add(-contactAge).UnixMicro())
	if err != nil {
		found = append(found, bad(err.Error(), ""))
	}
	d.add("TOM-9.2", "contacts", found...)
}

// outbox looks for messages that do not leave.
func (d *doctor) outbox(ctx context.Context, src source, incidents bool) {
	s, err := outbox.Worker{DB: src.platform(), Dialect: src.dialect()}.Status(ctx)
	if err != nil {
		d.add("TOM-9.2", "outbox", bad(src.explain(uuid.Nil, err).Error(), ""))
		return
	}
	var over int64
	if s.Dead > 0 && incidents {
		if over, err = d.over(ctx, src); err != nil {
			d.add("TOM-9.2", "outbox", bad(err.Error(), ""))
			return
		}
	}
	var found []fault
	if lost := int64(s.Dead) - over; lost > 0 {
		found = append(found, bad(fmt.Sprintf("%d messages were given up", lost), "art32 incident status shows them; mend the channel and notify again"))
	}
	if wait := time.Since(s.Oldest); !s.Oldest.IsZero() && wait > messageAge {
		found = append(found, bad(fmt.Sprintf("%d messages wait, the oldest for %s", s.Pending, wait.Round(time.Second)),
			"run incident.Desk.Run in the application, or look into its log"))
	}
	d.note("TOM-9.2", "outbox", fmt.Sprintf("%d messages wait", s.Pending), found...)
}

// over counts the messages that were given up and that nobody misses: another one
// was sent in their place, or the notice was acknowledged or closed.
func (d *doctor) over(ctx context.Context, src source) (n int64, err error) {
	table := func(name string) string { return engine.Table(src.dialect(), name) }
	err = each(ctx, src, uuid.Nil, func(r engine.Row) error { return r.Scan(&n) },
		`SELECT count(*) FROM `+table("outbox")+` o WHERE o.dead_at IS NOT NULL AND o.kind LIKE 'incident.notice/%' AND NOT EXISTS
			(SELECT 1 FROM `+table("incident_deliveries")+` d JOIN `+table("incident_notices")+` n ON n.id = d.notice_id JOIN `+table("incident_cases")+` c ON c.id = n.case_id
			WHERE d.message_id = o.id AND d.delivered_at IS NULL AND n.acknowledged_at IS NULL AND n.closed_at IS NULL AND c.closed_at IS NULL)`)
	return n, err
}
