package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// Finding is one thing for which a database is refused.
type Finding struct {
	What string // names tables and columns; never data
	Mend string // what to do about it
}

// RefusedError says what the declared tables need and a tenant's file does not
// have: everything that was found, not the first thing. [Open] returns it where
// the migrations that it was given do not make it, and the first use of a tenant
// where its file is another one than they make.
type RefusedError struct {
	// File is the tenant's, relative to the directory; "" where the migrations
	// themselves fall short.
	File string
	// Findings is the complete list; it is never empty.
	Findings []Finding
}

// Error lists all findings.
func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("sqlite: ")
	if e.File == "" {
		b.WriteString("open")
	} else {
		b.WriteString(e.File)
	}
	fmt.Fprintf(&b, " refused: %d finding(s)", len(e.Findings))
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "\n- %s; mend: %s", f.What, f.Mend)
	}
	return b.String()
}

// needs is what a tenant's file must have.
type needs struct {
	shapes []engine.Shape
	met    map[uuid.UUID]bool // by whose files, under database.mu
}

var _ engine.Checker = (*database)(nil)

// Require implements [engine.Checker]. Where the application has migrations, a
// file is made with them as for a new tenant, and looked at.
func (d *database) Require(ctx context.Context, shapes []engine.Shape) error {
	d.needs = needs{shapes, map[uuid.UUID]bool{}}
	if d.o.Migrations == nil || len(shapes) == 0 {
		return nil
	}
	u := d.use(library, false)
	u.sync = "OFF"
	draft := newFile(d.dir, tenantsDir+"/"+newPrefix+rand.Text()+suffix, u)
	defer discard(draft.path)
	return errors.Join(d.rehearse(ctx, draft), draft.close())
}

func (d *database) rehearse(ctx context.Context, draft *file) error {
	if err := ensureFile(draft.path); err != nil {
		return err
	}
	if err := draft.migrate(ctx, d.plan.untrusted, "OFF", d.plan.lines...); err != nil {
		return translateMigration(err, draft.name)
	}
	return draft.lacks(ctx, d.needs.shapes, "")
}

// fits refuses a tenant's file that lacks what is needed. It looks at each file
// once in the life of the process.
func (d *database) fits(ctx context.Context, f *file, tenant uuid.UUID) error {
	d.mu.Lock()
	met := len(d.needs.shapes) == 0 || d.needs.met[tenant]
	d.mu.Unlock()
	if met {
		return nil
	}
	if err := f.lacks(ctx, d.needs.shapes, f.name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.needs.met[tenant] = true
	return nil
}

// lacks compares the tables of a file with their declaration. name is the file
// that the refusal names.
func (f *file) lacks(ctx context.Context, shapes []engine.Shape, name string) error {
	tables := make([]string, len(shapes))
	for i, s := range shapes {
		tables[i] = tableOf(s)
	}
	list, err := json.Marshal(tables)
	if err != nil {
		return err
	}
	have := map[string][]string{}
	err = f.query(ctx, engine.Stmt{
		SQL: "SELECT t.value, c.name FROM json_each($1) t, pragma_table_xinfo(t.value) c", Args: []any{string(list)}, Once: true,
	}, func(r engine.Row) error {
		var table, column string
		err := r.Scan(&table, &column)
		have[table] = append(have[table], strings.ToLower(column))
		return err
	})
	if err != nil {
		return err
	}
	if all := missing(shapes, have); len(all) > 0 {
		return &RefusedError{File: name, Findings: all}
	}
	return nil
}

// tableOf is the name of a declared table in a file, which has no schemas.
func tableOf(s engine.Shape) string { return strings.ReplaceAll(s.Table, ".", "_") }

func missing(shapes []engine.Shape, have map[string][]string) (all []Finding) {
	for _, s := range shapes {
		columns := have[tableOf(s)]
		if columns == nil {
			all = append(all, Finding{"table " + tableOf(s) + " is declared and not there", "write the migration that creates it, and pass it in Options.Migrations"})
			continue
		}
		for _, c := range s.Columns {
			if !slices.Contains(columns, c) {
				all = append(all, Finding{"column " + tableOf(s) + "." + c + " is declared and not there", "write the migration that adds it, and pass it in Options.Migrations"})
			}
		}
	}
	return all
}
