package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

func incidentOpenVerb() verb {
	return verb{
		name:  "incident open",
		brief: "open a case for a personal data breach, start its clocks and count whom it touches",
		login: needsKeys,
		more: `Nobody is told yet: that does incident notify. The clocks run from --aware, when
it was reasonably certain that personal data were compromised. The affected tenants
are those in whose log the scope matches a change, and those that --tenant names,
since the log keeps no reads. The texts go to every affected controller: they must
name none of them and no person. What is not known yet may be left out. Numbers are
bounds as far as the log shows: what callers' SQL wrote or deleted is in neither. A
log with missing entries clears nobody; that entries were edited shows audit verify
alone: run it first. The exit code is 1 if a tenant could not be counted, its log is
damaged, or the case touches nobody; the case is open all the same.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			o := &caseOpening{}
			o.flags(fs)
			o.reasonFlag(fs)
			fs.StringVar(&o.aware, "aware", "", "the `TIME` of awareness: RFC 3339, or \"2026-11-23 09:15\" in --zone; required")
			fs.StringVar(&o.kind, "kind", "", "what was breached: a `LIST` of confidentiality, integrity, availability, joined with commas; required")
			fs.StringVar(&o.title, "title", "", "one line of `TEXT`; required")
			fs.StringVar(&o.nature, "nature", "", "the nature of the breach, a `TEXT` or @FILE; default: to follow")
			fs.StringVar(&o.consequences, "consequences", "", "the likely consequences, a `TEXT` or @FILE; default: to follow")
			fs.StringVar(&o.measures, "measures", "", "the measures taken or proposed, a `TEXT` or @FILE; default: to follow")
			fs.StringVar(&o.from, "from", "", "scope: changes from this `TIME` on; default: from the beginning")
			fs.StringVar(&o.until, "until", "", "scope: changes before this `TIME`; default: now, and what is there and dated up to five minutes later")
			fs.Var(&o.actors, "actor", "scope: changes by this `ACTOR`, such as person:UUID or service:NAME, alone or for another; may be repeated")
			fs.Var(&o.sessions, "session", "scope: changes in this session, by its `ID`; may be repeated")
			fs.Var(&o.tables, "table", "scope: changes in this `TABLE`; may be repeated")
			fs.Var(&o.tenants, "tenant", "a tenant that is affected whatever its log shows, by its `ID`; may be repeated;\nwithout a scope: these alone, and what was deleted there from the beginning")
			return o.run
		},
	}
}

// caseOpening is one call of the verb.
type caseOpening struct {
	breach

	aware, kind, title             string
	nature, consequences, measures string
	from, until                    string
	actors, sessions, tables       values
	tenants                        values
}

func (o *caseOpening) run(ctx context.Context, out *output) (err error) {
	if err := o.resolve(); err != nil {
		return err
	}
	r, err := o.report()
	if err != nil {
		return err
	}
	if o.reason == "" {
		return usagef("--reason TEXT is required")
	}
	desk, db, err := o.desk(ctx, nobody, nil, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	c, err := desk.Open(acting(ctx, o.reason), r)
	if err != nil {
		return err
	}
	return o.tell(ctx, out, desk, c.ID)
}

// report puts together what the flags say.
func (o *caseOpening) report() (r incident.Report, err error) {
	if o.aware == "" || o.kind == "" || o.title == "" {
		return r, usagef("--aware, --kind and --title are required")
	}
	r.Title = o.title
	if r.Kind, err = kinds(o.kind); err != nil {
		return r, err
	}
	for _, t := range []struct {
		name, value string
		to          *string
	}{{"nature", o.nature, &r.Nature}, {"consequences", o.consequences, &r.Consequences}, {"measures", o.measures, &r.Measures}} {
		if *t.to, err = textOf(t.name, t.value); err != nil {
			return r, err
		}
	}
	if r.Aware, err = o.moment("aware", o.aware); err != nil {
		return r, err
	}
	for _, text := range o.tenants {
		id, err := tenancy.ParseID(text)
		if err != nil {
			return r, usagef("--tenant is no UUID of 36 characters")
		}
		r.Tenants = append(r.Tenants, id)
	}
	r.Scope, err = o.scope()
	return r, err
}

// scope refuses to mean everybody by leaving all out.
func (o *caseOpening) scope() (q tenancy.TraceQuery, err error) {
	if o.from == "" && o.until == "" && len(o.actors)+len(o.sessions)+len(o.tables) == 0 {
		if len(o.tenants) == 0 {
			return q, usagef("say what is affected: a scope (--from, --until, --actor, --session, --table) or tenants (--tenant)")
		}
		return q, nil
	}
	q = tenancy.TraceQuery{Actors: o.actors, Sessions: o.sessions, Tables: o.tables}
	if q.From, err = o.moment("from", o.from); err != nil {
		return q, err
	}
	q.Until, err = o.moment("until", o.until)
	return q, err
}

// touched is an affected tenant.
type touched struct {
	Tenant   tenancy.ID `json:"tenant"`
	Name     string     `json:"name"`
	Events   int        `json:"events"`
	Records  bounds     `json:"records"`
	Subjects bounds     `json:"subjects"`
	Unnamed  int        `json:"unnamed"`
	Pending  int        `json:"pending"`
	Damaged  bool       `json:"log_damaged"`
	Digest   string     `json:"digest"`
}

// bounds is a range as it is printed.
type bounds struct {
	AtLeast int `json:"at_least"`
	AtMost  int `json:"at_most"`
}

// tell prints the case, its clocks and whom it touches. The case is open whatever
// goes wrong here.
func (o *caseOpening) tell(ctx context.Context, out *output, desk *incident.Desk, id uuid.UUID) error {
	s, err := statusOf(ctx, desk, id)
	if err != nil {
		return fmt.Errorf("case %s is open; its status: %w", id, err)
	}
	c := o.caseValue(&s)
	c.print(out, &o.breach)
	all, err := desk.Affected(ctx, id)
	if failed, some := errors.AsType[*incident.TenantError](err); some {
		c.Wrong = failures(failed)
	} else if err != nil {
		c.Wrong = []string{"nobody could be counted: " + err.Error()}
	}
	c.Affected = []touched{}
	for _, a := range all {
		more := ""
		if a.Damaged {
			more = ", which is damaged: it may be more"
		}
		out.textf("affected %s %s: %s of %s; %d changes in its log%s", a.Tenant, a.Name,
			span(a.Records, "records"), span(a.Subjects, "data subjects"), a.Events, more)
		c.Affected = append(c.Affected, touched{a.Tenant, a.Name, a.Events, bounds(a.Records), bounds(a.Subjects), a.Unnamed, a.Pending, a.Damaged, a.Digest})
	}
	if err == nil && len(all) == 0 {
		c.Wrong = append(c.Wrong, "affected: no tenant that the log shows: open a case with a wider scope or --tenant, and close this one")
	}
	c.printWrong(out)
	c.OK = len(c.Wrong) == 0
	if err := out.value(c); err != nil || c.OK {
		return err
	}
	return errFindings
}
