package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

func incidentStatusVerb() verb {
	return verb{
		name:  "incident status",
		brief: "show the cases with their clocks, their notices and what is left to do",
		login: needsKeys,
		more: `It sends nothing. The exit code is 1 while a notice was not written or not
delivered, a tenant could not be counted or has no contact, nobody was found, an
acknowledgement is overdue, or a case cannot be read.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			s := &caseStatus{}
			s.flags(fs)
			fs.StringVar(&s.id, "case", "", "show one case only, by its `ID`")
			return s.run
		},
	}
}

// caseStatus is one call of the verb.
type caseStatus struct {
	breach

	id string
}

func (s *caseStatus) run(ctx context.Context, out *output) (err error) {
	if err := s.resolve(); err != nil {
		return err
	}
	var only uuid.UUID
	if s.id != "" {
		if only, err = parseCase(s.id); err != nil {
			return err
		}
	}
	desk, db, err := s.desk(ctx, nobody, nil, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	all, err := desk.Status(ctx)
	damaged, some := errors.AsType[*incident.CaseError](err)
	if err != nil && !some {
		return err
	}
	cases, ok := []caseValue{}, true
	for i := range all {
		if only != uuid.Nil && all[i].Case.ID != only {
			continue
		}
		c := s.caseValue(&all[i])
		c.unreadable(damaged)
		c.print(out, &s.breach)
		c.printNotices(out, &s.breach)
		c.printWrong(out)
		cases, ok = append(cases, c), ok && c.OK
	}
	switch {
	case only != uuid.Nil && len(cases) == 0:
		return incident.ErrNoCase
	case len(cases) == 0:
		out.textf("no case")
	}
	err = out.value(struct {
		OK    bool        `json:"ok"`
		Cases []caseValue `json:"cases"`
	}{ok, cases})
	if err == nil && !ok {
		err = errFindings
	}
	return err
}

// statusOf is the status of one case.
func statusOf(ctx context.Context, desk *incident.Desk, id uuid.UUID) (incident.CaseStatus, error) {
	all, err := desk.Status(ctx)
	if _, some := errors.AsType[*incident.CaseError](err); err != nil && !some {
		return incident.CaseStatus{}, err
	}
	for _, s := range all {
		if s.Case.ID == id {
			return s, nil
		}
	}
	return incident.CaseStatus{}, incident.ErrNoCase
}

// caseValue is a case as it is printed.
type caseValue struct {
	OK          bool          `json:"ok"`
	Case        uuid.UUID     `json:"case"`
	Title       string        `json:"title"`
	Kind        []string      `json:"kind"`
	Opened      time.Time     `json:"opened"`
	By          string        `json:"by"`
	Aware       time.Time     `json:"aware"`
	FirstNotice time.Time     `json:"first_notice"` // target of the contract
	Escalation  time.Time     `json:"escalation"`
	Norm        string        `json:"norm"`
	Operational time.Time     `json:"operational"` // end of the controllers' period, for alarms
	Statutory   time.Time     `json:"statutory"`   // the same by Regulation 1182/71
	Notified    *time.Time    `json:"notified"`    // when notices were first asked for
	Closed      *time.Time    `json:"closed"`      // when somebody closed it
	Affected    []touched     `json:"affected,omitzero"`
	Notices     []noticeValue `json:"notices"`
	Tasks       []taskValue   `json:"tasks"`
	Wrong       []string      `json:"wrong"`
}

// noticeValue is a notice as it is printed.
type noticeValue struct {
	Notice       uuid.UUID      `json:"notice"`
	Tenant       tenancy.ID     `json:"tenant"`
	Number       int            `json:"number"`
	Made         *time.Time     `json:"made"`
	Acknowledged *time.Time     `json:"acknowledged"`
	Closed       *time.Time     `json:"closed"`
	Channels     []channelValue `json:"channels"`
}

// channelValue is the way of a notice over one channel.
type channelValue struct {
	Channel   string     `json:"channel"`
	Delivered *time.Time `json:"delivered"`
	Dead      *time.Time `json:"dead"`
	Attempts  int        `json:"attempts"`
	Code      string     `json:"code,omitzero"`
}

// taskValue is what a person has to do.
type taskValue struct {
	Kind    incident.TaskKind `json:"kind"`
	Tenant  string            `json:"tenant,omitzero"`
	Channel string            `json:"channel,omitzero"`
	Dead    bool              `json:"dead"`
	Due     time.Time         `json:"due"`
	Overdue bool              `json:"overdue"`
}

// orNil is a time that is set.
func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (b *breach) caseValue(s *incident.CaseStatus) caseValue {
	r := s.Case.Report
	c := caseValue{
		OK: true, Case: s.Case.ID, Title: r.Title, Kind: r.Kind.Words(), Opened: s.Case.Opened, By: s.Case.By, Aware: r.Aware,
		FirstNotice: s.FirstNotice, Escalation: s.Escalation, Norm: s.Rule.Norm, Operational: s.Clock.Operational, Statutory: s.Clock.Statutory,
		Notified: orNil(s.Notified), Closed: orNil(s.Closed), Notices: []noticeValue{}, Tasks: []taskValue{}, Wrong: []string{},
	}
	for _, n := range s.Notices {
		v := noticeValue{n.ID, n.Tenant, n.Number, orNil(n.Made), orNil(n.Acknowledged), orNil(n.Closed), []channelValue{}}
		for _, ch := range n.Channels {
			v.Channels = append(v.Channels, channelValue{ch.Name, orNil(ch.Delivered), orNil(ch.Dead), ch.Attempts, ch.Code})
		}
		c.Notices = append(c.Notices, v)
	}
	for _, t := range s.Tasks {
		v := taskValue{Kind: t.Kind, Channel: t.Channel, Dead: t.Dead, Due: t.Due, Overdue: t.Overdue}
		if !t.Tenant.IsZero() || t.Kind == incident.TaskCount {
			v.Tenant = nameOf(t.Tenant)
		}
		c.Tasks = append(c.Tasks, v)
		c.OK = c.OK && t.Kind == incident.TaskAcknowledge && !t.Overdue
	}
	return c
}

// unreadable notes that the texts of the case are lost.
func (c *caseValue) unreadable(e *incident.CaseError) {
	if e != nil && slices.Contains(e.Cases, c.Case) {
		c.OK, c.Wrong = false, append(c.Wrong, "the texts of case "+c.Case.String()+" cannot be read: restore a backup, or open it again")
	}
}

func (c *caseValue) printWrong(out *output) {
	for _, text := range c.Wrong {
		out.textf("BAD   %s", text)
	}
}

// print shows the case and its clocks.
func (c *caseValue) print(out *output, b *breach) {
	out.textf("case %s: %s", c.Case, c.Title)
	if c.Closed != nil {
		out.textf("  closed                %s", b.clock(*c.Closed))
	}
	out.textf("  aware                 %s", b.clock(c.Aware))
	out.textf("  first notice, target  %s", b.clock(c.FirstNotice))
	out.textf("  escalation            %s", b.clock(c.Escalation))
	out.textf("  controllers' period   %s for alarms, %s by Regulation 1182/71 (%s)", b.clock(c.Operational), b.clock(c.Statutory), c.Norm)
}

// printNotices shows the notices and what is left to do.
func (c *caseValue) printNotices(out *output, b *breach) {
	for _, n := range c.Notices {
		for _, ch := range n.Channels {
			out.textf("  notice %s to %s by %s: %s", n.Notice, n.Tenant, ch.Channel, ch.state(b))
		}
		if n.Acknowledged != nil {
			out.textf("  notice %s to %s: acknowledged %s", n.Notice, n.Tenant, b.clock(*n.Acknowledged))
		}
		if n.Closed != nil {
			out.textf("  notice %s to %s: closed %s", n.Notice, nameOf(n.Tenant), b.clock(*n.Closed))
		}
	}
	for _, t := range c.Tasks {
		mark := "–  "
		if t.Kind != incident.TaskAcknowledge || t.Overdue {
			mark = "BAD"
		}
		out.textf("%s   %s", mark, t.text(b))
	}
}

func (c channelValue) state(b *breach) string {
	switch {
	case c.Delivered != nil:
		return "delivered " + b.clock(*c.Delivered)
	case c.Dead != nil:
		return fmt.Sprintf("given up after %d attempts%s", c.Attempts, after(", last: ", c.Code))
	}
	return fmt.Sprintf("waits, after %d attempts%s", c.Attempts, after(", last: ", c.Code))
}

// text says what to do.
func (t taskValue) text(b *breach) string {
	due := ", due " + b.clock(t.Due)
	if t.Overdue {
		due += ": overdue"
	}
	switch t.Kind {
	case incident.TaskNotify:
		return "nobody was told yet: art32 incident notify" + due
	case incident.TaskScope:
		return "nobody found: open a case with a wider scope, and close this one with a reason: art32 incident close" + due
	case incident.TaskCount:
		if t.Tenant == platformName {
			return platformDamaged + ": mend that and notify again, or tell all who are missing, and close it: art32 incident close --tenant " + platformName + due
		}
		return "tenant " + t.Tenant + " could not be counted or served, or its log is damaged: mend that and notify again, or tell it, as by art32 incident open --tenant, and close it: art32 incident close" + due
	case incident.TaskContact:
		return "tenant " + t.Tenant + " has no contact: art32 incident contact, then notify" + due
	case incident.TaskDeliver:
		if t.Dead {
			return "the notice to " + t.Tenant + " by " + t.Channel + " was given up: mend the channel and notify again, or tell it another way" + due
		}
		return "the notice to " + t.Tenant + " by " + t.Channel + " is not delivered" + due
	case incident.TaskAcknowledge:
		return "tenant " + t.Tenant + " has not acknowledged" + due
	}
	return string(t.Kind) + due
}

const platformDamaged = "the platform's log is damaged, so that tenants may be missing from the list"

// failures names the tenants that could not be served.
func failures(e *incident.TenantError) []string {
	all := []string{}
	if e != nil {
		for _, id := range e.Tenants {
			if id.IsZero() {
				all = append(all, platformDamaged)
				continue
			}
			all = append(all, "tenant "+id.String()+" could not be counted or served, or its log is damaged")
		}
		all = append(all, e.Err.Error())
	}
	return all
}
