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

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

const allTenants = "all"

// keyVerb is what the verbs about keys have in common.
type keyVerb struct {
	keyed

	tenant string
	reason string
	only   tenancy.ID // the zero ID: all
}

func (k *keyVerb) flags(fs *flag.FlagSet) {
	k.keyed.flags(fs)
	fs.StringVar(&k.keystore, "keystore", "", "SQLite: the `DIR` of keystore.db; default: that of the data")
	fs.Var(&k.older, "old-key", "a root key `FILE` that --key follows, while one replaces another; may be repeated")
}

// changeFlags are those of a verb that changes something.
func (k *keyVerb) changeFlags(fs *flag.FlagSet) {
	k.flags(fs)
	fs.StringVar(&k.tenant, "tenant", "", "the `ID` of the tenant, or the word all; required")
	fs.StringVar(&k.reason, "reason", "", "why, as a `TEXT` for the log, where it is encrypted; required")
}

func (k *keyVerb) resolve() (err error) {
	if k.tenant != "" && k.tenant != allTenants {
		if k.only, err = tenancy.ParseID(k.tenant); err != nil || k.only.IsZero() {
			return usagef("--tenant is neither the word all nor a UUID of 36 characters")
		}
	}
	if k.data == "" && k.keystore != "" {
		return usagef("--keystore belongs to --data")
	}
	return k.keyed.resolve()
}

// resolveChange is resolve for a verb that changes something.
func (k *keyVerb) resolveChange() error {
	if k.tenant == "" || k.reason == "" {
		return usagef("--tenant ID (or the word all) and --reason TEXT are required")
	}
	return k.resolve()
}

// tenants are those that the verb is about. The platform is none: it has no rows.
func (k *keyVerb) tenants(ctx context.Context, o *opened) ([]tenancy.ID, error) {
	if !k.only.IsZero() {
		return []tenancy.ID{k.only}, nil
	}
	all, err := o.db.Tenants(ctx)
	ids := make([]tenancy.ID, len(all))
	for i, t := range all {
		ids[i] = t.ID
	}
	return ids, err
}

// each does something for each tenant, one after the other. What goes wrong with
// one is printed and does not keep the others from it. A closed tenant has no
// rows to look at.
func (k *keyVerb) each(ctx context.Context, o *opened, out *output, do func(context.Context, tenancy.ID) (keysValue, error)) (err error) {
	ids, err := k.tenants(ctx, o)
	if err != nil {
		return err
	}
	all, ok := []keysValue{}, true
	for _, id := range ids {
		v, err := do(tenancy.WithTenant(ctx, id), id)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		v.Tenant = id
		if errors.Is(err, tenancy.ErrUnknownTenant) && k.only.IsZero() {
			v.Note, err = "closed: not looked at", nil
		}
		if err != nil {
			v.Complete, v.Percent, v.Wrong = false, min(v.Percent, 99), append(v.Wrong, err.Error())
		}
		v.print(out)
		all, ok = append(all, v), ok && v.ok()
	}
	if len(ids) == 0 {
		out.textf("no tenant")
	}
	if err = out.value(struct {
		OK      bool        `json:"ok"`
		Tenants []keysValue `json:"tenants"`
	}{ok, all}); err == nil && !ok {
		err = errFindings
	}
	return err
}

// keysValue is the state of a tenant's keys as it is printed.
type keysValue struct {
	Tenant    tenancy.ID    `json:"tenant"`
	Complete  bool          `json:"complete"`
	Percent   int           `json:"percent"`
	Rows      int           `json:"rows"`
	Left      int           `json:"left"`   // cells and index values for keys reseal
	Broken    int           `json:"broken"` // that no run can mend
	Resealed  int           `json:"resealed,omitzero"`
	Reindexed int           `json:"reindexed,omitzero"`
	Overtaken int           `json:"overtaken,omitzero"`
	Destroyed int           `json:"destroyed,omitzero"`
	Waiting   int           `json:"waiting,omitzero"` // for the end of their grace
	Retired   retiredValue  `json:"retired"`
	Columns   []columnValue `json:"columns,omitzero"`
	Places    []placeValue  `json:"places,omitzero"`
	Note      string        `json:"note,omitzero"`
	Wrong     []string      `json:"wrong"`
}

// retiredValue counts versions that open only.
type retiredValue struct {
	Subjects int `json:"subjects"`
	Index    int `json:"index"`
	Data     int `json:"data"`
	KEK      int `json:"kek"`
}

// columnValue is a column in which something is left or wrong.
type columnValue struct {
	Column  string      `json:"column"` // table and column
	Left    int         `json:"left"`
	Broken  int         `json:"broken"`
	Rows    []uuid.UUID `json:"rows,omitzero"` // of the broken ones, the first ten
	Because []string    `json:"because"`
}

// placeValue is what holds ciphertexts outside the tables.
type placeValue struct {
	Place    string      `json:"place"`
	Versions map[int]int `json:"versions"` // ciphertexts by version
	Retired  int         `json:"retired"`  // of these, under one that is retired
}

