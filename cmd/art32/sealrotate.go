package main

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/art32/art32/tenancy/postgres"
)

func sealRotateVerb() verb {
	return verb{
		name:  "seal rotate",
		brief: "give the key of the sealed context a successor (PostgreSQL)",
		login: "the owner's login (--dsn)",
		more: `The application goes on meanwhile: each instance looks for a new key after a minute,
and the older ones open for --grace, so that no statement is refused. After a key
has leaked, --grace 0s ends them at once; statements under way may be refused once.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &sealRotate{}
			fs.StringVar(&r.dsn, "dsn", "", "the postgres:// `URL` of the owner's login; default: $"+envOwner)
			fs.DurationVar(&r.grace, "grace", postgres.SealGrace, "how long older keys open, a `DURATION` up to 24h; default: 5m")
			return r.run
		},
	}
}

// sealRotate is one call of the verb.
type sealRotate struct {
	dsn   string
	grace time.Duration
}

func (r *sealRotate) run(ctx context.Context, out *output) error {
	if r.dsn == "" {
		r.dsn = os.Getenv(envOwner)
	}
	if r.dsn == "" {
		return usagef("--dsn URL (or $%s) is required", envOwner)
	}
	if err := checkDSN("--dsn", r.dsn); err != nil {
		return err
	}
	if r.grace < 0 || r.grace > 24*time.Hour {
		return usagef("--grace must be 0s to 24h")
	}
	if err := postgres.RotateSeal(ctx, r.dsn, r.grace); err != nil {
		return err
	}
	out.textf("ok    a new key seals; older ones open for %s", r.grace)
	return out.value(struct {
		OK    bool   `json:"ok"`
		Grace string `json:"grace"`
	}{true, r.grace.String()})
}
