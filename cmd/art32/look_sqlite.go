package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/art32/art32/internal/guess"
)

// sqFile is a file of SQLite that the library did not make.
type sqFile struct {
	path, name string // name: as it is shown
	wal        bool   // its header asks for a write-ahead log
}

// findSQLite lists the SQLite files in a folder, or the one file that path is.
// It follows no links below it.
func findSQLite(path string) (files []sqFile, err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	st, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	base := path
	if !st.IsDir() {
		base = filepath.Dir(path)
	}
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(base, p)
		if err != nil {
			return err
		}
		if wal, ok, _ := header(p); ok { // the modes say where one may not be read
			files = append(files, sqFile{p, filepath.ToSlash(name), wal})
		}
		return nil
	})
	return files, err
}

// header reads the beginning of a file, https://sqlite.org/fileformat2.html.
func header(path string) (wal, ok bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, false, err
	}
	defer f.Close()
	var head [20]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return false, false, nil // too short to be one
	}
	return head[18] == 2, bytes.HasPrefix(head[:], []byte("SQLite format 3\x00")), nil
}

// logged reports whether a part of the file lies in a write-ahead log: somebody
// has it open, or a crash or a copy has left it so.
func (f sqFile) logged() bool { return f.wal && exists(f.path+"-wal") }

// open opens the file so that neither it nor the files beside it change, and that
// nobody who writes it waits. SQLite writes into the index of a write-ahead log
// even as a reader, unless told not to, and makes one where there is none; without
// a log a reader would keep writers out, so that the file is read as it lies and
// judged only if nobody wrote it meanwhile.
func (f sqFile) open() (db *sql.DB, why string, err error) {
	switch {
	case f.logged() && exists(f.path+"-shm"):
		db, err = f.with("readonly_shm=1&_pragma=busy_timeout(5000)")
	case f.logged():
		why = "it was copied while it was open, without the file -shm: open and close a copy of it, and look at that"
	case journalling(f.path):
		why = "a transaction is under way, or a crash has torn one: repeat it, or open the file once with its application"
	default:
		db, err = f.with(asItLies)
	}
	return db, why, err
}

// asItLies has SQLite read the file alone, and lock nothing.
const asItLies = "immutable=1"

func (f sqFile) with(option string) (*sql.DB, error) {
	const options = "mode=ro&_defensive=1&_error_rc=1&_dqs=0&_pragma=query_only(1)&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&"
	u := url.URL{Scheme: "file", Path: f.path, RawQuery: options + option}
	return sql.Open("sqlite", u.String())
}

// journalling reports whether a rollback journal holds anything.
func journalling(path string) bool {
	f, err := os.Open(path + "-journal")
	if err != nil {
		return false
	}
	defer f.Close()
	var head [1]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && head[0] != 0
}

// state is what changes when somebody writes the file.
func (f sqFile) state() string {
	st, err := os.Lstat(f.path)
	if err != nil {
		return "gone"
	}
	return fmt.Sprint(st.Size(), st.ModTime(), f.logged(), journalling(f.path))
}

// foreign looks at SQLite files that the library did not make.
func (d *doctor) foreign(ctx context.Context) error {
	if initialised(ctx, filepath.Dir(d.data)) == nil {
		return usagef("--data: %s lies in a directory of art32: name the directory", d.data)
	}
	files, err := findSQLite(d.data)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("--data: %s holds no data of art32 and no SQLite file: check the path, or run art32 init", d.data)
	}
	d.add("TOM-3.2", "modes", openModes(files)...)
	var bound, plain []fault
	n := 0
	for _, f := range files {
		all, ok := d.inspect(ctx, f)
		if !ok {
			continue
		}
		n += len(all)
		bound = append(bound, f.bound(all)...)
		for _, c := range all.clear() {
			c.What = f.name + ": " + c.What
			plain = append(plain, c)
		}
	}
	note := fmt.Sprintf("%d tables, by their names", n)
	d.note("TOM-8.1", "tenants in one file", note, bound...)
	d.note("TOM-7.2", "columns in clear", note, plain...)
	d.beyond()
	return ctx.Err()
}

