package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/tenancy"
)

func keysStatusVerb() verb {
	return verb{
		name:  "keys status",
		brief: "show under which versions of their keys the data of the tenants lie",
		login: needsKeys,
		more: `It changes nothing and leaves no event. It counts the encrypted cells by the version
of the key that each names, what the log holds under versions that are retired, and
the retired versions themselves. With --indexes it also decrypts all rows and
compares the values of blind indexes, which do not name their version. The exit code
is 1 while a rotation is not at its end: keys reseal goes on with it.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			s := &keysStatus{}
			s.flags(fs)
			fs.StringVar(&s.tenant, "tenant", allTenants, "the `ID` of the tenant, or the word all; default: all")
			fs.BoolVar(&s.indexes, "indexes", false, "decrypt all rows and compare the values of blind indexes")
			return s.run
		},
	}
}

// keysStatus is one call of the verb.
type keysStatus struct {
	keyVerb

	indexes bool
}

func (s *keysStatus) run(ctx context.Context, out *output) (err error) {
	if err := s.resolve(); err != nil {
		return err
	}
	o, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return s.each(tenancy.WithActor(ctx, self), o, out, func(ctx context.Context, _ tenancy.ID) (keysValue, error) {
		r, err := o.db.KeyReport(ctx)
		if err == nil && (s.indexes || r.IndexVersions > 1) {
			places := r.Elsewhere
			r, err = o.db.Reseal(ctx, &tenancy.ResealOptions{DryRun: true})
			r.Elsewhere = places
		}
		return reported(&r), err
	})
}
