package sqlite

import (
	"container/list"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// trustTime is how long a tenant that was found open counts as open without
// asking the platform's file again.
const trustTime = time.Second

// holding is a tenant's file that is open, or being opened.
type holding struct {
	tenant uuid.UUID
	ready  chan struct{} // closed when file and err are final
	file   *file
	err    error

	// under database.mu
	users int
	place *list.Element
	known time.Time // when the platform last said that the tenant is open
}

var (
	errClosed  = &engine.Error{Kind: engine.Unavailable, Text: "the database was closed"}
	errUnknown = &engine.Error{Kind: engine.UnknownTenant}
)

// acquire opens a tenant's file or joins others that use it; closed admits a
// tenant that is closed. The caller must release what it gets.
func (d *database) acquire(ctx context.Context, tenant uuid.UUID, closed bool) (*holding, error) {
	for {
		h, opener, err := d.hold(tenant, closed)
		if err != nil {
			return nil, err
		}
		if opener {
			h.file, h.err = d.openTenant(ctx, tenant, closed)
			close(h.ready)
		}
		select {
		case <-h.ready:
		case <-ctx.Done():
			d.release(h)
			return nil, translate(ctx.Err(), fileName(tenant))
		}
		if h.err == nil && !closed {
			err = d.recheck(ctx, h)
		} else {
			err = h.err
		}
		if err == nil {
			return h, nil
		}
		d.release(h)
		again := cancelled(h.err) || closed && errors.Is(h.err, engine.ErrUnknownTenant)
		if opener || ctx.Err() != nil || h.err == nil || !again {
			return nil, err
		}
		// The opener's context ended, not ours, or it may not have what we may: try again.
	}
}

func cancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// hold finds or enters the holding; the one who enters it must open it. What was
// opened for a closed tenant counts as open for nobody.
func (d *database) hold(tenant uuid.UUID, closed bool) (h *holding, opener bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, errClosed
	}
	h = d.open[tenant]
	if h == nil {
		h = &holding{tenant: tenant, ready: make(chan struct{})}
		if !closed {
			h.known = time.Now()
		}
		h.place = d.recent.PushFront(h)
		d.open[tenant] = h
		opener = true
	}
	h.users++
	d.recent.MoveToFront(h.place)
	return h, opener, nil
}

// release gives a holding back, and closes files that are beyond the limit and
// used by nobody. Files in use are never closed, so that more than the limit
// may be open while more are in use.
func (d *database) release(h *holding) {
	d.mu.Lock()
	h.users--
	if failed := isClosed(h.ready) && h.err != nil; failed && d.open[h.tenant] == h {
		d.forget(h)
	}
	surplus := d.surplus()
	d.mu.Unlock()
	for _, f := range surplus {
		_ = f.close() // its log stays beside it and is read with the next opening
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (d *database) forget(h *holding) {
	d.recent.Remove(h.place)
	delete(d.open, h.tenant)
}

// surplus takes the files out that were not used for longest. The caller has
// the lock and closes them after it.
func (d *database) surplus() (out []*file) {
	for e := d.recent.Back(); e != nil && len(d.open) > d.o.MaxOpen; {
		before := e.Prev()
		h, _ := e.Value.(*holding)
		if h.users == 0 && h.file != nil {
			d.forget(h)
			out = append(out, h.file)
		}
		e = before
	}
	return out
}

// recheck asks the platform again whether the tenant is open.
func (d *database) recheck(ctx context.Context, h *holding) error {
	d.mu.Lock()
	fresh := time.Since(h.known) < trustTime
	d.mu.Unlock()
	if fresh {
		return nil
	}
	if _, err := d.tenantState(ctx, h.tenant, false); err != nil {
		return err
	}
	d.mu.Lock()
	h.known = time.Now()
	d.mu.Unlock()
	return nil
}

// Recheck has the next use of the tenant ask the platform again.
func (d *database) Recheck(tenant uuid.UUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.open[tenant]; h != nil {
		h.known = time.Time{}
	}
}

// entry is what the platform's file says of a tenant.
type entry struct {
	open    bool // and not closed
	created bool // its file was made
}

// tenantState asks the platform's file. An unknown tenant is an error, and so is
// a closed one unless closed admits it.
func (d *database) tenantState(ctx context.Context, tenant uuid.UUID, closed bool) (e entry, err error) {
	ses, err := d.platform.session(ctx)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, ses.close()) }()
	known, e, err := d.lookUp(ctx, ses, tenant)
	if err == nil && (!known || !e.open && !closed) {
		err = errUnknown
	}
	return e, err
}

