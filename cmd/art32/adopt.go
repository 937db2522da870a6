package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

func adoptPlanVerb() verb {
	return verb{
		name:  "adopt plan",
		brief: "write the migration that puts the tables of an existing PostgreSQL database under protection",
		login: "the owner's login (--dsn). It reads the catalogue and no row, and changes nothing",
		more: `It prints one script for psql, in stages, each a transaction; what stands already
yields nothing. The exit code is 1 while something is left to do or to decide.
With --migrations the stages are written as files behind those in DIR instead, and
only what needs a superuser is printed. docs/adopting.md shows the way.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			a := &adoption{}
			a.env = envOwner
			fs.StringVar(&a.dsn, "dsn", "", "the postgres:// `URL` of the owner's login; default: $"+envOwner)
			fs.Var(&a.tenants, "tenant", "the tenant's column where nothing tells it, `TABLE=COLUMN`; may be repeated")
			fs.Var(&a.shared, "shared", "a `TABLE` that belongs to no tenant although it looks like it; may be repeated")
			fs.Var(&a.only, "only", "plan this `TABLE` alone; may be repeated")
			fs.StringVar(&a.watch, "unsafe-watch", "", "leave tables open to this `LOGIN` of an older application, and watch it (art32.unsafe_watch)")
			fs.StringVar(&a.migrations, "migrations", "", "the `DIR` of the application's own migrations, files 0001_name.sql")
			return a.run
		},
	}
}

// adoption is one call of the verb.
type adoption struct {
	target

	tenants, shared, only values
	watch, migrations     string
}

func (a *adoption) run(ctx context.Context, out *output) error {
	if a.dsn = cmp.Or(a.dsn, os.Getenv(a.env)); a.dsn == "" {
		return usagef("--dsn URL (or $%s) is required: SQLite has no policies, see docs/adopting.md", envOwner)
	}
	if err := a.resolve(); err != nil {
		return err
	}
	o := &postgres.PlanOptions{Shared: a.shared, Only: a.only, UnsafeWatch: a.watch, Tenants: map[string]string{}}
	for _, t := range a.tenants {
		table, column, ok := strings.Cut(t, "=")
		if !ok {
			return usagef("--tenant is written TABLE=COLUMN")
		}
		o.Tenants[table] = column
	}
	m, err := postgres.Plan(ctx, a.dsn, nil, o)
	if err != nil {
		return err
	}
	return a.report(out, m)
}

// report prints what is left, or writes it.
func (a *adoption) report(out *output, m *postgres.Migration) error {
	written, err := a.write(m)
	if err != nil {
		return err
	}
	if !out.json {
		if _, err := fmt.Fprint(out.w, m); err != nil {
			return err
		}
	}
	for _, name := range written {
		out.textf("written: %s", name)
	}
	if err := out.value(adopted(m, written)); err != nil || len(m.Stages)+len(written)+len(m.Open) == 0 {
		return err
	}
	return errFindings
}

// adopted is what machines get.
func adopted(m *postgres.Migration, written []string) any {
	type stage struct {
		Name   string `json:"name"`
		ByHand bool   `json:"by_hand"`
		SQL    string `json:"sql"`
	}
	type open struct {
		What string `json:"what"`
		Mend string `json:"mend"`
	}
	stages, left := []stage{}, []open{}
	for _, s := range m.Stages {
		stages = append(stages, stage{s.Name, s.ByHand, s.SQL})
	}
	for _, f := range m.Open {
		left = append(left, open{f.What, f.Mend})
	}
	return struct {
		OK      bool     `json:"ok"`
		Stages  []stage  `json:"stages"`
		Open    []open   `json:"open"`
		Written []string `json:"written"`
	}{len(stages)+len(left)+len(written) == 0, stages, left, list(written)}
}

// write puts the stages that migrations can run behind those of the folder, and
// leaves the others in m.
func (a *adoption) write(m *postgres.Migration) (written []string, err error) {
	dir, err := folder(a.migrations)
	if err != nil || dir == nil {
		return nil, err
	}
	n := 0
	if entries, err := filepath.Glob(filepath.Join(a.migrations, "*.sql")); err == nil && len(entries) > 0 {
		files, err := tenancy.Line{Name: "app", FS: dir}.Files(migrate.Postgres)
		if err != nil {
			return nil, err
		}
		n = len(files)
	}
	var byHand []postgres.Stage
	for _, s := range m.Stages {
		if s.ByHand {
			byHand = append(byHand, s)
			continue
		}
		n++
		name := filepath.Join(a.migrations, fmt.Sprintf("%04d_art32_%s.sql", n, s.Name))
		if err := writeNew(name, []byte(s.SQL)); err != nil {
			return written, err
		}
		written = append(written, name)
	}
	m.Stages = byHand
	return written, nil
}
