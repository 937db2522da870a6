package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditCoverageVerb() verb {
	return verb{
		name:  "audit coverage",
		brief: "show for each declared table what the logs of the tenants hold of its writes",
		login: needsKeys,
		more: `Of each table it shows whether writes of the application's own SQL are recorded at
all, how many events there are by verb, when the newest was, and how many rows that
SQL wrote of which the log holds neither which they are nor what changed in them
(events TABLE.sql). It reads the numbers of rows from the payloads; nothing of a person
is shown. The exit code is 1 if a table has no net, or such an event cannot be read.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			c := &coverage{}
			c.flags(fs)
			fs.StringVar(&c.tenant, "tenant", allTenants, "the `ID` of the tenant, or the word all")
			fs.StringVar(&c.from, "from", "", "events from this `TIME` on (RFC 3339); default: from the beginning")
			fs.StringVar(&c.until, "until", "", "events before this `TIME` (RFC 3339); default: until now")
			return c.run
		},
	}
}

// coverage is one call of the verb.
type coverage struct {
	keyed

	tenant, from, until string
}

// tenantCoverage is what is printed of one tenant.
type tenantCoverage struct {
	Tenant string          `json:"tenant"`
	Tables []tableCoverage `json:"tables"`
}

// tableCoverage is what is printed of one table.
type tableCoverage struct {
	Table   string           `json:"table"`
	Net     bool             `json:"net"`
	Events  map[string]int   `json:"events"`
	Last    *time.Time       `json:"last"` // null without events
	Outside map[string]int64 `json:"rows_outside"`
	Unread  int              `json:"unread"`
}

func (c *coverage) run(ctx context.Context, out *output) (err error) {
	if err := c.resolve(); err != nil {
		return err
	}
	since, err := instant("from", c.from)
	if err != nil {
		return err
	}
	until, err := instant("until", c.until)
	if err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ids, err := c.ids(ctx, o)
	if err != nil {
		return err
	}
	ok, all := true, []tenantCoverage{}
	for _, id := range ids {
		found, err := o.log.Coverage(tenancy.WithTenant(ctx, id), o.db, since, until)
		if errors.Is(err, tenancy.ErrUnknownTenant) && c.tenant == allTenants {
			out.textf("–     %s: closed: not looked at", id)
			continue
		}
		if err != nil {
			return fmt.Errorf("tenant %s: %w", id, err)
		}
		t := tenantCoverage{Tenant: id.String()}
		for _, f := range found {
			ok = ok && f.Net && f.Unread == 0
			t.Tables = append(t.Tables, covered(f))
			out.textf("%s", coverageLine(t.Tenant, f))
		}
		all = append(all, t)
	}
	if err := out.value(struct {
		OK      bool             `json:"ok"`
		Tenants []tenantCoverage `json:"tenants"`
	}{ok, all}); err != nil || ok {
		return err
	}
	return errFindings
}

// ids are the tenants that are asked for.
func (c *coverage) ids(ctx context.Context, o *opened) (ids []tenancy.ID, err error) {
	if c.tenant != allTenants {
		id, err := tenancy.ParseID(c.tenant)
		if err != nil {
			return nil, usagef("--tenant is neither a UUID of 36 characters nor all")
		}
		return []tenancy.ID{id}, nil
	}
	all, err := o.db.Tenants(ctx)
	for _, t := range all {
		ids = append(ids, t.ID)
	}
	return ids, err
}

// instant reads a time; zero for none.
func instant(name, text string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return t, usagef("--%s is no time: write 2026-11-23T09:15:00+01:00", name)
	}
	return t, nil
}

func covered(f audit.TableCoverage) tableCoverage {
	out := tableCoverage{Table: f.Table, Net: f.Net, Events: f.Events, Outside: f.Outside, Unread: f.Unread}
	if !f.Last.IsZero() {
		out.Last = &f.Last
	}
	return out
}

// coverageLine is a table's line for people.
func coverageLine(tenant string, f audit.TableCoverage) string {
	words := []string{"ok   ", tenant, f.Table + ":"}
	if !f.Net || f.Unread > 0 {
		words[0] = "bad  "
	}
	words = append(words, orNone(counts(f.Events), "no event"))
	if !f.Last.IsZero() {
		words = append(words, "the newest of "+f.Last.Format(time.RFC3339)+";")
	}
	words = append(words, "written outside: "+orNone(counts(f.Outside), "nothing"))
	if f.Unread > 0 {
		words = append(words, fmt.Sprintf("and what %d events told that cannot be read", f.Unread))
	}
	if !f.Net {
		words = append(words, "— writes of the application's SQL are not recorded: SELECT art32.protect('"+f.Table+"') in a migration")
	}
	return strings.Join(words, " ")
}

func orNone(text, none string) string {
	if text == "" {
		return none + ";"
	}
	return text + ";"
}

// counts writes numbers by verb, in order.
func counts[N int | int64](m map[string]N) string {
	var words []string
	for _, verb := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s %d", verb, m[verb]))
	}
	return strings.Join(words, ", ")
}
