package tenancytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// Case is one thing that must hold for the tables of an application.
type Case struct {
	Name        string // of the subtest
	Measure     string // the clause that it is evidence for
	Explanation string // what must hold, in a sentence
	// Check makes two tenants, fills their tables, and returns what does not hold.
	// The context names no tenant.
	Check func(ctx context.Context, w *World) error
}

// Cases are what holds for every schema, in the order of their clauses.
func Cases() []Case {
	return []Case{
		{
			"no tenant", "TOM-8.1",
			"Without a tenant in the context every verb fails with ErrNoTenant.", on((*trial).noTenant),
		},
		{
			"unknown tenant", "TOM-8.1",
			"For a tenant that does not exist every verb fails with ErrUnknownTenant.", on((*trial).unknownTenant),
		},
		{
			"foreign row", "TOM-8.1",
			"A row of one tenant does not exist for another, and no verb of the other changes it.", on((*trial).foreignRow),
		},
		{
			"foreign insert", "TOM-8.1",
			"A row that names another tenant is refused, and the refusal recorded.", on((*trial).foreignInsert),
		},
		{
			"equal rows", "TOM-8.1",
			"A tenant can hold the same rows as another: no refusal tells it what the other has.", on((*trial).equalRows),
		},
		{
			"callers sql", "TOM-8.1",
			"SQL of the application's own reaches no row of another tenant, though it spells out that tenant's id.", on((*trial).callersSQL),
		},
		{
			"callers conditions", "TOM-8.1",
			"A condition in SQL of the application's own, whatever its text, finds no row of another tenant.", on((*trial).callersConditions),
		},
		{
			"all rows", "TOM-8.1",
			"A page, and a change of all rows, is of the tenant's rows alone.", on((*trial).allRows),
		},
		{
			"library tables", "TOM-5.1",
			"SQL of the application's own cannot change the log, and the attempt is recorded.", on((*trial).libraryTables),
		},
		{
			"trace", "TOM-5.1",
			"Each insert, edit and delete leaves one event, in the log of its tenant, and all rows of others as they were.", on((*trial).trace),
		},
		{
			"no entry no action", "TOM-5.1",
			"A change whose event cannot be written does not happen, nor does its transaction.", on((*trial).noEntry),
		},
		{
			"erasure", "TOM-7.2",
			"After an erasure nothing of the person can be read or written again; others keep their data, and so do other tenants.", on((*trial).erasure),
		},
	}
}

// Run checks all cases in subtests, which carry the attribute art32.measure. It
// fits [Each].
func Run(t *testing.T, w *World) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), w); err != nil {
				t.Errorf("%s\n%v", c.Explanation, err)
			}
		})
	}
}

func on(check func(t *trial) error) func(context.Context, *World) error {
	return func(ctx context.Context, w *World) error {
		t, err := w.trial(ctx)
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		err = check(t)
		return errors.Join(append(t.found, err)...)
	}
}

// trial is one check: two tenants that nobody else uses, with rows.
type trial struct {
	w      *World
	ctx    context.Context //nolint:containedctx // of one call
	tables []rows
	a, b   tenancy.ID
	found  []error // what does not hold
}

func (w *World) trial(ctx context.Context) (*trial, error) {
	t := &trial{w: w, ctx: ctx}
	var err error
	if t.tables, err = tables(w.schema); err != nil {
		return nil, err
	}
	for _, id := range []*tenancy.ID{&t.a, &t.b} {
		if *id, err = w.tenant(ctx); err != nil {
			return nil, err
		}
		if err := w.fill(w.in(ctx, *id)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// tenant makes a tenant without rows.
func (w *World) tenant(ctx context.Context) (tenancy.ID, error) {
	made, err := w.DB.CreateTenant(w.in(ctx, tenancy.ID{}), tenancy.Tenant{Name: "Trial"})
	return made.ID, err
}

// fill adds rows to each table in one transaction.
func (w *World) fill(ctx context.Context) error {
	return w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return w.fillIn(ctx, tx) })
}

func (w *World) fillIn(ctx context.Context, c tenancy.Conn) error {
	if w.options.Fill != nil {
		return w.options.Fill(ctx, c)
	}
	all, err := tables(w.schema)
	if err != nil {
		return err
	}
	subject, number := uuid.New(), int(w.filled.Add(1))
	for _, r := range all {
		row, err := r.made(subject, number)
		if err != nil {
			return err
		}
		if err := r.insert(ctx, c, row); err != nil {
			return fmt.Errorf("a row made from the types of %s does not fit: give Options.Fill: %w", r.Name, err)
		}
	}
	return nil
}

func (t *trial) errorf(format string, args ...any) {
	t.found = append(t.found, fmt.Errorf(format, args...))
}

// want notes an error that is not the one due.
func (t *trial) want(err, due error, what string) {
	if !errors.Is(err, due) {
		t.errorf("%s: error %v, want %v", what, err, due)
	}
}

// as is a context of a tenant.
func (t *trial) as(id tenancy.ID) context.Context { return t.w.in(t.ctx, id) }

// rows lists a tenant's rows of a table, of which there must be some.
func (t *trial) rows(r rows, of tenancy.ID) ([]reflect.Value, error) {
	all, err := r.list(t.as(of), t.w.DB)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("table %s has no row: Options.Fill must insert one", r.Name)
	}
	return all, err
}

// events reads a tenant's log.
func (t *trial) events(of tenancy.ID) ([]audit.Entry, error) {
	var all []audit.Entry
	for e, err := range t.w.Log.Events(t.as(of), t.w.DB, audit.Filter{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// traces counts the events about an object.
func traces(events []audit.Entry, action string, object uuid.UUID, outcome audit.Outcome) (n int) {
	for _, e := range events {
		if e.Action == action && e.Object == object && e.Outcome == outcome {
			n++
		}
	}
	return n
}

// verbs calls each verb of a table on the row with a key in a context.
func (t *trial) verbs(ctx context.Context, r rows, key reflect.Value) map[string]error {
	_, errGet := r.get(ctx, t.w.DB, key)
	_, errList := r.list(ctx, t.w.DB)
	_, errCount := r.count(ctx, t.w.DB)
	out := map[string]error{
		"Get": errGet, "List": errList, "Count": errCount,
		"Edit":   r.edit(ctx, t.w.DB, key, func(row reflect.Value) error { return t.change(r, row) }),
		"Delete": r.remove(ctx, t.w.DB, key),
	}
	_, out["Page"] = r.page(ctx, t.w.DB)
	_, out["Count by a condition"] = r.count(ctx, t.w.DB, tenancy.Where("1 = 1"))
	_, out["EditAll"] = r.editAll(ctx, t.w.DB, func(row reflect.Value) error { return t.change(r, row) })
	_, out["DeleteAll"] = r.removeAll(ctx, t.w.DB)
	for verb, call := range map[string]func(context.Context, tenancy.Conn, reflect.Value) error{
		"Insert": r.insert, "InsertAll": r.insertAll, "Upsert": r.upsert,
	} {
		if row, err := r.made(uuid.New(), int(t.w.filled.Add(1))); err == nil {
			out[verb] = call(ctx, t.w.DB, row)
		}
	}
	return out
}

// change gives the first column that is no role another value.
func (t *trial) change(r rows, row reflect.Value) error {
	i := slices.IndexFunc(r.Columns, r.plain)
	if i < 0 {
		return nil
	}
	return put(r.field(row, r.Columns[i].Name), int(t.w.filled.Add(1)))
}