func (d *database) lookUp(ctx context.Context, s session, tenant uuid.UUID) (known bool, e entry, err error) {
	_, err = s.run(ctx, engine.Stmt{
		SQL: `SELECT t.closed_at IS NULL, f.tenant_id IS NOT NULL
			FROM art32_tenants t LEFT JOIN art32_files f ON f.tenant_id = t.id WHERE t.id = $1`,
		Args: []any{tenant},
	}, func(r engine.Row) error {
		known = true
		return r.Scan(&e.open, &e.created)
	})
	return known, e, err
}

// openTenant opens the file of a tenant, which it makes on first use. A closed
// tenant may have none: a restore closes those of whom it has no file.
func (d *database) openTenant(ctx context.Context, tenant uuid.UUID, closed bool) (*file, error) {
	state, err := d.tenantState(ctx, tenant, closed)
	if err != nil {
		return nil, err
	}
	name := fileName(tenant)
	there, err := exists(filepath.Join(d.dir, filepath.FromSlash(name)))
	switch {
	case err != nil:
		return nil, pathError("look at file", err)
	case !there && !state.open:
		return nil, errUnknown
	case !there && state.created:
		return nil, &engine.Error{Kind: engine.Other, Text: name + " is missing although it was made; restore it from a backup"}
	case !there:
		err = d.create(ctx, tenant)
	case !state.created:
		err = d.platform.write(ctx, func(s session) error { return d.adopt(ctx, s, tenant) })
	}
	if err != nil {
		return nil, err
	}
	f := newFile(d.dir, name, d.use(caller, true))
	err = d.bring(ctx, f, tenant)
	if err == nil {
		err = d.fits(ctx, f, tenant)
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if err := d.reconcileFile(ctx, f, tenant); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// adopt records a file whose creator crashed after naming it.
func (d *database) adopt(ctx context.Context, s session, tenant uuid.UUID) error {
	_, e, err := d.lookUp(ctx, s, tenant)
	if err != nil || e.created {
		return err
	}
	return recordFile(ctx, s, tenant)
}

// bring judges a tenant's file and migrates it where that is due.
func (d *database) bring(ctx context.Context, f *file, tenant uuid.UUID) error {
	unclean, err := inspect(f.path, f.name)
	if err != nil {
		return err
	}
	if unclean {
		if err := f.check(ctx); err != nil {
			return err
		}
	}
	var whose uuid.UUID
	var lines string
	err = f.query(ctx, engine.Stmt{SQL: `SELECT tenant_id, lines FROM art32_home WHERE one = 1`, Rows: 1},
		func(r engine.Row) error { return r.Scan(&whose, &lines) })
	switch {
	case err != nil:
		return foreign(err, f.name)
	case whose != tenant:
		return &engine.Error{Kind: engine.Other, Text: f.name + " holds the data of another tenant"}
	case lines == d.plan.digest:
		return nil
	}
	if err := f.migrate(ctx, d.plan.untrusted, "FULL", d.plan.lines...); err != nil {
		return translateMigration(err, f.name)
	}
	return f.write(ctx, func(s session) error { return d.sign(ctx, s, tenant) })
}

// foreign says that a file without our table is none of ours.
func foreign(err error, name string) error {
	if e, ok := errors.AsType[*engine.Error](err); ok && primary(e.Code) == codeError {
		return &engine.Error{Kind: engine.Other, Text: name + " is not a tenant's file"}
	}
	return err
}
