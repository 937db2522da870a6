package postgres

import (
	"strings"
	"testing"
)

// FuzzJudgeText puts blanks and comments before statements: none may change the
// judgement.
func FuzzJudgeText(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, uint8(0))
	f.Add([]byte{4, 4, 5, 6}, uint8(3))
	f.Fuzz(func(t *testing.T, noise []byte, pick uint8) {
		pieces := []string{" ", "\t", ";", "\n", "/* a */", "-- SELECT 1\n", "/* /* SELECT */ b */", "--\r", "/*'*/", "/*(*/", "\v\f"}
		var b strings.Builder
		for _, n := range noise {
			b.WriteString(pieces[int(n)%len(pieces)])
		}
		refused := []string{
			"ALTER ROLE CURRENT_USER PASSWORD 'x'", "DO $$BEGIN END$$", "COPY t TO STDOUT", "COMMIT", "rollback", "GRANT a TO b",
			"PREPARE TRANSACTION 'x'", "EXPLAIN SELECT 1", "LOCK TABLE t", "", "CREATE TABLE t ()", "CALL p()",
		}
		if q := b.String() + refused[int(pick)%len(refused)]; judgeText(q) == nil {
			t.Errorf("%q is let through", q)
		}
		allowed := []string{"SELECT 1", "(SELECT 1)", "with x as (select 1) select 1", "ROLLBACK TO s", "TABLE t"}
		if q := b.String() + allowed[int(pick)%len(allowed)]; judgeText(q) != nil {
			t.Errorf("%q is refused", q)
		}
		_ = judgeText(string(noise)) // no panic, whatever it is
	})
}
