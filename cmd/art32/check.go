package main

import (
	"fmt"
	"slices"
	"strings"
)

// clause is a measure of the annex that checks belong to.
type clause struct {
	id, title string
	packages  string // those that carry it; "" is none
}

// clauses are in the order of the annex, which is that of the report.
var clauses = []clause{
	{"TOM-2.3", "sessions end by themselves", "session"},
	{"TOM-3.2", "production data for the administrator alone", "tenancy/postgres, tenancy/sqlite"},
	{"TOM-4.1", "encrypted channels", "tenancy/postgres"},
	{"TOM-5.1", "changes are logged", "audit"},
	{"TOM-7.1", "weekly backups", "backup"},
	{"TOM-7.2", "encryption", "crypto/keyring, crypto/field"},
	{"TOM-7.3", "restores that bring nobody back", "backup"},
	{"TOM-8.1", "tenants kept apart", "tenancy"},
	{"TOM-9.1", "measures are kept up to date", ""},
	{"TOM-9.2", "incidents are told at once", "incident"},
}

func clauseOf(id string) int {
	return slices.IndexFunc(clauses, func(c clause) bool { return c.id == id })
}

// The states of a check.
const (
	stateOK        = "ok"
	stateBad       = "bad"
	stateUnchecked = "not checked"
	stateUnused    = "not used"
)

// check is one look at one thing.
type check struct {
	Measure string  `json:"measure"`
	Package string  `json:"package"` // what carries the measure
	Name    string  `json:"check"`
	State   string  `json:"state"`
	OK      bool    `json:"ok"`            // false only where something was found
	Note    string  `json:"note,omitzero"` // what was seen, or why it was not looked at
	Found   []fault `json:"found"`
}

// fault is what was found and how to mend it.
type fault struct {
	What  string `json:"what"`
	Mend  string `json:"mend"` // "": what says it
	Guess bool   `json:"guess,omitzero"`
}

func bad(what, mend string) fault { return fault{What: what, Mend: mend} }

func (f fault) String() string {
	if f.Mend == "" {
		return f.What
	}
	return f.What + "; mend: " + f.Mend
}

// checks collects what a doctor has looked at.
type checks []check

// add notes what was found, if anything.
func (cs *checks) add(measure, name string, found ...fault) { cs.note(measure, name, "", found...) }

// note is add with what was seen where all is well.
func (cs *checks) note(measure, name, note string, found ...fault) {
	c := check{Measure: measure, Name: name, State: stateOK, OK: len(found) == 0, Note: note, Found: append([]fault{}, found...)}
	if !c.OK {
		c.State = stateBad
	}
	cs.put(c)
}

// unchecked notes what was not looked at, and why or how to have it looked at.
func (cs *checks) unchecked(measure, name, why string) {
	cs.put(check{Measure: measure, Name: name, State: stateUnchecked, OK: true, Note: why, Found: []fault{}})
}

// unused notes what this application does without.
func (cs *checks) unused(measure, name, note string) {
	cs.put(check{Measure: measure, Name: name, State: stateUnused, OK: true, Note: note, Found: []fault{}})
}

func (cs *checks) put(c check) {
	c.Package = clauses[clauseOf(c.Measure)].packages
	*cs = append(*cs, c)
}

// report prints the checks in the order of the measures.
func (cs *checks) report(out *output) error {
	all := *cs
	slices.SortStableFunc(all, func(a, b check) int { return clauseOf(a.Measure) - clauseOf(b.Measure) })
	ok := !slices.ContainsFunc(all, func(c check) bool { return !c.OK })
	for i, c := range all {
		if i == 0 || all[i-1].Measure != c.Measure {
			clauses[clauseOf(c.Measure)].print(out)
		}
		c.print(out)
	}
	err := out.value(struct {
		OK     bool   `json:"ok"`
		Checks checks `json:"checks"`
	}{ok, all})
	if err == nil && !ok {
		err = errFindings
	}
	return err
}

func (c clause) print(out *output) {
	if c.packages == "" {
		out.textf("%s %s", c.id, c.title)
		return
	}
	out.textf("%s %s (%s)", c.id, c.title, c.packages)
}

// most is how many faults of one check are printed for people.
const most = 10

func (c check) print(out *output) {
	say := func(mark, text string) { out.textf("%-5s %s", mark, breaks.Replace(text)) }
	switch c.State {
	case stateUnchecked, stateUnused:
		say("–", c.Name+": "+c.State+after(": ", c.Note))
	case stateOK:
		say("ok", c.Name+after(": ", c.Note))
	}
	for _, f := range c.Found[:min(len(c.Found), most)] {
		say("BAD", c.Name+": "+f.String())
	}
	if n := len(c.Found) - most; n > 0 {
		say("BAD", fmt.Sprintf("%s: … and %d more, which --json lists", c.Name, n))
	}
}

// breaks keeps a name that others gave from looking like a line of the report.
//
//nolint:gochecknoglobals // immutable
var breaks = strings.NewReplacer("\r\n", "; ", "\n", "; ", "\t", " ")

// after is a text behind a mark, or nothing.
func after(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + text
}
