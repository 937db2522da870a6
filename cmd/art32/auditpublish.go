package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/dirplace"
	"github.com/art32/art32/audit/s3place"
	"github.com/art32/art32/audit/witness"
	"github.com/art32/art32/tenancy"
)

func auditPublishVerb() verb {
	return verb{
		name:  "audit publish",
		brief: "bring the signed heads of the audit logs to places outside, and compare them with what lies there",
		login: "the library login (--dsn), the app login (--app-dsn) and the root key, or write access to the directory (--data)",
		more: `Places are a directory, a bucket as s3://BUCKET/PREFIX (the login from
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the service from --s3-endpoint), or a
witness (c2sp.org/tlog-witness) by its https:// URL with its key after a space. They
must belong to somebody who does not administer the database. Where a log did not grow
from what a place holds, nothing is published to it, and the exit code is 1: the log
was set back, as by the restore of an old backup, or written anew. An application does
the same all the time with audit.Publisher.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			p := &publishing{}
			p.flags(fs)
			fs.Var(&p.to, "to", "a `PLACE`; at least one; repeated")
			fs.StringVar(&p.endpoint, "s3-endpoint", "s3.amazonaws.com", "the `HOST` of the S3 service, which speaks TLS")
			fs.StringVar(&p.vkey, "vkey", "", "the public `KEY` of the platform's log as it is held elsewhere; default: not checked")
			fs.StringVar(&p.tenant, "tenant", "", "publish one log only: the `ID` of a tenant, or the word platform")
			return p.run
		},
	}
}

// publishing is one call of the verb.
type publishing struct {
	keyed

	to       values
	endpoint string
	tenant   string
	vkey     string
	places   []audit.Place
	closes   []func() error
}

func (p *publishing) run(ctx context.Context, out *output) (err error) {
	if err := p.resolve(); err != nil {
		return err
	}
	o := &audit.PublisherOptions{PlatformKey: p.vkey}
	if o.Tenants, err = oneTenant(p.tenant); err != nil {
		return err
	}
	defer func() {
		for _, end := range p.closes {
			err = errors.Join(err, end())
		}
	}()
	if len(p.to) == 0 {
		return usagef("--to PLACE is required")
	}
	for _, to := range p.to {
		place, err := p.place(to)
		if err != nil {
			return fmt.Errorf("--to: %w", err)
		}
		p.places = append(p.places, place)
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	publisher, err := audit.NewPublisher(db.db, p.places, o)
	if err != nil {
		return err
	}
	report, err := publisher.PublishDue(ctx)
	if perr := printPublication(out, report, err); perr != nil {
		return perr
	}
	if err == nil && len(report.Disagreements) > 0 {
		err = errFindings
	}
	return err
}

// oneTenant is the tenant of a flag; nil for all.
func oneTenant(name string) ([]tenancy.ID, error) {
	name, err := checkTenant(name)
	switch {
	case err != nil || name == "":
		return nil, err
	case name == platformName:
		return []tenancy.ID{{}}, nil
	}
	id, err := tenancy.ParseID(name)
	return []tenancy.ID{id}, err
}

func (p *publishing) place(to string) (audit.Place, error) {
	switch scheme, rest, ok := strings.Cut(to, "://"); {
	case !ok:
		d, err := dirplace.Open(to, to)
		if err == nil {
			p.closes = append(p.closes, d.Close)
		}
		return d, err
	case scheme == "s3":
		return p.bucket(to, rest)
	default:
		address, key, _ := strings.Cut(to, " ")
		return witness.New(address, strings.TrimSpace(key), nil)
	}
}

func (p *publishing) bucket(to, rest string) (audit.Place, error) {
	u, err := url.Parse("https://" + p.endpoint)
	if err != nil || u.Host != p.endpoint {
		return nil, usagef("--s3-endpoint is no host")
	}
	client, err := minio.New(p.endpoint, &minio.Options{Creds: credentials.NewEnvAWS(), Secure: true})
	if err != nil {
		return nil, err
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return s3place.New(to, client, bucket, &s3place.Options{Prefix: prefix})
}

func printPublication(out *output, r *audit.Publication, err error) error {
	ok := err == nil && len(r.Disagreements) == 0
	for _, d := range r.Disagreements {
		out.textf("BAD   %s\n      it looks %s: %s holds %d entries, here are %d", d.Origin, d.Looks, line(d.Place), d.Held, d.Ours)
	}
	out.textf("%d heads published, %d not taken, %d disagreements", r.Heads, r.NotTaken, len(r.Disagreements))
	return out.value(struct {
		OK bool `json:"ok"`
		*audit.Publication
	}{ok, r})
}
