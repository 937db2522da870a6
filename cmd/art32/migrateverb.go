package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

func migrateVerb() verb {
	return verb{
		name:  "migrate",
		brief: "apply the migrations of the library and of the application",
		login: "the owner's login (--dsn), or write access to the directory (--data). No key",
		more: `With --data it goes through the keystore, the platform's file and every tenant's.
A file that fails does not keep it from the others. With --dry-run nothing is
applied, and the exit code is 1 while something is pending.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			m := &migration{}
			m.flags(fs, "owner's", envOwner)
			fs.StringVar(&m.migrations, "migrations", "", "the `DIR` of the application's own migrations, files 0001_name.sql; default: none")
			fs.BoolVar(&m.dry, "dry-run", false, "list what is pending and apply nothing")
			fs.BoolVar(&m.dry, "pending", false, "the same as --dry-run")
			return m.run
		},
	}
}

// migration is one call of the verb.
type migration struct {
	target

	migrations string
	dry        bool
	app        fs.FS
}

// migrated is what became of one database.
type migrated struct {
	Database string   `json:"database"` // file, or "postgres"
	Applied  []string `json:"applied"`
	Pending  []string `json:"pending"` // with --dry-run
	Wrong    []string `json:"wrong"`
}

func (m *migration) run(ctx context.Context, out *output) (err error) {
	if err := m.resolve(); err != nil {
		return err
	}
	if m.app, err = folder(m.migrations); err != nil {
		return err
	}
	var all []migrated
	if m.data != "" {
		all, err = m.directory(ctx)
	} else {
		all, err = m.database(ctx)
	}
	if err != nil {
		return err
	}
	return m.report(out, all)
}

func (m *migration) report(out *output, all []migrated) error {
	bad, n := false, 0
	for i := range all {
		r := &all[i]
		r.print(out)
		n += len(r.Applied) + len(r.Pending)
		bad = bad || len(r.Wrong) > 0 || len(r.Pending) > 0
		r.Applied, r.Pending, r.Wrong = list(r.Applied), list(r.Pending), list(r.Wrong)
	}
	switch {
	case m.dry:
		out.textf("%d pending", n)
	default:
		out.textf("%d applied", n)
	}
	err := out.value(struct {
		OK        bool       `json:"ok"`
		Databases []migrated `json:"databases"`
	}{!bad, all})
	if err == nil && bad {
		err = errFindings
	}
	return err
}

// list makes an empty list of none, for machines.
func list(s []string) []string { return append([]string{}, s...) }

func (r *migrated) print(out *output) {
	for _, name := range r.Applied {
		out.textf("%s: applied %s", r.Database, name)
	}
	for _, name := range r.Pending {
		out.textf("%s: pending %s", r.Database, name)
	}
	for _, text := range r.Wrong {
		out.textf("%s: BAD: %s", r.Database, text)
	}
}

// database migrates PostgreSQL.
func (m *migration) database(ctx context.Context) ([]migrated, error) {
	db, err := openPostgres(ctx, m.dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	r := migrated{Database: "postgres"}
	if m.dry {
		r.Pending, err = pending(ctx, db, migrate.Postgres, postgresLines(m.app))
		return []migrated{r}, fromServer(err)
	}
	before, err := applied(ctx, db, migrate.Postgres)
	if err != nil {
		return nil, fromServer(err)
	}
	if len(before) == 0 {
		return nil, errors.New("the database holds no tables of art32: run art32 init first")
	}
	if err := postgres.Migrate(ctx, m.dsn, &postgres.SetupOptions{Migrations: m.app, Lines: packageLines()}); err != nil {
		r.Wrong = []string{err.Error()}
	}
	after, err := applied(ctx, db, migrate.Postgres)
	r.Applied = added(before, after)
	return []migrated{r}, fromServer(err)
}

func added(before, after map[string]bool) []string {
	maps.DeleteFunc(after, func(name string, _ bool) bool { return before[name] })
	return slices.Sorted(maps.Keys(after))
}

// directory migrates the files of SQLite.
func (m *migration) directory(ctx context.Context) ([]migrated, error) {
	src, err := openFiles(ctx, m.data)
	if err != nil {
		return nil, err
	}
	if !exists(filepath.Join(m.data, platformFile)) {
		return nil, fmt.Errorf("%s is missing in %s: run art32 init, or restore it from a backup", platformFile, m.data)
	}
	tenants, err := src.tenants(ctx)
	if err = errors.Join(err, src.close()); err != nil {
		return nil, err
	}
	maps.DeleteFunc(tenants, func(_ tenancy.ID, r tenantRow) bool { return r.closed || !r.made })
	if m.dry {
		return m.listPending(ctx, tenants)
	}
	return m.migrateFiles(ctx, tenants)
}

func (m *migration) listPending(ctx context.Context, tenants map[tenancy.ID]tenantRow) ([]migrated, error) {
	all := []migrated{
		m.pendingOf(ctx, keystoreFile, []tenancy.Line{keyring.Migrations()}),
		m.pendingOf(ctx, platformFile, platformLines()),
	}
	for _, name := range names(tenants) {
		all = append(all, m.pendingOf(ctx, name, tenantLines(m.app)))
	}
	return all, ctx.Err()
}

// names lists the files of tenants in order.
func names(tenants map[tenancy.ID]tenantRow) []string {
	var all []string
	for id := range tenants {
		all = append(all, fileOf(id.UUID()))
	}
	slices.Sort(all)
	return all
}

func (m *migration) pendingOf(ctx context.Context, name string, lines []tenancy.Line) migrated {
	r := migrated{Database: name}
	f, err := openFile(m.data, name)
	if err == nil {
		defer f.db.Close()
		r.Pending, err = pending(ctx, f.db, migrate.SQLite, lines)
	}
	if err != nil {
		r.Wrong = []string{fromSQLite(name, err).Error()}
	}
	return r
}

// migrateFiles lets the engine open each file, which migrates it, and compares
// what it holds before and after.
func (m *migration) migrateFiles(ctx context.Context, tenants map[tenancy.ID]tenantRow) (all []migrated, err error) {
	files := append([]string{keystoreFile, platformFile}, names(tenants)...)
	before := make(map[string]map[string]bool, len(files))
	for _, name := range files {
		before[name], _ = m.appliedIn(ctx, name) // what cannot be read fails below
	}
	wrong, err := m.openAll(ctx, tenants)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		r := migrated{Database: name}
		after, err := m.appliedIn(ctx, name)
		if err == nil {
			r.Applied = added(before[name], after)
		}
		if err = errors.Join(wrong[name], err); err != nil {
			r.Wrong = []string{err.Error()}
		}
		all = append(all, r)
	}
	return all, ctx.Err()
}

func (m *migration) appliedIn(ctx context.Context, name string) (map[string]bool, error) {
	f, err := openFile(m.data, name)
	if err != nil {
		return nil, err
	}
	defer f.db.Close()
	all, err := applied(ctx, f.db, migrate.SQLite)
	return all, fromSQLite(name, err)
}

// openAll returns what went wrong by file.
func (m *migration) openAll(ctx context.Context, tenants map[tenancy.ID]tenantRow) (wrong map[string]error, err error) {
	store, err := sqlite.OpenKeystore(ctx, m.data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }() //nolint:contextcheck // as io.Closer
	schema, err := declaredIn(ctx, m.data)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.New(noRoot{}, store, nil)
	if err != nil {
		return nil, err
	}
	db, err := sqlite.Open(ctx, m.data, schema, keys, &audit.Log{}, &sqlite.Options{Migrations: m.app, Lines: packageLines()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	wrong = map[string]error{}
	for id := range tenants {
		if err := touch(ctx, db, id); err != nil {
			wrong[fileOf(id.UUID())] = err
		}
	}
	return wrong, nil
}

// noRoot stands for the root key where no key is opened: nothing is read or written
// but tables.
type noRoot struct{}

var errNoRoot = errors.New("this needs the root key, which the application has: start it, which does the same")

// Wrap implements [keyring.Wrapper].
func (noRoot) Wrap(context.Context, []byte, []byte) ([]byte, error) { return nil, errNoRoot }

// Unwrap implements [keyring.Wrapper].
func (noRoot) Unwrap(context.Context, []byte, []byte) ([]byte, error) { return nil, errNoRoot }

// touch opens a tenant's file.
func touch(ctx context.Context, db *tenancy.DB, tenant tenancy.ID) error {
	t, err := db.Engine(engine.Library).Begin(ctx, engine.Scope{Tenant: tenant.UUID()})
	if err != nil {
		return err
	}
	if _, err := t.Run(ctx, engine.Stmt{SQL: "SELECT 1"}, engine.Commit, nil); err != nil {
		return errors.Join(err, t.Rollback(ctx))
	}
	return nil
}
