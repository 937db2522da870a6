package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	lineName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	fileName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)
)

// Line is one package's own line of forward-only migrations. Lines are
// independent of each other but for the order in which they are handed to Up.
type Line struct {
	// Name identifies the line in the database for ever: lower-case letters,
	// digits and underscores, at most 63.
	Name string

	// FS holds postgres/0001_name.sql and sqlite/0001_name.sql, numbered from
	// 0001 without gaps. A line for one engine alone may hold its files at the
	// root instead. Files that do not end in .sql are ignored.
	FS fs.FS
}

// File is one migration of a line in one dialect.
type File struct {
	Line     string // name of the line
	Version  int    // number of the migration, from 1
	Name     string // base name, as in "0001_tables.sql"
	SQL      string // text, one or several statements
	Checksum string // SHA-256 of SQL in hexadecimal, line ends taken as LF
}

// Files returns the line's files for d, sorted by version. It returns an error
// if there are none, or if a name is malformed, a number is doubled or one is
// missing: a migration that was forgotten in the embed directive must not pass
// as one that was never written.
func (l Line) Files(d Dialect) ([]File, error) {
	if err := l.valid(d); err != nil {
		return nil, err
	}
	return l.read(l.dir(d))
}

// Check reports whether both dialects hold files of equal numbers and names.
// A line that serves both engines asserts it in a test.
func (l Line) Check() error {
	pg, err := l.folder(Postgres)
	if err != nil {
		return err
	}
	lite, err := l.folder(SQLite)
	if err != nil {
		return err
	}
	if a, b := names(pg), names(lite); !slices.Equal(a, b) {
		return fmt.Errorf("migrate: line %s: the dialects differ: postgres holds %v, sqlite holds %v", l.Name, a, b)
	}
	return nil
}

func (l Line) folder(d Dialect) ([]File, error) {
	if err := l.valid(d); err != nil {
		return nil, err
	}
	return l.read(string(d))
}

func (l Line) valid(d Dialect) error {
	switch {
	case d != Postgres && d != SQLite:
		return fmt.Errorf("migrate: unknown dialect %q", string(d))
	case !lineName.MatchString(l.Name):
		return fmt.Errorf("migrate: bad name of a line: %q", l.Name)
	case l.FS == nil:
		return fmt.Errorf("migrate: line %s has no files", l.Name)
	}
	return nil
}

// dir is the folder of d, or the root where the line has no such folder.
func (l Line) dir(d Dialect) string {
	if _, err := fs.Stat(l.FS, string(d)); errors.Is(err, fs.ErrNotExist) {
		return "."
	}
	return string(d)
}

func (l Line) read(dir string) ([]File, error) {
	entries, err := fs.ReadDir(l.FS, dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("migrate: line %s: read folder: %w", l.Name, err)
	}
	var files []File
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		f, err := l.file(dir, e.Name())
		if err != nil {
			return nil, err
		}
		if f.Version != len(files)+1 {
			return nil, fmt.Errorf("migrate: line %s: file %s stands where number %04d is due", l.Name, f.Name, len(files)+1)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("migrate: line %s has no files in folder %s", l.Name, dir)
	}
	return files, nil
}

func (l Line) file(dir, name string) (File, error) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return File{}, fmt.Errorf("migrate: line %s: bad name of a file: %q", l.Name, name)
	}
	text, err := fs.ReadFile(l.FS, strings.TrimPrefix(dir+"/"+name, "./"))
	if err != nil {
		return File{}, fmt.Errorf("migrate: line %s: read file: %w", l.Name, err)
	}
	version, err := strconv.Atoi(m[1])
	if err != nil {
		return File{}, fmt.Errorf("migrate: line %s: bad name of a file: %q", l.Name, name)
	}
	sql := strings.ReplaceAll(string(text), "\r\n", "\n")
	sum := sha256.Sum256([]byte(sql))
	return File{Line: l.Name, Version: version, Name: name, SQL: sql, Checksum: hex.EncodeToString(sum[:])}, nil
}

func names(files []File) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f.Name
	}
	return out
}
