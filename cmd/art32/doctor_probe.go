package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/probe"
)

// probing is what doctor --probe was called with.
type probing struct {
	wanted bool
	dir    string // of the report; "" for none
	accept values
}

// errNotStaging keeps attacks from a database that people work with.
var errNotStaging = errors.New("--probe is refused: the database counts as production; probe a staging that art32 init --environment staging made, or that its owner has stamped")

// allowed refuses --probe where it must not run, before anything else is looked at.
func (d *doctor) allowed(ctx context.Context) (err error) {
	if !d.probes.wanted {
		if d.probes.dir != "" || len(d.probes.accept) > 0 {
			return usagef("--report and --accept belong to --probe")
		}
		return nil
	}
	if d.data == "" && d.key == "" {
		return usagef("--key FILE is required with --dsn and --probe")
	}
	if err := d.resolve(); err != nil {
		return err
	}
	src, err := openSource(ctx, &d.target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	is, err := environmentOf(ctx, src)
	if err == nil && is == tenancy.Production {
		err = errNotStaging
	}
	return err
}

// probe tries what must not work between tenants.
func (d *doctor) probe(ctx context.Context) (err error) {
	if !d.probes.wanted {
		return nil
	}
	k := keyed{target: d.target, appDSN: d.appDSN, key: d.key, accept: d.probes.accept}
	o, err := k.open(ctx)
	if err != nil {
		d.add("TOM-8.1", "probes", fault{What: "the database does not open, so that nothing was tried: " + err.Error()})
		return nil
	}
	defer func() { err = errors.Join(err, o.close()) }() //nolint:contextcheck // as io.Closer
	r, err := probe.Run(ctx, o.db, &probe.Options{Accept: d.probes.accept})
	switch {
	case errors.Is(err, probe.ErrNoTenants):
		d.unchecked("TOM-8.1", "probes", "no two tenants have rows in a table that is declared")
		return nil
	case err != nil:
		return err
	}
	d.tell(r)
	if d.probes.dir == "" {
		return nil
	}
	if err := r.WriteFiles(d.probes.dir); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// tell notes each probe.
func (d *doctor) tell(r probe.Report) {
	for _, o := range r.Probes {
		var faults []fault
		var untried []string
		for _, res := range o.Results {
			at := strings.TrimPrefix(res.Object+": "+res.What.English, ": ")
			switch {
			case res.State == probe.Broken && !o.Accepted:
				faults = append(faults, fault{What: at})
			case res.State == probe.NotProbed && (res.Object == "" || slices.Contains(r.Tables, res.Object)):
				untried = append(untried, at)
			}
		}
		if name := "probe " + o.Name; len(faults) == 0 && len(untried) > 0 {
			d.unchecked("TOM-8.1", name, strings.Join(untried, "; "))
		} else {
			d.note("TOM-8.1", name, noteOf(o), faults...)
		}
	}
}

// noteOf says what held, and where.
func noteOf(o probe.Outcome) string {
	if o.State() == probe.Broken {
		return "accepted by name"
	}
	n := 0
	for _, r := range o.Results {
		if r.State == probe.Held {
			n++
		}
	}
	return fmt.Sprintf("held at %d", n)
}
