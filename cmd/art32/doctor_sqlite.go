package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// directory looks at a data directory.
func (d *doctor) directory(ctx context.Context) error {
	src, err := openFiles(ctx, d.data)
	if errors.Is(err, errForeign) {
		return d.foreign(ctx)
	}
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
	d.add("TOM-3.2", "modes", modes...)
	d.file(ctx, "TOM-7.2", keystoreFile, []tenancy.Line{keyring.Migrations()})
	d.keys(ctx)
	d.file(ctx, "TOM-8.1", platformFile, platformLines())
	found, err := src.found()
	if err != nil {
		return err
	}
	all := map[tenancy.ID]tenantRow{}
	for id := range found {
		all[id] = tenantRow{}
	}
	d.tenantFiles(ctx, names(all))
	d.logs(ctx, src)
	d.packages(ctx, src)
	return ctx.Err()
}

// tenantFiles looks at each file, and sums up those in order where there are too
// many for one screen.
func (d *doctor) tenantFiles(ctx context.Context, names []string) {
	all := d.checks
	d.checks = nil
	for _, name := range names {
		d.file(ctx, "TOM-8.1", name, tenantLines(d.app))
	}
	files := d.checks
	d.checks = all
	if len(names) > most {
		files = slices.DeleteFunc(files, func(c check) bool { return c.OK })
		d.note("TOM-8.1", "tenants' files", fmt.Sprintf("%d of %d in order", len(names)-len(files), len(names)))
	}
	d.checks = append(d.checks, files...)
}

func (d *doctor) keys(ctx context.Context) {
	store, done, err := d.keystore(ctx)
	if err != nil { // said already
		return
	}
	defer done()
	d.root(ctx, store)
	d.ages(ctx, store)
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
			found = append(found, bad(fmt.Sprintf("%s has mode %04o: others may use it", path, mode.Perm()), mend(path, e.IsDir())))
		}
		return nil
	})
	return found, err
}

func mend(path string, dir bool) string {
	if dir {
		return "chmod 700 " + shell(path)
	}
	return "chmod 600 " + shell(path)
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./+:@%=,~][-A-Za-z0-9_./+:@%=,~]*$`)

// shell writes a path so that a command with it can be copied: others may have
// named the file.
func shell(path string) string {
	if plainPath.MatchString(path) && path[0] != '~' {
		return path
	}
	if line(path) != path {
		return "(by hand: its name is no plain text)"
	}
	if path[0] == '-' {
		path = "./" + path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// restoring is how a file is had again.
func restoring(name string) string {
	if name == keystoreFile {
		return "restore it from its copy (art32 keys restore) or from a backup"
	}
	return "restore it from a backup"
}

// file looks for damage and pending migrations in one file.
func (d *doctor) file(ctx context.Context, measure, name string, lines []tenancy.Line) {
	if _, err := os.Lstat(filepath.Join(d.data, filepath.FromSlash(name))); err != nil {
		d.add(measure, name, bad("it is missing", restoring(name)))
		return
	}
	f, err := openFile(d.data, name)
	if err != nil {
		d.add(measure, name, fault{What: err.Error()})
		return
	}
	defer f.db.Close()
	found := f.faults(ctx, lines)
	if len(found) > 0 && f.stirred() {
		d.unchecked(measure, name, "somebody wrote it meanwhile: repeat it")
		return
	}
	d.add(measure, name, found...)
}

// faults are damage and pending migrations.
func (r *roFile) faults(ctx context.Context, lines []tenancy.Line) []fault {
	name := r.file.name
	restore := restoring(name)
	var verdict string
	if err := r.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return []fault{bad(fromSQLite(name, err).Error(), restore)}
	}
	if verdict != "ok" { // its words may quote values
		return []fault{bad("the file is damaged", restore)}
	}
	held, err := applied(ctx, r.db, migrate.SQLite)
	var missing []string
	if err == nil {
		missing, err = pending(ctx, r.db, migrate.SQLite, begun(lines, held))
	}
	switch {
	case err != nil:
		return []fault{{What: fromSQLite(name, err).Error()}}
	case len(held) == 0 && name == keystoreFile:
		return []fault{bad("it holds nothing", restore)}
	case len(missing) > 0:
		return []fault{bad("pending: "+strings.Join(missing, ", "), "run art32 migrate")}
	}
	return nil
}
