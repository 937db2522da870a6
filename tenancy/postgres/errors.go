package postgres

import (
	"errors"
	"fmt"

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
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		out := fromServer(pgErr)
		if committing && fatal(pgErr) { // it gave up the connection, not the commit
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
	return !isServer(err) || rep.answered >= commit
}

// fatal reports whether the server ended the connection, and not just the
// statement.
func fatal(e *pgconn.PgError) bool {
	return e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC"
}

// unreachable is a connection that could not be made. The client's message
// names user, host and database, never the password.
func unreachable(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fromServer(pgErr)
	}
	return &engine.Error{Kind: engine.Unavailable, Cause: err}
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
	switch {
	case e.Code == "42601": // quotes the statement, in which callers may have written values
		out.Text = "syntax error"
		if e.Position > 0 {
			out.Text += fmt.Sprintf(" at character %d", e.Position)
		}
	case quotesNoValue(e.Code):
		out.Text = e.Message
	}
	return out
}

// contextRefused is what art32.refuse_context raises.
const contextRefused = "art32: sealed context refused"

// kind classifies an SQLSTATE (PostgreSQL manual, Appendix A).
func kind(code string) engine.Kind {
	switch code {
	case "23505":
		return engine.Unique
	case "42501":
		return engine.Forbidden
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

// quotesNoValue tells the classes whose messages speak of names and states
// only: not of data (22, 23), nor what code in the database raises (P0).
func quotesNoValue(code string) bool {
	switch class(code) {
	case "08", "25", "28", "40", "42", "53", "55", "57", "58":
		return true
	}
	return false
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

func isServer(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok
}

func asEngine(err error) (*engine.Error, bool) { return errors.AsType[*engine.Error](err) }
