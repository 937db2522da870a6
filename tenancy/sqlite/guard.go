package sqlite

import (
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// rights say whose text a connection compiles at the moment. The zero value
// may compile nothing, so that a path that forgets to say fails.
type rights int

const (
	nobody    rights = iota
	caller           // text that a caller wrote
	reader           // a condition of a caller's in a statement of the library
	migration        // text of the user's migrations
	library          // fixed text of the library
	owner            // migrations of the library, upkeep of files
	rewriter         // VACUUM, which fills an unnamed file beside the database's own
)

// guard is the authorizer of one connection. Only conn.as changes rights, under
// the connection's lock: no SQL can reach them.
type guard struct {
	rights rights
}

// access is what SQLite asks about; inner is the trigger or view (or, in a
// SELECT, the common table expression) in whose text it stands.
type access struct {
	action           sqlite.AuthorizerActionCode
	arg1, arg2       string
	database, inside string
}

// install puts the guard on a connection.
func (g *guard) install(c any) error {
	r, ok := c.(sqlite.AuthorizerRegisterer)
	if !ok {
		return errors.New("sqlite: driver has no authorizer")
	}
	return r.RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, arg1, arg2, db, inside string) sqlite.AuthorizerReturnCode {
		if g.allows(access{action, arg1, arg2, db, inside}) {
			return sqlite.AuthorizerOK
		}
		return sqlite.AuthorizerDeny
	})
}

func (g *guard) allows(a access) bool {
	if g.rights == rewriter {
		return a.byRewriter()
	}
	if a.database != "" && a.database != "main" {
		return false // temporary objects could stand in for real ones
	}
	if a.action == sqlite.AuthFunction && deniedFunctions[strings.ToLower(a.arg2)] {
		return false
	}
	switch g.rights {
	case caller:
		return a.byCaller()
	case reader:
		return a.byReader()
	case migration:
		return a.byMigration()
	case library:
		return a.byLibrary()
	case owner:
		return a.byOwner()
	case nobody, rewriter:
	}
	return false
}

// byRewriter allows what VACUUM does, but no file that has a name.
func (a access) byRewriter() bool { return a.action != sqlite.AuthAttach || a.arg1 == "" }

// byCaller allows reading and writing rows of the caller's own tables. What is
// not named is denied: schema changes, transactions, savepoints, ATTACH,
// temporary objects, virtual tables, ANALYZE, and whatever comes to be.
func (a access) byCaller() bool {
	switch a.action {
	case sqlite.AuthSelect, sqlite.AuthRecursive, sqlite.AuthFunction:
		return true
	case sqlite.AuthRead:
		return readable(a.arg1)
	case sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete:
		return !reserved(a.arg1) && !internal(a.arg1)
	case sqlite.AuthPragma:
		return a.harmlessPragma()
	default:
		return false
	}
}

// byReader allows reading the caller's own tables.
func (a access) byReader() bool {
	switch a.action {
	case sqlite.AuthSelect, sqlite.AuthRecursive, sqlite.AuthFunction:
		return true
	case sqlite.AuthRead:
		return readable(a.arg1)
	default:
		return false
	}
}

// byMigration adds the schema of the user's tables. The file's transaction
// belongs to package migrate: the text may not end it.
func (a access) byMigration() bool {
	switch a.action {
	case sqlite.AuthSelect, sqlite.AuthRecursive, sqlite.AuthFunction, sqlite.AuthAnalyze, sqlite.AuthReindex:
		return true
	case sqlite.AuthRead, sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete,
		sqlite.AuthCreateTable, sqlite.AuthDropTable, sqlite.AuthCreateView, sqlite.AuthDropView,
		sqlite.AuthCreateIndex, sqlite.AuthDropIndex, sqlite.AuthCreateTrigger, sqlite.AuthDropTrigger,
		sqlite.AuthAlterTable, sqlite.AuthCreateVTable, sqlite.AuthDropVTable:
		return !reserved(a.arg1) && !reserved(a.arg2) && !rawPages(a.arg1)
	case sqlite.AuthPragma:
		return a.harmlessPragma() || strings.EqualFold(a.arg1, "defer_foreign_keys")
	default:
		return false
	}
}

// byLibrary allows rows of all tables, but no trigger of the user's to write
// into the library's tables in the shade of a statement of the library.
func (a access) byLibrary() bool {
	switch a.action {
	case sqlite.AuthSelect, sqlite.AuthRecursive, sqlite.AuthFunction, sqlite.AuthTransaction, sqlite.AuthSavepoint:
		return true
	case sqlite.AuthRead:
		return !rawPages(a.arg1)
	case sqlite.AuthInsert, sqlite.AuthUpdate, sqlite.AuthDelete:
		return !reserved(a.arg1) || a.inside == "" || reserved(a.inside)
	case sqlite.AuthPragma:
		return a.harmlessPragma()
	default:
		return false
	}
}

// byOwner allows all but other files and temporary objects.
func (a access) byOwner() bool {
	switch a.action {
	case sqlite.AuthAttach, sqlite.AuthDetach,
		sqlite.AuthCreateTempIndex, sqlite.AuthCreateTempTable, sqlite.AuthCreateTempTrigger, sqlite.AuthCreateTempView,
		sqlite.AuthDropTempIndex, sqlite.AuthDropTempTable, sqlite.AuthDropTempTrigger, sqlite.AuthDropTempView:
		return false
	default:
		return true
	}
}