func (v *keysValue) ok() bool { return len(v.Wrong) == 0 && (v.Complete || v.Note != "") }

func reported(r *tenancy.KeyReport) keysValue {
	v := keysValue{
		Complete: r.Complete(), Percent: r.Percent(), Left: r.Left(), Broken: r.Broken(), Resealed: r.Resealed, Reindexed: r.Reindexed,
		Overtaken: r.Overtaken, Destroyed: r.Destroyed, Waiting: r.Waiting, Wrong: []string{},
		Retired: retiredValue{r.Retired.Subjects, r.Retired.Index, r.Retired.Data, r.Retired.KEK},
	}
	for i := range r.Tables {
		t := &r.Tables[i]
		v.Rows += t.Rows
		if t.NoKey > 0 {
			v.Wrong = append(v.Wrong, fmt.Sprintf("%s: %d rows whose key is no id: delete them", t.Table, t.NoKey))
		}
		for j := range t.Columns {
			if c := columnOf(t.Table, &t.Columns[j]); len(c.Because) > 0 {
				v.Columns = append(v.Columns, c)
			}
		}
	}
	for _, p := range r.Elsewhere {
		x := placeValue{Place: p.Place, Versions: map[int]int{}, Retired: p.Retired}
		for version, n := range p.Versions {
			x.Versions[int(version)] += n
		}
		v.Places = append(v.Places, x)
	}
	return v
}

// columnOf says what is left of a column and what is wrong with it.
func columnOf(table string, c *tenancy.ColumnKeys) columnValue {
	v := columnValue{Column: table + "." + c.Column, Rows: c.Broken.Rows, Broken: c.Broken.Count}
	say := func(n int, format string, args ...any) {
		if n > 0 {
			v.Because = append(v.Because, fmt.Sprintf("%d ", n)+fmt.Sprintf(format, args...))
		}
	}
	for _, version := range slices.Sorted(maps.Keys(c.Older)) {
		v.Left += c.Older[version]
		say(c.Older[version], "cells under version %d", version)
	}
	say(c.Broken.Count, "cells that do not open")
	x := c.Index
	if x == nil {
		return v
	}
	if x.Undescribed {
		v.Because = append(v.Because, "it is not known how its index is computed: open the database once with the application as it is now")
	}
	for _, version := range slices.Sorted(maps.Keys(x.Older)) {
		v.Left += x.Older[version]
		say(x.Older[version], "index values under version %d", version)
	}
	v.Left += x.Wrong
	say(x.Wrong, "index values of no version")
	v.Broken += x.Unknown + x.Conflicts.Count
	say(x.Unknown, "index values beside them")
	say(x.Conflicts.Count, "rows with a value that another row has, which may stand once")
	v.Rows = append(slices.Clone(v.Rows), x.Conflicts.Rows...)
	return v
}

func (v *keysValue) print(out *output) {
	if v.Note != "" {
		out.textf("–     %s: %s", v.Tenant, v.Note)
		return
	}
	var did []string
	for _, d := range []struct {
		n    int
		what string
	}{
		{v.Resealed, "cells sealed anew"}, {v.Reindexed, "index values computed anew"}, {v.Overtaken, "rows written by others meanwhile"},
		{v.Destroyed, "versions destroyed"}, {v.Waiting, "versions wait for the end of their grace"},
	} {
		if d.n > 0 {
			did = append(did, fmt.Sprintf("%d %s", d.n, d.what))
		}
	}
	for _, w := range v.Wrong {
		out.textf("BAD   %s: %s", v.Tenant, w)
	}
	if len(v.Wrong) > 0 && v.Rows == 0 {
		return
	}
	mark := "ok   "
	if !v.ok() {
		mark = "BAD  "
	}
	out.textf("%s %s: %d %% of %d rows under the newest versions%s", mark, v.Tenant, v.Percent, v.Rows, after("; ", strings.Join(did, ", ")))
	if r := v.Retired; r != (retiredValue{}) {
		out.textf("      retired: %d of data subjects, %d of the index key, %d of the data key, %d of the KEK", r.Subjects, r.Index, r.Data, r.KEK)
	}
	for _, p := range v.Places {
		if p.Retired > 0 {
			out.textf("      %s: %d ciphertexts under retired versions, which stay as long as they do", p.Place, p.Retired)
		}
	}
	for _, c := range v.Columns {
		out.textf("      %s: %s%s", c.Column, strings.Join(c.Because, ", "), after("; rows ", listOf(c.Rows)))
	}
}

func listOf(ids []uuid.UUID) string {
	var all []string
	for _, id := range ids {
		all = append(all, id.String())
	}
	return strings.Join(all, ", ")
}

// paced tells how far a run is, at most every few seconds.
type paced struct {
	out  *output
	next time.Time
}

const pace = 5 * time.Second

func (p *paced) textf(format string, args ...any) {
	if now := time.Now(); now.After(p.next) {
		if !p.next.IsZero() {
			p.out.textf(format, args...)
		}
		p.next = now.Add(pace)
	}
}
