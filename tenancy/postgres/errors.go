package postgres

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/art32/art32/internal/engine"
)

// translate turns what went wrong into words that hold no value of a row: the
// server's messages and details quote them. committing says that a commit may
// have been under way.
func translate(err error, committing bool) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*engine.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return unreachable(err)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		out := fromServer(pgErr)
		if committing {
			out.Kind = engine.Unknown
		}
		return out
	}
	if committing && !pgconn.SafeToRetry(err) {
		return &engine.Error{Kind: engine.Unknown, Cause: err}
	}
	return &engine.Error{Kind: engine.Unavailable, Cause: err}
}

// inDoubt reports whether a commit may have happened when a batch that ends
// with one failed with err. The server answers in order: what it said before it
// gave up tells how far it had come. A connection that broke tells nothing.
func inDoubt(err error, rep reply, commit int) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return true
	}
	// Else it gave up the commit and not the connection, or the connection before
	// it had heard of the commit.
	return fatal(pgErr) && pgErr.Code != idleInTransaction && rep.answered >= commit
}

// idleInTransaction ends a connection that waits for the next statement.
const idleInTransaction = "25P03"

// givenUp is the error of a connection that a pooler may have ended in the server's
// place. Its words are like a server's, and tell nothing of how far the server had
// come.
func givenUp(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("the connection was given up [%s]: %w", e.Code, io.ErrUnexpectedEOF)
	}
	return err
}

// fatal reports whether the server ended the connection, and not just the
// statement.
func fatal(e *pgconn.PgError) bool {
	return e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC"
}

// unreachable is a connection that could not be made, refused ones too. The
// server's message is kept out: it names users and addresses. The client's names
// user, host and database, never the password.
func unreachable(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &engine.Error{Kind: engine.Unavailable, Code: pgErr.Code, Text: refusal(pgErr.Code)}
	}
	return &engine.Error{Kind: engine.Unavailable, Cause: err}
}

// outward is translate for errors that may be those of other packages, which
// stay as they are: ofServer is false.
func outward(err error) (out error, ofServer bool) {
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if connect || network || isServer(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) {
		return translate(err, false), true
	}
	return err, false
}

// refusal says in words of our own why a server takes no connection.
func refusal(code string) string {
	switch {
	case class(code) == "28", code == "42501":
		return "the server refuses the login"
	case class(code) == "08": // as poolers do, which know few parameters
		return "the server, or a pooler before it, refuses the protocol or a parameter of the DSN"
	case code == "3D000":
		return "the server has no such database"
	case class(code) == "53":
		return "the server has no room for another connection"
	}
	return "the server refuses the connection"
}

func fromServer(e *pgconn.PgError) *engine.Error {
	if e.Routine == "exec_stmt_raise" { // code in the database wrote all its fields
		out := &engine.Error{Kind: kind(e.Code), Code: e.Code}
		if e.Message == contextRefused {
			out.Text = e.Message
		}
		return out
	}
	out := &engine.Error{
		Kind: kind(e.Code), Code: e.Code, Table: e.TableName, Column: e.ColumnName, Name: e.ConstraintName,
	}
	if fatal(e) && out.Kind == engine.Other {
		out.Kind = engine.Unavailable
	}
	switch {
	case e.Code == "08P01" && e.Routine == "exec_bind_message": // another number of parameters than the statement has
		out.Kind = engine.BadValue
		out.Text = "the parameters do not fit the statement"
	case class(e.Code) == "42": // quotes the statement, in which callers may have written values
		out.Text = position(e)
	case quotesNoValue(e.Code):
		out.Text = e.Message
	}
	return out
}

// position says where in the statement the server stumbled.
func position(e *pgconn.PgError) string {
	var words []string
	if e.Code == "42601" {
		words = append(words, "syntax error")
	}
	if e.Position > 0 {
		words = append(words, fmt.Sprintf("at character %d", e.Position))
	}
	return strings.Join(words, " ")
}

// contextRefused is what art32.sealed_part raises.
const contextRefused = "art32: sealed context refused"

// kind classifies an SQLSTATE (PostgreSQL manual, Appendix A).
func kind(code string) engine.Kind {
	switch code {
	case "23505":
		return engine.Unique
	case "42501":
		return engine.Forbidden
	case "Z3203": // of art32.demand_event
		return engine.Unrecorded
	}
	switch class(code) {
	case "22":
		return engine.BadValue
	case "23":
		return engine.Constraint
	case "08", "53", "57", "58":
		return engine.Unavailable
	}
	return engine.Other
}

// quotesNoValue tells the codes whose messages speak of the server's state only:
// not of data (22, 23), nor of the statement, in which callers may have written
// values or chosen names (26, 28, 34, 3B, 42, 55, 58), nor what code in the
// database raises (P0).
func quotesNoValue(code string) bool {
	switch class(code) {
	case "08", "25", "40", "53", "57":
		return true
	}
	return code == "55P03" // a lock that is not to be had
}

func class(code string) string {
	if len(code) != 5 {
		return ""
	}
	return code[:2]
}

// unknownTenant reports whether a batch failed where it opens the context.
func unknownTenant(b batch, rep reply, err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "22012" && b.context >= 0 && rep.answered == b.context
}

// stale answers a statement that a change of its table has made useless. It
// cannot be repeated inside the transaction that failed with it.
func stale(err error) error {
	out := &engine.Error{Kind: engine.Unavailable, Text: "a table has changed: the transaction can be repeated"}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		out.Code = e.Code
	}
	return out
}

func isServer(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}

func asEngine(err error) (*engine.Error, bool) { return errors.AsType[*engine.Error](err) }
