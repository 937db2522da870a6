package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"modernc.org/sqlite"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// The files of a data directory.
const (
	platformFile = "platform.db"
	keystoreFile = "keystore.db"
	tenantsDir   = "tenants"
	keyFile      = "root.key"
)

func fileOf(tenant uuid.UUID) string {
	if tenant == uuid.Nil {
		return platformFile
	}
	return tenantsDir + "/" + tenant.String() + ".db"
}

// files is a data directory whose files are only read. It keeps the platform's
// and that of one tenant open at a time.
type files struct {
	dir  string
	own  *roFile // the platform's
	open *roFile // of a tenant
}

var _ source = (*files)(nil)

// roFile is one SQLite file.
type roFile struct {
	tenant uuid.UUID
	file   sqFile
	db     *sql.DB
	before string // its state as it was found, if it is read as it lies; else ""
}

func openFiles(ctx context.Context, dir string) (*files, error) {
	if err := initialised(ctx, dir); err != nil {
		return nil, err
	}
	return &files{dir: dir}, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (f *files) dialect() migrate.Dialect { return migrate.SQLite }

func (f *files) begin(ctx context.Context, tenant uuid.UUID) (*sql.Tx, error) {
	held := f.held(tenant)
	if *held == nil || (*held).tenant != tenant {
		if err := shut(held); err != nil {
			return nil, err
		}
		file, err := openFile(f.dir, fileOf(tenant))
		if err != nil {
			return nil, err
		}
		file.tenant, *held = tenant, file
		if err := file.belongs(ctx); err != nil {
			return nil, errors.Join(err, shut(held))
		}
	}
	return (*held).db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
}

// held is where the file of a tenant, or of the platform, is kept open.
func (f *files) held(tenant uuid.UUID) **roFile {
	if tenant == uuid.Nil {
		return &f.own
	}
	return &f.open
}

func shut(held **roFile) error {
	if *held == nil {
		return nil
	}
	err := (*held).db.Close()
	*held = nil
	return err
}

// belongs refuses a tenant's file that holds the rows of another one.
func (r *roFile) belongs(ctx context.Context) error {
	if r.tenant == uuid.Nil {
		return nil
	}
	var whose string
	if err := r.db.QueryRowContext(ctx, "SELECT tenant_id FROM art32_home WHERE one = 1").Scan(&whose); err != nil {
		return fmt.Errorf("%s does not say whose it is: %w", fileOf(r.tenant), err)
	}
	if whose != r.tenant.String() {
		return fmt.Errorf("%s holds the data of another tenant: files were exchanged", fileOf(r.tenant))
	}
	return nil
}

// openFile opens a file of the directory for reading, as [sqFile.open] does.
func openFile(dir, name string) (*roFile, error) {
	f := sqFile{path: filepath.Join(dir, filepath.FromSlash(name)), name: name}
	st, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing: restore it from a backup", name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f.wal, _, _ = header(f.path) // what is no SQLite file says so when it is read
	out := &roFile{file: f}
	if !f.logged() {
		out.before = f.state()
	}
	db, why, err := f.open()
	if why != "" {
		err = fmt.Errorf("%s: %s", name, why)
	}
	out.db = db
	return out, err
}

// stirred reports whether somebody opened or wrote a file that is read as it lies.
func (r *roFile) stirred() bool { return r.before != "" && r.file.state() != r.before }

// moved reports whether somebody opened or wrote the tenant's file or the
// platform's meanwhile.
func (f *files) moved(tenant uuid.UUID) bool {
	own, platform := f.stirred(tenant), f.stirred(uuid.Nil)
	return own || platform
}

func (f *files) stirred(tenant uuid.UUID) bool {
	held := f.held(tenant)
	file := *held
	if file == nil || file.tenant != tenant || !file.stirred() {
		return false
	}
	_ = shut(held)
	return true
}

func (f *files) platform() *sql.DB {
	if f.own == nil {
		return nil
	}
	return f.own.db
}

func (f *files) close() error { return errors.Join(shut(&f.open), shut(&f.own)) }

func (f *files) explain(tenant uuid.UUID, err error) error { return fromSQLite(fileOf(tenant), err) }

// The result codes of SQLite that an operator can act on,
// https://sqlite.org/rescode.html.
var sqliteCodes = map[int]string{
	3:  "access denied",
	5:  "another process keeps it locked",
	8:  "it was not closed and its directory is read-only: copy all files of it elsewhere, and verify the copy",
	10: "disk input or output error",
	11: "the file is damaged: restore it from a backup",
	14: "it cannot be opened: check its rights; if it was not closed and its directory is read-only, copy all files of it elsewhere",
	26: "the file is damaged or is no SQLite database: restore it from a backup",
}

// fromSQLite names the file and keeps only words that quote no value.
func fromSQLite(name string, err error) error {
	native, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	if text, ok := sqliteCodes[native.Code()&0xff]; ok {
		return fmt.Errorf("%s: %s (code %d)", name, text, native.Code())
	}
	if strings.Contains(native.Error(), "no such table") {
		return fmt.Errorf("%s lacks a table of art32: it is no file of art32, or a table was removed", name)
	}
	return fmt.Errorf("%s: SQLite error %d", name, native.Code())
}

// tenantRow is what the platform's file knows of a tenant.
type tenantRow struct{ closed, made bool }

// logs joins what the platform's file knows with the files that are there.
func (f *files) logs(ctx context.Context) ([]subject, error) {
	platform := subject{}
	rows, err := f.tenants(ctx)
	told := map[tenancy.ID]bool{}
	if err == nil {
		told, err = created(ctx, f)
	}
	if err != nil { // the tenants' own files can be read all the same
		platform.wrong, platform.absent = append(platform.wrong, err.Error()), true
	}
	found, err := f.found()
	if err != nil {
		return nil, err
	}
	known := map[tenancy.ID]bool{}
	for id := range rows {
		known[id] = true
	}
	all := []subject{platform}
	for id := range union(known, found, told) {
		row, isKnown := rows[id]
		all = append(all, judge(id, row, isKnown || platform.absent, found[id]))
	}
	sortSubjects(all)
	return all, nil
}

// judge says what contradicts itself about a tenant.
func judge(id tenancy.ID, row tenantRow, known, found bool) subject {
	s := subject{tenant: id, absent: !found}
	if !known {
		s.wrong = append(s.wrong, "there is a file of this tenant or an event of its creation, but "+platformFile+" does not know it: its row was deleted")
	}
	if !found && row.made {
		s.wrong = append(s.wrong, fileOf(id.UUID())+" is missing although it was made: restore it from a backup")
	}
	return s
}

func (f *files) tenants(ctx context.Context) (map[tenancy.ID]tenantRow, error) {
	all := map[tenancy.ID]tenantRow{}
	err := each(ctx, f, uuid.Nil, func(r engine.Row) error {
		var text string
		var row tenantRow
		err := r.Scan(&text, &row.closed, &row.made)
		if id, perr := tenancy.ParseID(text); perr == nil {
			all[id] = row
		}
		return err
	}, `SELECT t.id, t.closed_at IS NOT NULL, f.tenant_id IS NOT NULL
		FROM art32_tenants t LEFT JOIN art32_files f ON f.tenant_id = t.id`)
	return all, err
}

// found lists the tenants that have a file.
func (f *files) found() (map[tenancy.ID]bool, error) {
	all := map[tenancy.ID]bool{}
	entries, err := os.ReadDir(filepath.Join(f.dir, tenantsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", tenantsDir, err)
	}
	for _, e := range entries {
		if id, err := tenancy.ParseID(strings.TrimSuffix(e.Name(), ".db")); err == nil && strings.HasSuffix(e.Name(), ".db") {
			all[id] = true
		}
	}
	return all, nil
}
