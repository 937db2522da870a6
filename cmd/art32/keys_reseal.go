package main

import (
	"context"
	"errors"
	"flag"

	"github.com/art32/art32/tenancy"
)

func keysResealVerb() verb {
	return verb{
		name:  "keys reseal",
		brief: "seal anew what lies under older versions of its keys",
		login: needsKeys,
		more: `The application goes on meanwhile. Cells are opened and sealed under the newest
version, blind indexes are computed anew while their key has several versions. It can
be interrupted and repeated at any time: what is done stands in the data. What the
application has written meanwhile stays. The exit code is 1 until everything lies
under the newest versions; run it again when the time to live of keys in the
application's memory (keyring.Options.TTL) has passed since the rotation.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &keysReseal{}
			r.changeFlags(fs)
			fs.BoolVar(&r.indexes, "indexes", false, "compute the values of all blind indexes anew, although their key has one version;\nafter the declaration of one has changed")
			fs.BoolVar(&r.dry, "dry-run", false, "count what would be done and write nothing")
			return r.run
		},
	}
}

// keysReseal is one call of the verb.
type keysReseal struct {
	keyVerb

	indexes, dry bool
}

func (r *keysReseal) run(ctx context.Context, out *output) (err error) {
	if err := r.resolveChange(); err != nil {
		return err
	}
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return r.each(acting(ctx, r.reason), o, out, func(ctx context.Context, id tenancy.ID) (keysValue, error) {
		slow := paced{out: out}
		report, err := o.db.Reseal(ctx, &tenancy.ResealOptions{
			Indexes: r.indexes, DryRun: r.dry, Progress: func(p tenancy.ResealProgress) {
				slow.textf("…     %s: %d of %d rows, table %s", id, p.Rows, p.Of, p.Table)
			},
		})
		return reported(&report), err
	})
}
