package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

func incidentContactVerb() verb {
	return verb{
		name:  "incident contact",
		brief: "say who is told at a tenant when something happens",
		login: needsKeys,
		more: `The contact is stored encrypted and counts as verified now: call it after somebody
has answered there, at least every 90 days. It is shown nowhere;
@FILE keeps it out of the list of processes too.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			c := &contactSetting{}
			c.flags(fs)
			fs.StringVar(&c.tenant, "tenant", "", "the `ID` of the tenant; required")
			fs.StringVar(&c.name, "name", "", "whom to address, a `NAME` or @FILE; required")
			fs.StringVar(&c.mail, "mail", "", "the mail `ADDRESS`, or @FILE; required")
			return c.run
		},
	}
}

// contactSetting is one call of the verb.
type contactSetting struct {
	breach

	tenant, name, mail string
}

func (c *contactSetting) run(ctx context.Context, out *output) (err error) {
	if err := c.resolve(); err != nil {
		return err
	}
	id, err := tenancy.ParseID(c.tenant)
	if err != nil || c.name == "" || c.mail == "" {
		return usagef("--tenant ID, --name NAME and --mail ADDRESS are required")
	}
	if c.name, err = textOf("name", c.name); err != nil {
		return err
	}
	if c.mail, err = textOf("mail", c.mail); err != nil {
		return err
	}
	desk, db, err := c.desk(ctx, nobody, nil, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	as := tenancy.WithTenant(acting(ctx, "contact for notices"), id)
	if err := desk.SetContact(as, incident.Contact{Name: c.name, Mail: c.mail}); err != nil {
		return err
	}
	out.textf("contact of %s set, and verified now", id)
	return out.value(map[string]any{"ok": true, "tenant": id})
}
