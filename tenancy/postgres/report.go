package postgres

import (
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// Report is what a watched table tells of one statement of an older application:
// that protection would refuse or hide something. It holds no value.
type Report struct {
	Table   string // with its schema
	Message string // what the statement did, and what protection would do
	// Statement is its text without the values that were written into it, or says
	// that it is not shown. Text that is put together while the program runs can
	// name columns by what callers chose.
	Statement string
}

// reportCode is the SQLSTATE of the warnings of art32.unsafe_watched.
const reportCode = "Z3201"

// mostReports is how many different reports are told apart.
const mostReports = 1024

// OnReport makes the notice handler of the pool of an older application, whose
// login art32.unsafe_watch lets past the policies: pgconn.Config.OnNotice. It calls
// f once for each different report, at most for 1,024 of them, and other for every
// other notice. f and other are called in the midst of a statement, by many
// goroutines, and must not use the connection; nil ignores. A statement that reads
// rows of another tenant need not return them, as where a join drops them: a report
// is a place to look at. The same warnings stand in the server's log.
func OnReport(f func(Report), other pgconn.NoticeHandler) pgconn.NoticeHandler {
	var mu sync.Mutex
	told := map[Report]bool{}
	first := func(r Report) bool {
		mu.Lock()
		defer mu.Unlock()
		if told[r] || len(told) == mostReports {
			return false
		}
		told[r] = true
		return true
	}
	return func(c *pgconn.PgConn, n *pgconn.Notice) {
		r := Report{Table: n.TableName, Message: n.Message, Statement: n.Detail}
		switch {
		case n.Code != reportCode:
			if other != nil {
				other(c, n)
			}
		case f != nil && first(r):
			f(r)
		}
	}
}
