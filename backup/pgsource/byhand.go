package pgsource

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/art32/art32/internal/migrate"
)

// unmade finds tables and columns that no migration so much as names: they were
// made by hand, and a restore, which makes the tables by the migrations, would
// have no place for their rows. One whose name a migration uses for something
// else is not found.
func (c *catalogue) unmade(files []migrate.File) (out []finding) {
	var all strings.Builder
	for _, f := range files {
		all.WriteString(f.SQL + "\n")
	}
	text := all.String()
	words := make(map[string]bool)
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		words[word] = true
	}
	named := func(name string) bool {
		return words[strings.ToLower(name)] || strings.Contains(text, strings.ReplaceAll(name, `"`, `""`)) && !simple.MatchString(name)
	}
	for i := range c.tables {
		t := &c.tables[i]
		if !named(t.Name) {
			out = append(out, byHand("table "+t.label(), "creates it IF NOT EXISTS"))
			continue
		}
		for _, column := range t.Columns {
			if !named(column) {
				out = append(out, byHand(fmt.Sprintf("column %s of table %s", quoted(column), t.label()), "adds it IF NOT EXISTS"))
			}
		}
	}
	return out
}

func byHand(what, migration string) finding {
	return finding{
		what: what + " is named in no migration: it was made by hand, and could not be restored",
		mend: "write a migration that " + migration + ", or exclude the table; if one makes it under a composed name, name it there in a comment",
	}
}
