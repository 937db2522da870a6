package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditRetainVerb() verb {
	return verb{
		name:  "audit retain",
		brief: "drop the audit logs of tenants that ended longer ago than they are to be kept",
		login: needsKeys,
		more: `It does what audit.Retention does in the application, once, with one time for all
tenants; where each has a policy of its own, run it there. A log goes as a whole;
its last checkpoint stays, and the log that grows says so. Nothing goes of a tenant
that a legal hold keeps, and nothing of the platform's log.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &auditRetain{}
			r.flags(fs)
			fs.DurationVar(&r.keep, "keep", 365*24*time.Hour, "how long a log stays after it ended, a `DURATION` of at least 24h; default: 8760h")
			fs.StringVar(&r.controller, "controller", "", "who decided on that, as a `NAME` for the log; default: the name of each tenant")
			return r.run
		},
	}
}

// auditRetain is one call of the verb.
type auditRetain struct {
	keyVerb

	keep       time.Duration
	controller string
}

// retained is what became of the logs of one tenant.
type retained struct {
	Tenant  tenancy.ID   `json:"tenant"`
	Held    bool         `json:"held"`
	Dropped []droppedLog `json:"dropped"`
	Next    time.Time    `json:"next,omitzero"` // when the next one falls due
}

type droppedLog struct {
	Origin  string    `json:"log"`
	Ended   time.Time `json:"ended"`
	Entries int64     `json:"entries"`
	Events  int64     `json:"rows"`
	Parts   int64     `json:"payloads"`
}

func (r *auditRetain) run(ctx context.Context, out *output) (err error) {
	if r.keep < 24*time.Hour {
		return usagef("--keep must be at least 24h")
	}
	if err := r.resolve(); err != nil {
		return err
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
	retention, err := audit.NewRetention(sealer, &audit.RetentionOptions{
		Logger: slog.New(slog.DiscardHandler),
		Policy: func(context.Context, tenancy.Tenant) (audit.RetentionPolicy, error) {
			return audit.RetentionPolicy{Controller: r.controller, Keep: r.keep}, nil
		},
	})
	if err != nil {
		return err
	}
	done, failed := retention.RunDue(ctx)
	all := []retained{}
	for _, d := range done {
		all = append(all, shown(d, out))
	}
	return errors.Join(failed, out.value(struct {
		OK      bool       `json:"ok"`
		Tenants []retained `json:"tenants"`
	}{failed == nil, all}))
}

func shown(d audit.TenantRetention, out *output) retained {
	v := retained{Tenant: d.Tenant, Held: d.Held, Dropped: []droppedLog{}, Next: d.Next}
	for _, l := range d.Dropped {
		v.Dropped = append(v.Dropped, droppedLog{l.Origin, l.Ended, l.Size, l.Events, l.Parts})
		out.textf("ok    %s: dropped %s, %d entries, ended %s", d.Tenant, l.Origin, l.Size, l.Ended.Format(time.DateOnly))
	}
	switch {
	case d.Held:
		out.textf("held  %s: a legal hold keeps all", d.Tenant)
	case len(d.Dropped) == 0 && d.Next.IsZero():
		out.textf("ok    %s: no log has ended", d.Tenant)
	case len(d.Dropped) == 0:
		out.textf("ok    %s: nothing is due before %s", d.Tenant, d.Next.Format(time.DateOnly))
	}
	return v
}

func auditHoldVerb() verb {
	return verb{
		name:  "audit hold",
		brief: "keep what the audit log of a tenant holds from being dropped, until a release",
		login: needsKeys,
		more: `It prints the id of the hold, which audit release ends. There may be several. Who set
it and why stands in the tenant's log. Data subjects can still be erased.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			h := &auditHold{}
			h.changeFlags(fs)
			return h.run
		},
	}
}

func auditReleaseVerb() verb {
	return verb{
		name:  "audit release",
		brief: "end a hold on the audit log of a tenant",
		login: needsKeys,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			h := &auditHold{release: true}
			h.changeFlags(fs)
			fs.StringVar(&h.id, "hold", "", "the `ID` of the hold, as audit hold has printed it; required")
			return h.run
		},
	}
}

// auditHold is one call of either verb.
type auditHold struct {
	keyVerb

	release bool
	id      string
}

func (h *auditHold) run(ctx context.Context, out *output) (err error) {
	if err := h.resolveChange(); err != nil {
		return err
	}
	if h.only.IsZero() {
		return usagef("--tenant must be one tenant")
	}
	var id uuid.UUID
	if h.release {
		if id, err = uuid.Parse(h.id); err != nil {
			return usagef("--hold ID is required: a UUID")
		}
	}
	o, err := h.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx = tenancy.WithTenant(acting(ctx, h.reason), h.only)
	if h.release {
		err = o.log.Release(ctx, o.db, id)
	} else {
		id, err = o.log.Hold(ctx, o.db)
	}
	if err != nil {
		return err
	}
	did := "held by"
	if h.release {
		did = "released from"
	}
	out.textf("ok    %s: %s %s", h.only, did, id)
	return out.value(struct {
		OK     bool       `json:"ok"`
		Tenant tenancy.ID `json:"tenant"`
		Hold   uuid.UUID  `json:"hold"`
	}{true, h.only, id})
}
