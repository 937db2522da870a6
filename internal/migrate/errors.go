package migrate

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of Up and Pending, each inside an *Error that names line and file.
var (
	// ErrChanged says that a migration was edited, renamed or swapped after it
	// had been applied. Migrations go forward only: restore the file and write
	// a new one.
	ErrChanged = errors.New("an applied migration was changed")

	// ErrNewer says that the database holds a version which this binary does
	// not know: an older binary meets a database that a newer one has migrated.
	ErrNewer = errors.New("the database is newer than this program")

	// ErrTransaction says that a file ended the transaction it runs in. A
	// migration file must not contain BEGIN, COMMIT or ROLLBACK.
	ErrTransaction = errors.New("the file ended its transaction")
)

// Error names the migration that an error is about.
type Error struct {
	Line    string // name of the line
	Version int    // number of the migration, from 1
	Name    string // base name of the file, as far as known
	Err     error  // cause
}

// Error names line, file and cause. Of a database error that may quote stored
// values (data exceptions, violated constraints, errors raised by functions)
// it shows the SQLSTATE only; Unwrap leads to the whole of it.
func (e *Error) Error() string {
	return fmt.Sprintf("migrate: line %s, version %d (%s): %s", e.Line, e.Version, e.Name, text(e.Err))
}

// Unwrap returns the cause. Its text may quote stored values; the caller must
// not log it.
func (e *Error) Unwrap() error { return e.Err }

func text(err error) string {
	switch state := sqlState(err); {
	case strings.HasPrefix(state, "22"), strings.HasPrefix(state, "23"), strings.HasPrefix(state, "P0"):
		return "SQLSTATE " + state
	default:
		return err.Error()
	}
}

// sqlState returns the five letters of a PostgreSQL error, or "".
func sqlState(err error) string {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	return ""
}

// raced reports whether err is what the loser of two simultaneous creations of
// a schema or table sees on PostgreSQL. IF NOT EXISTS does not prevent it.
func raced(err error) bool {
	switch sqlState(err) {
	case "23505", "42P06", "42P07", "XX000":
		return true
	}
	return false
}

// busy reports whether err is SQLITE_BUSY or one of its extended codes.
func busy(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Code() int
	}](err)
	return ok && e.Code()&0xff == 5
}
