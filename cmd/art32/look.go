package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/art32/art32/internal/guess"
)

// A first look at a system that does not use the library yet. It reads names of
// tables and columns, settings and modes, and never a row.

// tables are the columns of foreign tables by the name of the table.
type tables map[string][]guess.Column

// names lists the tables in order.
func (t tables) names() []string { return slices.Sorted(maps.Keys(t)) }

// bound is the column that seems to bind a table to a tenant, or "".
func (t tables) bound(table string) string {
	for _, c := range t[table] {
		if guess.Tenant(c.Name) {
			return c.Name
		}
	}
	return ""
}

// clear finds the columns that look personal and are stored in clear.
func (t tables) clear() (found []fault) {
	for _, name := range t.names() {
		cols := guess.Personal(name, t[name])
		if len(cols) == 0 {
			continue
		}
		found = append(found, fault{
			What:  fmt.Sprintf("table %s: %s: looks personal by name and is stored in clear", name, strings.Join(cols, ", ")),
			Mend:  "field.Encrypted for the column (crypto/field), with a blind index where it is searched",
			Guess: true,
		})
	}
	return found
}

// beyond says what a database of its own tables cannot tell.
func (cs *checks) beyond() {
	cs.unchecked("TOM-2.3", "sessions", "not to be seen in the database; package session ends them")
	cs.unused("TOM-5.1", "audit log", "package audit logs who changed what")
	cs.unused("TOM-9.2", "incidents", "package incident counts whom one concerns, and tells them")
}
