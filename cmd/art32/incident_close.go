package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/tenancy"
)

func incidentCloseVerb() verb {
	return verb{
		name:  "incident close",
		brief: "end what is left to do in a case, with a reason",
		login: needsKeys,
		more: `For a case that touches nobody, and for a tenant that was told another way, as when
its data is lost and cannot be counted any more. The reason goes into the platform's
log. Nothing that is queued is taken back; incident notify opens the case again.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			c := &caseClosing{}
			c.flags(fs)
			c.reasonFlag(fs)
			fs.StringVar(&c.id, "case", "", "the `ID` of the case; required")
			fs.StringVar(&c.tenant, "tenant", "", "end the tasks of this tenant alone, by its `ID`, or with the word platform those of its log")
			return c.run
		},
	}
}

// caseClosing is one call of the verb.
type caseClosing struct {
	breach

	id, tenant string
}

func (c *caseClosing) run(ctx context.Context, out *output) (err error) {
	if err := c.resolve(); err != nil {
		return err
	}
	id, err := parseCase(c.id)
	if err != nil {
		return err
	}
	var tenant tenancy.ID
	if c.tenant != "" && c.tenant != platformName {
		if tenant, err = tenancy.ParseID(c.tenant); err != nil || tenant.IsZero() {
			return usagef("--tenant is neither the word platform nor a UUID of 36 characters")
		}
	}
	if c.reason == "" {
		return usagef("--reason TEXT is required")
	}
	desk, db, err := c.desk(ctx, nobody, nil, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	if c.tenant == "" {
		err = desk.Close(acting(ctx, c.reason), id)
	} else {
		err = desk.CloseTenant(acting(ctx, c.reason), id, tenant)
	}
	if err != nil {
		return err
	}
	out.textf("case %s closed%s", id, after(" for tenant ", c.tenant))
	return out.value(map[string]any{"ok": true, "case": id})
}
