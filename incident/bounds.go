package incident

import (
	"context"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
)

// bounds are three counts of one tenant, from which the ranges follow: what the
// log shows, what the tables hold now, and which rows were deleted by whomever
// since the scope began. The last two together are what there was to be touched.
type bounds struct {
	shown, gone tenancy.Trace
	held        tenancy.Census
	damage      error // of the log, which holds what is left of gone
}

// count goes back to the beginning for who is named without a scope.
func (d *Desk) count(ctx context.Context, q tenancy.TraceQuery, shown tenancy.Trace) (*bounds, error) {
	n := &bounds{shown: shown}
	var err error
	if n.held, err = d.db.Census(ctx, q.Tables...); err != nil {
		return nil, wrap("census", err)
	}
	n.gone, n.damage = d.trail.Trace(ctx, d.db, tenancy.TraceQuery{From: q.From, Tables: q.Tables, Verbs: []string{"delete"}})
	if !left(n.damage) {
		return nil, wrap("trace", n.damage)
	}
	return n, nil
}

func (n *bounds) records() Range { return between(n.shown.Records, n.held.Records+n.gone.Records) }

// subjects counts as one person each a deleted row whose person was erased since,
// and each row with personal data that names nobody.
func (n *bounds) subjects() Range {
	most := n.held.Subjects + n.gone.Subjects + n.gone.Unnamed
	for _, t := range n.tables() {
		if t.nameless {
			most += t.Subjects.AtMost
		}
	}
	return between(n.shown.Subjects, most)
}

// between is a range whose upper bound may have missed what was changed past the
// log, but not what the log shows.
func between(shown, most int) Range { return Range{AtLeast: shown, AtMost: max(shown, most)} }

// tables splits the counts, in the order of the names. A table in which nothing
// lies and nothing happened is left out.
func (n *bounds) tables() []AffectedTable {
	byName := make(map[string]*AffectedTable)
	of := func(name string) *AffectedTable {
		if byName[name] == nil {
			byName[name] = &AffectedTable{Name: name}
		}
		return byName[name]
	}
	for _, t := range n.held.Tables {
		of(t.Table).Columns = t.Columns
		of(t.Table).add(0, t.Records, t.Subjects)
	}
	for _, t := range n.gone.Tables {
		of(t.Table).add(0, t.Records, min(t.Records, t.Subjects+n.gone.Unnamed))
	}
	for _, t := range n.shown.Tables {
		of(t.Table).add(t.Records, 0, 0)
		of(t.Table).Subjects.AtLeast = t.Subjects
	}
	return sorted(byName)
}

// add counts records that were changed, and records and data subjects that may be.
func (t *AffectedTable) add(shown, records, subjects int) {
	t.Records.AtLeast += shown
	t.Records.AtMost += records
	t.Subjects.AtMost += subjects
}

func sorted(byName map[string]*AffectedTable) []AffectedTable {
	var out []AffectedTable
	for _, t := range byName {
		t.Records = between(t.Records.AtLeast, t.Records.AtMost)
		if t.nameless = len(t.Columns) > 0 && t.Subjects == (Range{}); t.nameless {
			t.Subjects.AtMost = t.Records.AtMost
		}
		t.Subjects = between(t.Subjects.AtLeast, t.Subjects.AtMost)
		if t.Records.AtMost > 0 {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out, func(a, b AffectedTable) int { return strings.Compare(a.Name, b.Name) })
	return out
}
