package postgres

import (
	"strings"
	"unicode"

	"github.com/art32/art32/internal/engine"
)

// judgeText decides by its first words whether a caller's statement is sent. It
// is a list of what is allowed: a login may change its own password and
// settings, for all tenants and lastingly, and no privilege takes that away; and
// the estimates of EXPLAIN come from statistics over the rows of all tenants.
// What the words do not tell, the rights of the app login decide.
func judgeText(query string) error {
	first, rest := firstWord(query)
	switch first {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE",
		"SET", "RESET", "SHOW", "SAVEPOINT", "RELEASE",
		"DECLARE", "FETCH", "MOVE", "CLOSE", "EXECUTE", "DEALLOCATE", "LISTEN", "UNLISTEN", "NOTIFY":
		return nil
	case "ROLLBACK":
		if toSavepoint(rest) {
			return nil
		}
		return controls()
	case "PREPARE": // a name and a query, or TRANSACTION
		if word, _ := nextWord(rest); word != "TRANSACTION" {
			return nil
		}
		return controls()
	case "BEGIN", "START", "COMMIT", "END", "ABORT":
		return controls()
	}
	return &engine.Error{Kind: engine.Forbidden, Text: "callers' text must not begin like this: see Statements in the documentation of tenancy/postgres"}
}

func controls() error {
	return &engine.Error{Kind: engine.Forbidden, Text: "callers' text must not begin or end a transaction"}
}

// toSavepoint reports whether what follows ROLLBACK is [WORK | TRANSACTION] TO.
func toSavepoint(rest string) bool {
	word, rest := nextWord(rest)
	if word == "WORK" || word == "TRANSACTION" {
		word, _ = nextWord(rest)
	}
	return word == "TO"
}

// firstWord is the next word, also where the statement stands in parentheses.
func firstWord(q string) (word, rest string) {
	for {
		q = skip(q)
		inner, ok := strings.CutPrefix(q, "(")
		if !ok {
			return nextWord(q)
		}
		q = inner
	}
}

// nextWord gives the next word in upper case, and what follows it; no word where
// something else comes next.
func nextWord(q string) (word, rest string) {
	q = skip(q)
	end := strings.IndexFunc(q, func(r rune) bool { return !letter(r) })
	if end < 0 {
		end = len(q)
	}
	return strings.ToUpper(q[:end]), q[end:]
}

// letter reports whether r can stand in a word of SQL. Others end no word in
// PostgreSQL, but make a name of it.
func letter(r rune) bool { return r < unicode.MaxASCII && unicode.IsLetter(r) }

// skip passes over blanks, semicolons and comments, nested ones too.
func skip(q string) string {
	for {
		q = strings.TrimLeft(q, " \t\r\n\f\v;")
		switch {
		case strings.HasPrefix(q, "--"):
			end := strings.IndexAny(q, "\r\n")
			if end < 0 {
				return ""
			}
			q = q[end:]
		case strings.HasPrefix(q, "/*"):
			q = afterComment(q)
		default:
			return q
		}
	}
}

func afterComment(q string) string {
	depth := 0
	for i := 0; i+1 < len(q); i++ {
		switch q[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return q[i+1:]
		}
	}
	return ""
}
