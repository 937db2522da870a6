package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/tenancy"
)

func erasureTenantVerb() verb {
	return verb{
		name:  "erasure tenant",
		brief: "erase a tenant with all that it has, for ever",
		login: needsKeys + ";\nthe vault, where there are backups",
		more: `For the end of a contract (Art. 28(3)(g) GDPR): export first what the controller is to
get back. All keys of the tenant are destroyed, which nothing can undo; its backups are
given up; the tenant is closed; personal columns, blind indexes and the payloads of its
log are cleared; the platform's log tells of it. Rows stay, and what in them was encrypted
can no longer be read. A call that was interrupted is repeated until it succeeds; repeating
it is safe. Then erasure record issues the record.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			e := &erasureTenant{}
			e.flags(fs)
			fs.BoolVar(&e.noLedger, "no-ledger", false, "there is no vault: no backup can bring the tenant back")
			fs.StringVar(&e.reason, "reason", "", "why, as a `TEXT` for the platform's log, where it is encrypted; required")
			return e.run
		},
	}
}

// erasureTenant is one call of the verb.
type erasureTenant struct {
	erasing

	noLedger bool
}

func (e *erasureTenant) run(ctx context.Context, out *output) (err error) {
	id, err := e.resolve()
	if err != nil {
		return err
	}
	switch {
	case e.reason == "":
		return usagef("--reason TEXT is required")
	case e.noLedger == (len(e.vault) > 0):
		return usagef("--vault DIR with --recovery, or --no-ledger where there are no backups, is required")
	}
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := o.db.EraseTenant(tenancy.WithTenant(acting(ctx, e.reason), id)); err != nil {
		return err
	}
	out.textf("tenant %s erased", id)
	return out.value(map[string]any{"ok": true, "tenant": id})
}
