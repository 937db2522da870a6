// Package migrate applies forward-only SQL migrations to PostgreSQL and SQLite.
//
// Each package that owns tables owns a [Line] of numbered files; users' own
// migrations are one more line. [Up] applies what is missing, [Pending] tells
// it. It supports TOM-8.1 (separation of tenants): the tables, policies and
// rights that separate them are those that the program was tested with.
//
// # Guarantees
//
// A file and the row that records it are one transaction: nothing is applied
// by halves, and after a crash the next Up goes on where the last one ended.
// Instances that start at once apply each file once. A file that was changed
// after it was applied, and a database that is newer than the program, are
// found before anything is applied.
//
// # Not covered
//
// Statements that PostgreSQL refuses inside a transaction, such as CREATE INDEX
// CONCURRENTLY; going backwards; lines that the caller does not name. A setting
// that a file changes stays with the connection unless it says SET LOCAL.
//
// # Compatibility
//
// The tables art32.migrations (PostgreSQL) and art32_migrations (SQLite) keep
// their columns. On PostgreSQL the role art32_library must exist; it may read
// the table.
package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Dialect is the SQL that a migration is written in. The zero value is invalid.
type Dialect string

// The two engines. The values are the names of the folders in Line.FS.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Applied is a migration that one call of Up has applied.
type Applied struct {
	Line    string    // name of the line
	Version int       // number of the migration, from 1
	Name    string    // base name of the file
	At      time.Time // by the clock of this process
}

// Querier is what Pending needs: a *sql.DB, *sql.Conn, *sql.Tx or sqlx's.
type Querier interface {
	// QueryContext is that of database/sql.
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Up applies every file of lines that db does not hold yet, in the order given,
// and returns those that this call has applied, also beside an error.
//
// It checks all lines before it applies the first file and returns an *Error
// around ErrChanged or ErrNewer, with nothing applied. A file that fails leaves
// no trace; files before it stay. Up waits for another instance that is
// migrating until ctx ends.
//
// db must be outside a transaction, and on PostgreSQL belong to the owner of
// the tables. The driver must run several statements in one Exec without
// arguments, as pgx's stdlib and modernc.org/sqlite do.
func Up(ctx context.Context, db *sql.Conn, d Dialect, lines ...Line) ([]Applied, error) {
	pending, err := Pending(ctx, db, d, lines...)
	if err != nil {
		return nil, err
	}
	u := upper{db: db, store: stores[d]}
	if err := u.prepare(ctx); err != nil {
		return nil, fmt.Errorf("migrate: prepare the table of migrations: %w", err)
	}
	done, raced, err := u.applyAll(ctx, pending)
	if err == nil && raced {
		_, err = Pending(ctx, db, d, lines...) // the other instance may be newer
	}
	return done, err
}

// Pending returns the files of lines that the database does not hold yet, in
// the order in which Up applies them. It writes nothing. A database that was
// never migrated holds none. An applied file that has changed, and a version
// that lines do not know, are an *Error around ErrChanged or ErrNewer.
func Pending(ctx context.Context, q Querier, d Dialect, lines ...Line) ([]File, error) {
	var out []File
	for _, l := range lines {
		files, err := l.Files(d)
		if err != nil {
			return nil, err
		}
		held, err := stores[d].held(ctx, q, l.Name)
		if err != nil {
			return nil, fmt.Errorf("migrate: read the table of migrations: %w", err)
		}
		if err := compare(files, held); err != nil {
			return nil, err
		}
		out = append(out, files[len(held):]...)
	}
	return out, nil
}

// compare returns an error unless held is the beginning of files.
func compare(files []File, held []row) error {
	for i, r := range held {
		switch {
		case r.version > len(files):
			return &Error{Line: r.line, Version: r.version, Name: r.name, Err: ErrNewer}
		case r.version != i+1:
			return &Error{Line: r.line, Version: i + 1, Name: files[i].Name, Err: ErrChanged}
		case r.name != files[i].Name || r.checksum != files[i].Checksum:
			return &Error{Line: r.line, Version: r.version, Name: files[i].Name, Err: ErrChanged}
		}
	}
	return nil
}
