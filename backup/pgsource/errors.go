package pgsource

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

const closeTime = 10 * time.Second

// errMoved says that tables came or went between two looks.
var errMoved = errors.New("the tables change faster than they can be listed")

// finding is one thing for which a backup is refused.
type finding struct {
	what string // names roles and tables; never data
	mend string // a statement where one mends it
	role bool   // the login lacks a right
}

// refusal is the complete list of what is wrong. It is [backup.ErrRole] where
// the login lacks a right.
type refusal struct{ findings []finding }

// Error lists all findings.
func (r *refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused: %d finding(s)", len(r.findings))
	for _, f := range r.findings {
		fmt.Fprintf(&b, "\n- %s; mend: %s", f.what, f.mend)
	}
	return b.String()
}

// Is makes a login without a right match [backup.ErrRole].
func (r *refusal) Is(target error) bool {
	for _, f := range r.findings {
		if f.role && target == backup.ErrRole {
			return true
		}
	}
	return false
}

// told turns what went wrong into words that hold no value of a row: the
// server's messages and details quote them. Some errors are told already.
func told(err error) error {
	_, already := errors.AsType[*engine.Error](err)
	_, migration := errors.AsType[*migrate.Error](err)
	if already || migration {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &engine.Error{
			Kind: kind(e.Code), Code: e.Code, Table: e.TableName, Column: e.ColumnName, Name: e.ConstraintName, Text: text(e),
		}
	}
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if connect || network {
		return &engine.Error{Kind: engine.Unavailable, Cause: err}
	}
	return err
}

// text is the server's message where it speaks of names or of the server's state
// only: the statements of this package hold no value of a row. What code in the
// database raises is its own.
func text(e *pgconn.PgError) string {
	if e.Routine == "exec_stmt_raise" {
		return ""
	}
	switch class(e.Code) {
	case "08", "25", "28", "3D", "40", "42", "53", "55", "57":
		return e.Message
	}
	return ""
}

func kind(code string) engine.Kind {
	switch class(code) {
	case "22":
		return engine.BadValue
	case "23":
		return engine.Constraint
	case "08", "53", "57", "58":
		return engine.Unavailable
	}
	if code == "42501" {
		return engine.Forbidden
	}
	return engine.Other
}

// code is the SQLSTATE of an error, or "".
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func class(code string) string {
	if len(code) != 5 {
		return ""
	}
	return code[:2]
}
