package tenancy

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// Unrecorded says what becomes of a transaction of [DB.InSQL] whose own SQL has
// written to tables of which the caller recorded no event in it. An event counts
// whose action is the table's name, a dot, and a word of the caller's. What the verbs
// of a repository record counts for the rows that they write, and for no SQL beside.
type Unrecorded int

const (
	// RecordUnrecorded records an event "<table>.sql" for each such table, in the
	// same transaction. Its attributes are the verbs (insert, update, delete) and how
	// many rows each wrote, those of triggers and foreign keys too. It names no row
	// and holds no values. What a savepoint took back is counted.
	RecordUnrecorded Unrecorded = iota
	// RefuseUnrecorded rolls back, with [ErrUnrecorded], where the caller recorded no
	// event at all. Where there is one, it does as RecordUnrecorded.
	RefuseUnrecorded
)

// UnrecordedSuffix ends the action of an event by which the library tells of rows that
// callers' SQL wrote.
const UnrecordedSuffix = ".sql"

// OnUnrecorded sets what becomes of writes that nobody recorded. The Open functions of
// the engine packages call it; the key can be had inside the module only.
func (db *DB) OnUnrecorded(_ engine.Key, u Unrecorded) error {
	if u != RecordUnrecorded && u != RefuseUnrecorded {
		return fmt.Errorf("tenancy: open: there is no Unrecorded %d", int(u))
	}
	db.unrecorded = u
	return nil
}

// Recorded tells the transaction of an event that was queued in it. Package audit calls
// it; the key can be had inside the module only.
func (tx *Tx) Recorded(_ engine.Key, action string) {
	tx.events = true
	if !tx.telling {
		tx.actions = append(tx.actions, action)
	}
}

// Net is a declared table.
type Net struct {
	Table string // as declared
	// Present says that what callers' SQL writes to it in [DB.InSQL] is recorded, or
	// refused.
	Present bool
}

// Nets lists the declared tables in the order of the schema. All have their net where
// Open has accepted the database, but for tables that are not protected yet.
func (db *DB) Nets(ctx context.Context) ([]Net, error) {
	names := db.schema.names()
	have := names
	if n, ok := db.eng.(engine.Netter); ok {
		var err error
		if have, err = n.Netted(ctx, names); err != nil {
			return nil, wrap("look for", "nets", err)
		}
	}
	nets := make([]Net, len(names))
	for i, name := range names {
		nets[i] = Net{name, slices.Contains(have, name)}
	}
	return nets, nil
}

// settle sees to it that no write of the caller's SQL goes unrecorded.
func (tx *SQLTx) settle(ctx context.Context, e engine.SQLTx) error {
	left := tx.left(e.Written())
	if len(left) > 0 && len(tx.actions) == 0 && tx.db.unrecorded == RefuseUnrecorded {
		return fmt.Errorf("tenancy: InSQL wrote to %s: %w", strings.Join(namesOf(left), ", "), ErrUnrecorded)
	}
	for _, name := range namesOf(left) {
		c := Change{Action: name + UnrecordedSuffix, Table: name, Outcome: Done}
		for _, w := range left {
			if w.Table == name {
				c.Attrs = append(c.Attrs, slog.Int64(w.Verb, w.Rows))
			}
		}
		if err := tx.record(ctx, c); err != nil {
			return wrap("record", c.Action, err)
		}
	}
	if tx.events {
		e.Recorded()
	}
	return nil
}

// left is what was written and not recorded, under the names of the declaration.
func (tx *Tx) left(written []engine.Written) (left []engine.Written) {
	for _, w := range written {
		w.Table = tx.declaredName(w.Table)
		about := func(action string) bool {
			verb, ok := strings.CutPrefix(action, w.Table+".")
			return ok && !strings.Contains(verb, ".") // that of another table, whose name goes on
		}
		if !slices.ContainsFunc(tx.actions, about) {
			left = engine.AddWritten(left, w)
		}
	}
	return left
}

// noWord is what cannot stand in an action.
var noWord = regexp.MustCompile(`[^A-Za-z0-9_.]`)

// declaredName is the name under which a table of the database was declared; of one
// that was not, what an action can hold of its own.
func (tx *Tx) declaredName(table string) string {
	for _, name := range tx.db.schema.names() {
		inFile := tx.eng.Dialect() == migrate.SQLite && strings.ReplaceAll(name, ".", "_") == table
		if name == table || inFile {
			return name
		}
	}
	return noWord.ReplaceAllString(table, "_")
}

// namesOf are the tables, in order.
func namesOf(written []engine.Written) (names []string) {
	for _, w := range written {
		names = append(names, w.Table)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
