package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// directory looks at a data directory.
func (d *doctor) directory(ctx context.Context) error {
	src, err := openFiles(d.data)
	if err != nil {
		return err
	}
	defer src.close()
	if d.key == "" {
		d.key = filepath.Join(d.data, keyFile)
	}
	modes, err := d.modes()
	if err != nil {
		return err
	}
	d.add("modes", modes...)
	d.file(ctx, keystoreFile, []tenancy.Line{keyring.Migrations()})
	d.keys(ctx)
	d.file(ctx, platformFile, platformLines())
	found, err := src.found()
	if err != nil {
		return err
	}
	all := map[tenancy.ID]tenantRow{}
	for id := range found {
		all[id] = tenantRow{}
	}
	for _, name := range names(all) {
		d.file(ctx, name, tenantLines(d.app))
	}
	d.logs(ctx, src)
	return ctx.Err()
}

func (d *doctor) keys(ctx context.Context) {
	store, done, err := readKeystore(d.data)
	if err != nil { // said already
		return
	}
	defer done()
	d.root(ctx, store)
}

// modes finds what others than the owner may read or enter.
func (d *doctor) modes() (found []fault, err error) {
	if runtime.GOOS == "windows" {
		return nil, nil
	}
	err = filepath.WalkDir(d.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // a log that its process has closed
			return nil
		}
		if err != nil {
			return err
		}
		if mode := st.Mode(); mode.Perm()&0o077 != 0 && (mode.IsRegular() || mode.IsDir()) {
			found = append(found, fault{fmt.Sprintf("%s has mode %04o: others may use it", path, mode.Perm()), mend(path, e.IsDir())})
		}
		return nil
	})
	return found, err
}

func mend(path string, dir bool) string {
	if dir {
		return "chmod 700 " + path
	}
	return "chmod 600 " + path
}

// file looks for damage and pending migrations in one file.
func (d *doctor) file(ctx context.Context, name string, lines []tenancy.Line) {
	const restore = "restore it from a backup"
	if _, err := os.Lstat(filepath.Join(d.data, filepath.FromSlash(name))); err != nil {
		d.add(name, fault{"it is missing", restore})
		return
	}
	f, err := openFile(d.data, name, false)
	if err != nil {
		d.add(name, fault{err.Error(), restore})
		return
	}
	defer f.db.Close()
	var verdict string
	if err := f.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		d.add(name, fault{fromSQLite(name, err).Error(), restore})
		return
	}
	if verdict != "ok" { // its words may quote values
		d.add(name, fault{"the file is damaged", restore})
		return
	}
	missing, err := pending(ctx, f.db, migrate.SQLite, lines)
	switch {
	case err != nil:
		d.add(name, fault{fromSQLite(name, err).Error(), ""})
	case len(missing) > 0:
		d.add(name, fault{"pending: " + strings.Join(missing, ", "), "run art32 migrate"})
	default:
		d.add(name)
	}
}
