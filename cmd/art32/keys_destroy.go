package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

func keysDestroyVerb() verb {
	return verb{
		name:  "keys destroy",
		brief: "destroy for ever the retired versions of keys that nothing uses any more",
		login: needsKeys,
		more: `It counts, while writers are held off for the moment, what the cells of all tables and
the parts of the log name, and destroys the versions of data subjects' keys that
nothing names; those of the index key once all index values lie under the newest one;
those of the KEK once no key is wrapped by them. The tenant's own data key stays: other
packages seal with it. What lies under a destroyed version anywhere else, such as
attachments in files or buckets, can never be opened again: --only-database says that
there is nothing of the kind; an application that has it names it to
tenancy.DB.DestroyRetired instead. A version goes no sooner than --grace after it was
retired; what waits for that is counted, and the exit code is 0.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			d := &keysDestroy{}
			d.changeFlags(fs)
			fs.BoolVar(&d.alone, "only-database", false, "say that no ciphertexts under keys of data subjects lie outside the database; required")
			fs.DurationVar(&d.ring.Grace, "grace", 24*time.Hour, "how long a retired version is kept, a `DURATION`; default: 24h")
			return d.run
		},
	}
}

// keysDestroy is one call of the verb.
type keysDestroy struct {
	keyVerb

	alone bool
}

func (d *keysDestroy) run(ctx context.Context, out *output) (err error) {
	if err := d.resolveChange(); err != nil {
		return err
	}
	if !d.alone {
		return usagef("--only-database is required: what lies elsewhere under these versions could never be opened again")
	}
	if d.ring.Grace <= 0 {
		return usagef("--grace must be positive")
	}
	d.ring.TTL = min(d.ring.Grace, 5*time.Minute)
	o, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx = acting(ctx, d.reason)
	if d.only.IsZero() {
		if err := d.platform(ctx, o); err != nil {
			return err
		}
	}
	return d.each(ctx, o, out, func(ctx context.Context, _ tenancy.ID) (keysValue, error) {
		r, err := o.db.DestroyRetired(ctx)
		v := reported(&r)
		if err == nil { // what is not done keeps its keys, and is no fault of this verb
			v.Complete = true
		}
		return v, err
	})
}

// platform destroys what is left of the platform's KEK: the platform has no
// tables, and its other keys stay.
func (d *keysDestroy) platform(ctx context.Context, o *opened) error {
	var old []keyring.Version
	for v, err := range o.keys.Retired(ctx, tenancy.ID{}.UUID()) {
		if err != nil {
			return err
		}
		if v.Kind == keyring.KEK {
			old = append(old, v)
		}
	}
	if len(old) == 0 {
		return nil
	}
	if err := o.recorder.Record(ctx, "keys.destroy"); err != nil {
		return err
	}
	err := o.keys.Destroy(ctx, tenancy.ID{}.UUID(), old...)
	if errors.Is(err, keyring.ErrTooEarly) || errors.Is(err, keyring.ErrInUse) {
		return nil
	}
	return err
}
