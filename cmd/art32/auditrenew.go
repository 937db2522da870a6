package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditRenewVerb() verb {
	return verb{
		name:  "audit renew",
		brief: "end audit logs and begin those that follow, under new keys: a rotation, or after a restore",
		login: needsKeys,
		more: `The old key vouches for the new one, so that a key or checkpoint that was held
outside stays good. After a restore from a backup this must come before the
application seals again, with --cause restore and for each log the newest checkpoint
that was held outside, if there is one, as --held: the file checkpoint of an audit
export, or one that audit publish has written. Otherwise the log would look forged to whoever holds
a newer checkpoint. With --tenant all the platform's log comes first, then that of
each tenant. A log in which nothing was sealed yet is left as it is.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &auditRenew{}
			r.changeFlags(fs)
			fs.StringVar(&r.cause, "cause", string(audit.CauseRotation), "why, in a `WORD`: rotation or restore")
			fs.StringVar(&r.held, "held", "", "after a restore: the newest checkpoint held outside, a `FILE`; with one --tenant only")
			return r.run
		},
	}
}

// auditRenew is one call of the verb.
type auditRenew struct {
	keyVerb

	cause string
	held  string
}

// renewed is what became of one log.
type renewed struct {
	Tenant string `json:"tenant"` // "platform" or the tenant's id
	None   bool   `json:"none"`   // nothing was sealed yet
	Wrong  string `json:"wrong,omitzero"`
}

func (r *auditRenew) run(ctx context.Context, out *output) (err error) {
	renewal := audit.Renewal{Cause: audit.Cause(r.cause)}
	if renewal.Cause != audit.CauseRotation && renewal.Cause != audit.CauseRestore {
		return usagef("--cause is rotation or restore")
	}
	platform := r.tenant == platformName
	if platform {
		r.tenant = allTenants
	}
	if err := r.resolveChange(); err != nil {
		return err
	}
	if r.held != "" {
		if renewal.Cause != audit.CauseRestore || r.only.IsZero() && !platform {
			return usagef("--held belongs to --cause restore and one --tenant")
		}
		if renewal.Held, err = os.ReadFile(r.held); err != nil {
			return fmt.Errorf("--held: %w", err)
		}
	}
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	sealer, err := audit.NewSealer(o.log, o.db, nil)
	if err != nil {
		return err
	}
	ids := []tenancy.ID{{}}
	if !platform {
		tenants, err := r.tenants(ctx, o)
		if err != nil {
			return err
		}
		if !r.only.IsZero() {
			ids = nil
		}
		ids = append(ids, tenants...)
	}
	return r.each(acting(ctx, r.reason), out, sealer, ids, renewal)
}

func (r *auditRenew) each(ctx context.Context, out *output, s *audit.Sealer, ids []tenancy.ID, renewal audit.Renewal) error {
	all, ok := []renewed{}, true
	for _, id := range ids {
		v := renewed{Tenant: logName(id)}
		switch err := s.Renew(ctx, id, renewal); {
		case errors.Is(err, audit.ErrNoLog):
			v.None = true
			out.textf("none  %s: nothing was sealed yet", v.Tenant)
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			v.Wrong, ok = err.Error(), false
			out.textf("BAD   %s: %s", v.Tenant, v.Wrong)
		default:
			out.textf("ok    %s: a new log has begun", v.Tenant)
		}
		if all = append(all, v); !ok && id.IsZero() {
			break // the others would be opened in a log that is not theirs
		}
	}
	err := out.value(struct {
		OK   bool      `json:"ok"`
		Logs []renewed `json:"logs"`
	}{ok, all})
	if err == nil && !ok {
		err = errFindings
	}
	return err
}

// logName names a log as the verbs print it.
func logName(id tenancy.ID) string {
	if id.IsZero() {
		return platformName
	}
	return id.String()
}
