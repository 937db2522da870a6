package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/art32/art32/tenancy"
)

// errForeign: there is something, and art32 init did not make it.
var errForeign = errors.New("no data of art32")

// initialised refuses a directory that art32 init did not make. What the files are
// called says nothing: other programs have a platform.db and a folder of tenants
// too. One that holds tables of the library is enough, for the others may be lost.
func initialised(ctx context.Context, dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("--data: %w", err)
	case !st.IsDir():
		return fmt.Errorf("--data: %s is no directory and holds %w", dir, errForeign)
	}
	names, err := candidates(dir)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	for _, name := range names {
		ours, err := holdsOurs(ctx, filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
		if ours {
			return nil
		}
	}
	return fmt.Errorf("--data: %s holds %w: check the path, or run art32 init", dir, errForeign)
}

// candidates are the files that may be the library's, by their names.
func candidates(dir string) ([]string, error) {
	all := []string{platformFile, keystoreFile}
	tenants := filepath.Join(dir, tenantsDir)
	if st, err := os.Stat(tenants); err != nil || !st.IsDir() {
		return all, nil //nolint:nilerr // there are none
	}
	entries, err := os.ReadDir(tenants)
	for _, e := range entries {
		if id, err := tenancy.ParseID(strings.TrimSuffix(e.Name(), ".db")); err == nil {
			all = append(all, fileOf(id.UUID()))
		}
	}
	return all, err
}

// holdsOurs reports whether a file holds a table of the library. One that is
// missing, damaged or no SQLite file holds none that anybody could read; one that
// may not be opened is an error, for it could.
func holdsOurs(ctx context.Context, path string) (ours bool, err error) {
	if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
		return false, nil // there is none
	}
	wal, sqlite, err := header(path)
	if err != nil || !sqlite {
		return false, err
	}
	f := sqFile{path: path, wal: wal}
	db, why, err := f.open()
	if why != "" { // the names of tables stand in the file itself
		db, err = f.with(asItLies)
	}
	if err != nil {
		return false, err
	}
	defer db.Close()
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name LIKE 'art32\_%' ESCAPE '\')`).Scan(&ours)
	if err != nil {
		return false, ctx.Err() // damaged
	}
	return ours, nil
}
