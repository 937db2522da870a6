package sqlitesource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/filelock"
	"github.com/art32/art32/tenancy"
)

const (
	draftEnd   = ".restoring"
	markerName = ".art32-restore" // says that a folder is ours to remove, and locks it
	heldError  = "held by restore"
)

// IntoOptions are the choices of [Into]; nil and zero fields mean the defaults.
type IntoOptions struct {
	// Keystore is the directory for keystore.db. Default: that of the data.
	Keystore string
	// Migrations are those that the application gives to sqlite.Open. They are
	// needed only where an erasure is to be repeated in a file that is older than
	// the tables which the application declared last. Default: none.
	Migrations fs.FS
}

// Destination is a directory that does not exist yet, or is empty.
type Destination struct {
	o     IntoOptions
	data  place
	keys  place // the same as data where there is no other
	files []tenancy.ID
}

// place is a directory, and the one beside it that is filled first.
type place struct {
	dir, draft string
	lock       *filelock.Lock
	named      bool
}

var _ backup.Destination = (*Destination)(nil)

// Into gives the destination for the directory dir. It is filled as
// dir.restoring, and gets its name when all is well.
func Into(dir string, o *IntoOptions) *Destination {
	d := &Destination{}
	if o != nil {
		d.o = *o
	}
	d.data.dir = absolute(dir)
	d.keys.dir = d.data.dir
	if d.o.Keystore != "" {
		d.keys.dir = absolute(d.o.Keystore)
	}
	return d
}

// absolute leaves the error, of a working directory that is gone, to the use.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Engine implements [backup.Destination].
func (d *Destination) Engine() string { return "sqlite" }

// Begin implements [backup.Destination].
func (d *Destination) Begin(context.Context) error {
	err := d.data.begin()
	if err == nil && d.keys.dir != d.data.dir {
		err = d.keys.begin()
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(d.data.draft, tenantsDir), 0o700)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("sqlitesource: restore: %w", err), d.Abort(context.Background()))
	}
	if d.keys.dir == d.data.dir {
		d.keys.draft = d.data.draft
	}
	return nil
}

func (p *place) begin() error {
	if err := p.free(); err != nil {
		return err
	}
	draft := p.dir + draftEnd
	if err := removeDraft(draft); err != nil {
		return err
	}
	if err := os.Mkdir(draft, 0o700); err != nil {
		return err
	}
	p.draft = draft
	var err error
	if p.lock, err = filelock.Try(filepath.Join(draft, markerName)); err == nil && p.lock == nil {
		err = fmt.Errorf("%w: another restore fills %s", backup.ErrBusy, draft)
	}
	return err
}

// free refuses a place that holds anything.
func (p *place) free() error {
	entries, err := os.ReadDir(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%w: %s", backup.ErrNotEmpty, p.dir)
	}
	return err
}

// removeDraft removes what a restore of this user left that died, and nothing
// else: somebody else could have laid it out.
func removeDraft(draft string) error {
	root, st, err := openFolder(draft)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	marker, err := root.Lstat(markerName)
	if err := errors.Join(err, root.Close()); err != nil || !marker.Mode().IsRegular() || !private(st) {
		return fmt.Errorf("%w: %s is in the way", backup.ErrNotEmpty, draft)
	}
	lock, err := filelock.Try(filepath.Join(draft, markerName))
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("%w: another restore fills %s", backup.ErrBusy, draft)
	}
	return errors.Join(clearAway(draft), lock.Unlock())
}

// Keystore implements [backup.Destination].
func (d *Destination) Keystore(_ context.Context, name string, size int64, r io.Reader) error {
	if name != keystoreName {
		return fmt.Errorf("sqlitesource: restore: the copy of the keystore holds a file that is none of it")
	}
	return write(filepath.Join(d.keys.draft, keystoreName), size, r)
}

// File implements [backup.Destination].
func (d *Destination) File(_ context.Context, t tenancy.ID, name string, size int64, r io.Reader) error {
	want := platformName
	if !t.IsZero() {
		want = tenantsDir + "/" + t.String() + suffix
		d.files = append(d.files, t)
	}
	if name != want {
		return fmt.Errorf("sqlitesource: restore: a part holds a file that is none of it")
	}
	return write(d.path(t), size, r)
}

func (d *Destination) path(t tenancy.ID) string {
	if t.IsZero() {
		return filepath.Join(d.data.draft, platformName)
	}
	return filepath.Join(d.data.draft, tenantsDir, t.String()+suffix)
}

func write(path string, size int64, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("sqlitesource: restore: %w", err)
	}
	n, err := io.Copy(f, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sqlitesource: restore: %w", err)
	}
	return nil
}

// Loaded implements [backup.Destination].
func (d *Destination) Loaded(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	all := map[tenancy.ID][]backup.Table{}
	for _, t := range append([]tenancy.ID{{}}, d.files...) {
		tables, err := d.load(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("sqlitesource: restore: %w", err)
		}
		all[t] = tables
	}
	if err := d.closeMissing(ctx); err != nil {
		return nil, fmt.Errorf("sqlitesource: restore: %w", err)
	}
	return all, nil
}

// load checks and counts a file before it holds the messages in it.
func (d *Destination) load(ctx context.Context, t tenancy.ID) ([]backup.Table, error) {
	path := d.path(t)
	if err := check(ctx, path); err != nil {
		return nil, err
	}
	if !t.IsZero() {
		if err := ofTenant(ctx, path, t); err != nil {
			return nil, err
		}
	}
	tables, err := countTables(ctx, path)
	if err != nil {
		return nil, err
	}
	return tables, hold(ctx, path)
}

// stamp is the form of times in the library's tables.
const stamp = "2006-01-02T15:04:05.000000Z"

// hold ends the messages that wait: what they say may have been said since.
func hold(ctx context.Context, path string) error {
	return edit(ctx, path, func(tx *sql.Tx, has map[string]bool) error {
		if !has["art32_outbox"] {
			return nil
		}
		_, err := tx.ExecContext(ctx, `UPDATE art32_outbox SET dead_at = ?, last_error = ?
			WHERE delivered_at IS NULL AND dead_at IS NULL`, time.Now().UTC().Format(stamp), heldError)
		return err
	})
}

// closeMissing closes the tenants whose part nobody could open: their backups
// were forgotten, by intent.
func (d *Destination) closeMissing(ctx context.Context) error {
	_, made, err := readTenants(ctx, d.path(tenancy.ID{}))
	if err != nil {
		return err
	}
	there := map[tenancy.ID]bool{}
	for _, t := range d.files {
		there[t] = true
	}
	return edit(ctx, d.path(tenancy.ID{}), func(tx *sql.Tx, _ map[string]bool) error {
		for _, t := range made {
			if there[t] {
				continue
			}
			_, err := tx.ExecContext(ctx, "UPDATE art32_tenants SET closed_at = ? WHERE id = ? AND closed_at IS NULL",
				time.Now().UTC().Format(stamp), t.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Abort implements [backup.Destination].
func (d *Destination) Abort(context.Context) error {
	var errs []error
	for _, p := range []*place{&d.data, &d.keys} {
		if p.lock == nil {
			continue
		}
		if p.draft != "" {
			errs = append(errs, clearAway(p.draft))
		}
		errs = append(errs, p.lock.Unlock())
		p.draft, p.lock = "", nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sqlitesource: abort: %w", err)
	}
	return nil
}
