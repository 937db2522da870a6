package sqlite

import (
	"container/list"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

const platformName = "platform.db"

// database is the engine: the platform's file, and those tenants' files that
// were used last. It is safe for concurrent use.
type database struct {
	dir      string
	o        Options
	plan     plan
	needs    needs // set before the first use
	platform *file

	// reconcile compares what a file knows of erasures with the keystore; nil
	// until there is one.
	reconcile  func(ctx context.Context, of engine.Erasures) error
	reconciled sync.Map // tenant → struct{}: since this process began

	mu     sync.Mutex
	open   map[uuid.UUID]*holding
	recent *list.List // of *holding, the last used first
	closed bool
}

var _ engine.Engine = (*database)(nil)

// openDatabase opens or makes the directory and the platform's file.
func openDatabase(ctx context.Context, dir string, ofLog []migrate.Line, o Options) (*database, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d := &database{dir: dir, o: o, open: map[uuid.UUID]*holding{}, recent: list.New()}
	if d.plan, err = newPlan(append(TenantLines(), ofLog...), o.Migrations); err != nil {
		return nil, err
	}
	if err := d.prepareDir(); err != nil {
		return nil, err
	}
	d.platform = newFile(dir, platformName, d.use(library, false))
	if err := d.openPlatform(ctx, append(append(PlatformLines(), ofLog...), o.Lines...)); err != nil {
		return nil, errors.Join(err, d.platform.close())
	}
	return d, nil
}

// use is what pools of this database have in common.
func (d *database) use(r rights, confined bool) use {
	return use{rights: r, confined: confined, sync: d.o.Durability.pragma(), timeout: d.o.BusyTimeout}
}

func (d *database) step(name string) {
	if d.o.step != nil {
		d.o.step(name)
	}
}

// prepareDir makes the directories. A platform file that is missing or empty
// beside tenants' files is a loss, not a beginning.
func (d *database) prepareDir() error {
	tenants := filepath.Join(d.dir, tenantsDir)
	if err := errors.Join(ensureDir(d.dir), ensureDir(tenants)); err != nil {
		return err
	}
	if err := sweep(tenants); err != nil {
		return err
	}
	path := filepath.Join(d.dir, platformName)
	if st, err := os.Lstat(path); err == nil && st.Size() > 0 {
		return nil
	}
	entries, err := os.ReadDir(tenants)
	if err != nil {
		return pathError("read directory", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), newPrefix) {
			return &engine.Error{Kind: engine.Other, Text: platformName + " is missing or empty, but tenants have files; restore it from a backup"}
		}
	}
	return ensureFile(path)
}

func (d *database) openPlatform(ctx context.Context, lines []migrate.Line) error {
	unclean, err := inspect(d.platform.path, d.platform.name)
	if err != nil {
		return err
	}
	if unclean {
		if err := d.platform.check(ctx); err != nil {
			return err
		}
	}
	pending, err := migrate.Pending(ctx, d.platform.db, migrate.SQLite, lines...)
	if err == nil && len(pending) > 0 {
		err = d.platform.migrate(ctx, nil, "FULL", lines...)
	}
	return translateMigration(err, platformName)
}

// translateMigration keeps the errors of package migrate, which name line and
// file, and puts all others into words without values.
func translateMigration(err error, file string) error {
	if _, ok := errors.AsType[*migrate.Error](err); ok {
		return err
	}
	return translate(err, file)
}

// Dialect implements [engine.Engine].
func (d *database) Dialect() migrate.Dialect { return migrate.SQLite }

// Platform implements [engine.Engine].
func (d *database) Platform() *sql.DB { return d.platform.db }

// Begin implements [engine.Engine].
func (d *database) Begin(_ context.Context, s engine.Scope) (engine.Tx, error) {
	return &tx{d: d, tenant: s.Tenant, closed: s.Closed, role: engine.RoleLibrary}, nil
}

// BeginRead implements [engine.Engine].
func (d *database) BeginRead(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	s.ReadOnly = true
	return d.BeginSQL(ctx, s)
}

// BeginSQL implements [engine.Engine]. It opens the tenant's file; the
// transaction begins with its first statement.
func (d *database) BeginSQL(ctx context.Context, s engine.Scope) (engine.SQLTx, error) {
	if s.Tenant == uuid.Nil {
		return nil, refused("callers' text on the platform's file")
	}
	t := &tx{d: d, tenant: s.Tenant, reads: s.ReadOnly, role: engine.RoleApp}
	if err := t.pinSQL(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// Scrub empties the write-ahead log of a tenant, or of the platform for the
// nil id: what was deleted or overwritten is in no file of the database when
// it returns nil. It waits for readers until ctx ends.
func (d *database) Scrub(ctx context.Context, tenant uuid.UUID) error {
	if tenant == uuid.Nil {
		return d.platform.scrub(ctx)
	}
	h, err := d.acquire(ctx, tenant, true)
	if err != nil {
		return err
	}
	defer d.release(h)
	return h.file.scrub(ctx)
}

// Close implements [engine.Engine]. Each file's log is moved into the file.
func (d *database) Close() error {
	d.mu.Lock()
	d.closed = true
	var files []*file
	for _, h := range d.open {
		if h.file != nil {
			files = append(files, h.file)
		}
	}
	clear(d.open)
	d.recent.Init()
	d.mu.Unlock()

	var errs []error
	for _, f := range append(files, d.platform) {
		errs = append(errs, f.shut())
	}
	return errors.Join(errs...)
}

// exists reports whether there is a file, whatever it is.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
