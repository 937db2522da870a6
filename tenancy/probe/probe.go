package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// The engines of [Probe].Engine and [Report].Engine.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

// Probe is one way in which tenants could meet, tried on a database.
type Probe struct {
	Name        string // by which [Options] and reports call it
	Measure     string // the clause of the annex that it is evidence for
	Engine      string // Postgres or SQLite
	Explanation Text   // what must hold, in a sentence
	// Weakness is the name by which tenancy/postgres.Options.Unsafe accepts what
	// it looks for; "" for what cannot be accepted there.
	Weakness string

	check func(ctx context.Context, p *prober) []Result
}

// Probes are all probes, those of PostgreSQL first.
func Probes() []Probe {
	all := slices.Concat(pgCatalogue(), pgAttacks(), pgResidue(), sqliteProbes())
	for i := range all {
		all[i].Measure = "TOM-8.1"
	}
	return all
}

// Options are the choices of [Run]; nil and zero fields mean the defaults.
type Options struct {
	// Tenants are the two between which is tried; the first attacks. Default: the
	// first two that have rows in every table, or in as many as any.
	Tenants [2]tenancy.ID
	// Probes are the names of those to run. Default: all of the engine.
	Probes []string
	// Accept names probes, or weaknesses of tenancy/postgres, whose findings the
	// caller accepts: the report tells them all the same. Default: none.
	Accept []string
}

// ErrProduction says that a database counts as production: it was stamped so, or
// not stamped. See [tenancy.DB.Environment].
var ErrProduction = errors.New("probe: refused: the database counts as production; probes run where the stamp of the environment says otherwise")

// ErrNoTenants says that there are no two tenants with rows to try it between.
var ErrNoTenants = errors.New("probe: no two tenants have rows in a table that is declared")

// Run tries on db what must not work, between two tenants that have rows, and
// reports what held and what did not; what did not is no error. Everything is
// rolled back, also on success and on a panic. It refuses a database that counts
// as production with [ErrProduction], before anything is tried.
func Run(ctx context.Context, db *tenancy.DB, o *Options) (Report, error) {
	if o == nil {
		o = &Options{}
	}
	probes, err := o.chosen(engineOf(db))
	if err != nil {
		return Report{}, err
	}
	environment, err := db.Environment(ctx)
	if err != nil {
		return Report{}, err
	}
	if environment == tenancy.Production {
		return Report{}, ErrProduction
	}
	p := &prober{eng: db.Engine(engine.Library), now: time.Now}
	if err := p.prepare(ctx, db, o.Tenants); err != nil {
		return Report{}, err
	}
	r := Report{
		Version: 1, Started: time.Now().UTC().Truncate(time.Second), Environment: environment,
		Engine: engineOf(db), EngineVersion: p.version, Library: library(), Tenants: [2]string{p.a.String(), p.b.String()},
		Tables: p.names(),
	}
	for _, probe := range probes {
		if ctx.Err() != nil {
			return Report{}, ctx.Err() // no report that looks whole
		}
		r.Probes = append(r.Probes, p.run(ctx, probe, o.Accept))
	}
	r.Ended = time.Now().UTC().Truncate(time.Second)
	return r, ctx.Err()
}

func engineOf(db *tenancy.DB) string {
	if db.Engine(engine.Library).Dialect() == migrate.SQLite {
		return SQLite
	}
	return Postgres
}

// chosen are the probes of an engine that the options name.
func (o *Options) chosen(name string) (all []Probe, err error) {
	known := map[string]bool{}
	for _, p := range Probes() {
		known[p.Name], known[p.Weakness] = true, true
		if p.Engine == name && (len(o.Probes) == 0 || slices.Contains(o.Probes, p.Name)) {
			all = append(all, p)
		}
	}
	for _, n := range slices.Concat(o.Probes, o.Accept) {
		if n == "" || !known[n] {
			return nil, fmt.Errorf("probe: options: no probe is called %q", n)
		}
	}
	return all, nil
}

// run runs one probe.
func (p *prober) run(ctx context.Context, probe Probe, accept []string) Outcome {
	out := Outcome{Name: probe.Name, Measure: probe.Measure, Explanation: probe.Explanation}
	out.Results = probe.check(ctx, p)
	if len(out.Results) == 0 {
		out.Results = []Result{held("")}
	}
	out.Accepted = slices.Contains(accept, probe.Name) || probe.Weakness != "" && slices.Contains(accept, probe.Weakness)
	return out
}
