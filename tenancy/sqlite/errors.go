package sqlite

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"modernc.org/sqlite"

	"github.com/art32/art32/internal/engine"
)

// Primary and extended result codes of SQLite, https://sqlite.org/rescode.html.
const (
	codeError      = 1
	codePerm       = 3
	codeBusy       = 5
	codeLocked     = 6
	codeReadOnly   = 8
	codeInterrupt  = 9
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeTooBig     = 18
	codeConstraint = 19
	codeMismatch   = 20
	codeAuth       = 23
	codeNotADB     = 26

	codePrimaryKey = codeConstraint | 6<<8
	codeUnique     = codeConstraint | 8<<8
	codeRowID      = codeConstraint | 10<<8
	codeDatatype   = codeConstraint | 12<<8
)

// conditions are the texts of what keeps a database from working.
//
//nolint:gochecknoglobals // a constant table
var conditions = map[int]string{
	codePerm:      "access permission denied",
	codeBusy:      "database is locked by another writer",
	codeLocked:    "table is locked",
	codeReadOnly:  "database or its directory is read-only",
	codeInterrupt: "interrupted",
	codeIO:        "disk input or output error",
	codeFull:      "database or disk is full",
	codeCantOpen:  "unable to open the database file",
}

// translate says an error of the driver in words that hold no value of a row.
// file names the file that it is about, relative to the directory.
func translate(err error, file string) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*engine.Error](err); ok {
		return known
	}
	native, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return &engine.Error{Kind: engine.Unavailable, Cause: err}
	case !ok:
		return &engine.Error{Kind: engine.Other, Cause: err}
	}
	out := describe(native)
	out.Code = strconv.Itoa(native.Code())
	switch primary := native.Code() & 0xff; primary {
	case codeCorrupt, codeNotADB:
		out.Text = damaged(file)
	default:
		if out.Kind == engine.Unavailable {
			out.Text = file + ": " + conditions[primary]
		}
	}
	return out
}

// describe gives the kind, and the names or the text that quote no value.
func describe(native *sqlite.Error) *engine.Error {
	msg := message(native)
	switch primary := native.Code() & 0xff; primary {
	case codeConstraint:
		return constraint(native.Code(), msg)
	case codeAuth:
		return &engine.Error{Kind: engine.Forbidden, Text: plain(msg)}
	case codeMismatch, codeTooBig:
		return &engine.Error{Kind: engine.BadValue, Text: plain(msg)}
	case codePerm, codeBusy, codeLocked, codeReadOnly, codeInterrupt, codeIO, codeFull, codeCantOpen:
		return &engine.Error{Kind: engine.Unavailable}
	case codeError:
		if strings.HasPrefix(msg, prohibited) || strings.HasPrefix(msg, vacuum) {
			return &engine.Error{Kind: engine.Forbidden, Text: plain(msg)}
		}
		return &engine.Error{Kind: engine.Other, Text: plain(msg)}
	default:
		return &engine.Error{Kind: engine.Other}
	}
}

// How SQLite refuses, with the generic code, a function that the authorizer
// denied, and VACUUM, of which it asks the authorizer only later.
const (
	prohibited = "not authorized"
	vacuum     = "cannot VACUUM"
)

func constraint(code int, msg string) *engine.Error {
	e := &engine.Error{Kind: engine.Constraint}
	switch code {
	case codePrimaryKey, codeUnique, codeRowID:
		e.Kind = engine.Unique
	case codeDatatype:
		e.Kind = engine.BadValue
	}
	if m := constraintColumn.FindStringSubmatch(msg); m != nil {
		e.Table, e.Column = m[1], m[2]
	} else if m := constraintName.FindStringSubmatch(msg); m != nil {
		e.Name = m[1]
	}
	return e
}

var (
	constraintColumn = regexp.MustCompile(`(?:constraint failed: |column )(\w+)\.(\w+)`)
	constraintName   = regexp.MustCompile(`^(?:CHECK constraint failed: |UNIQUE constraint failed: index ')(\w+)'?$`)

	// plainTexts quote names only. A word after near may be a name, a keyword
	// or a sign, never the literal that stands there.
	plainTexts = regexp.MustCompile(`^(` + strings.Join([]string{
		`no such (table|column|function|index|view|trigger|module|collation sequence): [\w.]+`,
		`ambiguous column name: [\w.]+`,
		`near "([A-Za-z_]\w*|[(),;*=<>.+-]+)": syntax error`,
		`incomplete input`,
		`table \w+ has no column named \w+`,
		`table \w+ has \d+ columns but \d+ values were supplied`,
		`\d+ values for \d+ columns`,
		`wrong number of arguments to function \w+\(\)`,
		`misuse of (aggregate|window function):? ?\w+\(\)`,
		`foreign key mismatch - "\w+" referencing "\w+"`,
		`cannot VACUUM from within a transaction`,
		`not authorized( to use function: \w+)?`,
		`access to [\w.]+ is prohibited`,
		`string or blob too big`,
		`datatype mismatch`,
		`cannot modify \w+ because it is a view`,
		`table \w+ may not be modified`,
	}, "|") + `)$`)
)

// plain keeps a message that can quote no value of a row.
func plain(msg string) string {
	if plainTexts.MatchString(msg) {
		return unnamed(msg)
	}
	return ""
}

// unnamed leaves the word out that the statement got wrong: a value in double
// quotes is a name to SQLite.
func unnamed(msg string) string {
	for _, kind := range []string{"no such ", "ambiguous column name"} {
		if what, _, ok := strings.Cut(msg, ": "); ok && strings.HasPrefix(msg, kind) {
			return what
		}
	}
	if strings.HasSuffix(msg, "syntax error") {
		return "syntax error"
	}
	return msg
}

// message is SQLite's own text without what the driver puts around it:
// "SQL logic error: no such table: x (1)".
func message(native *sqlite.Error) string {
	msg := strings.TrimSuffix(native.Error(), " ("+strconv.Itoa(native.Code())+")")
	if _, rest, ok := strings.Cut(msg, ": "); ok {
		return rest
	}
	return msg
}

func damaged(file string) string {
	return file + ": the file is damaged or is no SQLite database; restore it from a backup"
}

// refused is an error of the library's own rules.
func refused(text string) error { return &engine.Error{Kind: engine.Forbidden, Text: text} }