// bound finds tables that seem to hold the rows of several tenants.
func (f sqFile) bound(all tables) (found []fault) {
	for _, name := range all.names() {
		if col := all.bound(name); col != "" {
			found = append(found, fault{
				What: fmt.Sprintf("%s: table %s looks tenant-bound (%s), and SQLite keeps nothing apart within a file", f.name, name, col), Guess: true,
				Mend: "declare it as a tenancy.Repository: tenancy/sqlite gives each tenant a file of its own",
			})
		}
	}
	return found
}

// openModes finds files and their folders that others may use.
func openModes(files []sqFile) (found []fault) {
	if runtime.GOOS == "windows" {
		return nil
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, filepath.Dir(f.path), f.path)
		for _, beside := range []string{"-wal", "-shm", "-journal"} {
			paths = append(paths, f.path+beside)
		}
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if st, err := os.Lstat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
			found = append(found, bad(fmt.Sprintf("%s has mode %04o: others may use it", path, st.Mode().Perm()),
				mend(path, st.IsDir())+" (sqlite.Open refuses it else)"))
		}
	}
	return found
}

// inspect looks for damage and reads names; ok is false where it could not.
func (d *doctor) inspect(ctx context.Context, f sqFile) (all tables, ok bool) {
	name, before := "file "+f.name, f.state()
	db, why, err := f.open()
	if err == nil && db != nil {
		defer db.Close()
		all, err = f.read(ctx, db)
	}
	switch {
	case why != "":
		d.unchecked("TOM-7.1", name, why)
	case err != nil && f.state() != before:
		d.unchecked("TOM-7.1", name, "somebody wrote it meanwhile: repeat it")
	case errors.Is(err, errDamaged):
		d.add("TOM-7.1", name, bad("the file is damaged", "restore it from a backup (package backup makes and verifies them)"))
	case err != nil:
		d.add("TOM-7.1", name, bad(fromSQLite(f.name, err).Error(), "restore it from a backup (package backup makes and verifies them), or open it with its application"))
	default:
		d.note("TOM-7.1", name, f.journal())
		return all, true
	}
	return nil, false
}

func (f sqFile) journal() string {
	if f.wal {
		return "undamaged; journal: write-ahead log"
	}
	return "undamaged; journal: rollback"
}

var errDamaged = errors.New("damaged")

// read checks the file and reads the names of its tables and columns.
func (f sqFile) read(ctx context.Context, db *sql.DB) (tables, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing to undo
	var verdict string
	if err := tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return nil, err
	}
	if verdict != "ok" { // its words may quote values
		return nil, errDamaged
	}
	rows, err := tx.QueryContext(ctx, `SELECT s.name, c.name, c.type FROM sqlite_schema s JOIN pragma_table_info(s.name) c
		WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND s.sql NOT LIKE 'CREATE VIRTUAL%'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := tables{}
	for rows.Next() {
		var table, name, typ string
		if err := rows.Scan(&table, &name, &typ); err != nil {
			return nil, err
		}
		all[table] = append(all[table], guess.Column{Name: name, Kind: sqliteKind(typ)})
	}
	return all, rows.Err()
}

// sqliteKind judges a declared type. SQLite binds nobody to it, so that what is
// not clearly a number or bytes counts as text.
func sqliteKind(typ string) guess.Kind {
	typ = strings.ToUpper(typ)
	for _, number := range []string{"BLOB", "INT", "REAL", "FLOA", "DOUBLE", "BOOL", "NUMERIC", "DECIMAL"} {
		if strings.Contains(typ, number) {
			return guess.Other
		}
	}
	if strings.Contains(typ, "DATE") || strings.Contains(typ, "TIME") {
		return guess.Date
	}
	return guess.Text
}
