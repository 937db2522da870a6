package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/art32/art32/internal/engine"
)

// ResealOptions are the choices of [DB.Reseal]; nil and zero fields mean the
// defaults.
type ResealOptions struct {
	// Indexes computes all index values anew although the index key has one
	// version: after the declaration of an index was changed, or to find what SQL
	// has written beside it. Default: only while the key has several.
	Indexes bool
	// DryRun reads and compares as the run would, and writes nothing, no event
	// either. Default: cells and index values are written.
	DryRun bool
	// Progress is told the figures after each page. It runs on the goroutine of
	// the run, which waits for it: a Progress that sleeps slows the run down.
	// Default: nobody is told.
	Progress func(ResealProgress)
}

// ResealProgress says how far a run of [DB.Reseal] is.
type ResealProgress struct {
	Table     string // that is being looked at
	Rows      int    // of all tables that were looked at
	Of        int    // rows of all tables when the run began
	Resealed  int    // cells that were sealed anew
	Reindexed int    // index values that were computed anew
}

// Reseal seals anew what lies under older versions of the keys of the context's
// tenant, and computes index values anew while the index key has several
// versions. It goes through all tables of the schema in pages, while others read
// and write: what somebody has written meanwhile stays, and is counted as
// overtaken. What is done stands in the data, so that a run that was killed is
// started again, and two at once do each other's work.
//
// Cells of people who were erased stay as they are. A cell that does not open is
// counted as broken, and does not stop the rest. The run needs an actor and
// leaves an event "keys.reseal" at its beginning and one with its figures at its
// end, in the tenant's log; rows leave none, since nothing changes that a row
// says. It also works on tables that are known by their description alone.
//
// The report is that of the run; after an error, of what was looked at until
// then. Rows written by another instance within one TTL of the rotation may lie
// under the old version still: [DB.KeyReport] tells, and another run mends it.
func (db *DB) Reseal(ctx context.Context, o *ResealOptions) (r KeyReport, err error) {
	if o == nil {
		o = &ResealOptions{}
	}
	ctx, done := db.tel.span(ctx, "tenancy.Reseal")
	defer func() { done(err) }()
	scope, err := db.keyScope(ctx, "reseal")
	if err != nil {
		return r, err
	}
	p, err := db.newPass(ctx, scope, o)
	if err != nil {
		return r, err
	}
	if o.DryRun {
		return p.report, p.run(ctx)
	}
	if err := db.noteKeys(ctx, scope, "keys.reseal", "begun"); err != nil {
		return r, err
	}
	detail := "ended"
	if err = p.run(ctx); err != nil {
		detail = "interrupted"
	}
	figures := p.report.figures()
	return p.report, errors.Join(err, db.noteKeys(context.WithoutCancel(ctx), scope, "keys.reseal", detail, figures...))
}

// KeyReport counts under which versions of their keys the cells of the context's
// tenant lie, without decrypting them, what is retired, and what the log holds
// if it is a [SealedCounter]. Index values say nothing of their version: a run
// of [DB.Reseal] with DryRun compares them.
func (db *DB) KeyReport(ctx context.Context) (r KeyReport, err error) {
	ctx, done := db.tel.span(ctx, "tenancy.KeyReport")
	defer func() { done(err) }()
	scope, err := tenantScope(ctx)
	if err != nil {
		return r, err
	}
	p, err := db.newPass(ctx, scope, &ResealOptions{DryRun: true})
	if err != nil {
		return r, err
	}
	p.compute = false
	if err := p.run(ctx); err != nil {
		return p.report, err
	}
	return p.report, p.elsewhere(ctx, p.counters(nil))
}

// keyScope is the scope of a verb that changes keys or what lies under them.
func (db *DB) keyScope(ctx context.Context, verb string) (engine.Scope, error) {
	if open := txIn(ctx); open != nil && open.db == db {
		return engine.Scope{}, fmt.Errorf("tenancy: %s inside a transaction, which could roll back: %w", verb, ErrTxInUse)
	}
	if _, err := ActorFrom(ctx); err != nil {
		return engine.Scope{}, err
	}
	scope, err := tenantScope(ctx)
	if err != nil {
		return engine.Scope{}, err
	}
	return scope, db.knows(ctx, scope)
}

// noteKeys records a step of such a verb in a transaction of its own. What it
// announces must not happen if this fails.
func (db *DB) noteKeys(ctx context.Context, scope engine.Scope, action, detail string, figures ...FieldChange) error {
	tx, err := db.begin(ctx, scope)
	if err != nil {
		return err
	}
	c := Change{Action: action, Outcome: Done, Detail: detail, Fields: figures}
	return tx.do(ctx, func(ctx context.Context) error { return wrap("record", action, tx.record(ctx, c)) })
}

// figures are those of a run as an event holds them.
func (r *KeyReport) figures() []FieldChange {
	rows := 0
	for i := range r.Tables {
		rows += r.Tables[i].Rows
	}
	var out []FieldChange
	for _, f := range []struct {
		name string
		n    int
	}{
		{"rows", rows}, {"resealed", r.Resealed}, {"reindexed", r.Reindexed}, {"left", r.Left()},
		{"broken", r.Broken()}, {"overtaken", r.Overtaken}, {"destroyed", r.Destroyed}, {"waiting", r.Waiting},
	} {
		out = append(out, FieldChange{Column: f.name, Class: Open, New: f.n})
	}
	return out
}
