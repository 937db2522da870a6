package pgsource

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// layoutFormat names the first version of layout.json for ever.
const layoutFormat = "art32-postgres/v1"

// layout says what the files of a part hold. It is the first file of what
// tenants share, and of the keystore.
type layout struct {
	Format string     `json:"format"`
	Lines  []lineList `json:"lines,omitempty"` // in the order in which they are applied
	Tables []table    `json:"tables"`
}

// lineList names the migrations of a line; their texts are the files
// migrations/<line>/<name>.
type lineList struct {
	Name  string   `json:"name"`
	Files []string `json:"files"`
}

// table is a table whose rows are carried, in the files of its folder.
type table struct {
	Schema      string   `json:"schema"`
	Name        string   `json:"name"`
	Columns     []string `json:"columns"`
	Tenant      string   `json:"tenant,omitempty"` // the column by which rows are split
	Partitioned bool     `json:"partitioned,omitempty"`
}

var simple = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// label is the name for people, the same in every backup.
func (t *table) label() string {
	word := func(s string) string {
		if simple.MatchString(s) {
			return s
		}
		return quoted(s)
	}
	return word(t.Schema) + "." + word(t.Name)
}

// folder holds the rows. No two tables share one, also where names of files do
// not tell capitals from small letters.
func (t *table) folder() string { return "data/" + escape(t.Schema) + "." + escape(t.Name) }

func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	return b.String()
}

func (t *table) quoted() string { return quoted(t.Schema, t.Name) }

// columns is the list in parentheses.
func (t *table) columns() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quoted(c)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// only is the table without those that inherit from it, which are tables of
// their own.
func (t *table) only() string {
	if t.Partitioned {
		return t.quoted()
	}
	return "ONLY " + t.quoted()
}

// copyOut reads each row once.
func (t *table) copyOut() string {
	if t.Partitioned {
		list := strings.TrimSuffix(t.columns()[1:], ")")
		return "COPY (SELECT " + list + " FROM " + t.quoted() + ") TO STDOUT"
	}
	return "COPY " + t.quoted() + " " + t.columns() + " TO STDOUT"
}

func (t *table) copyIn() string { return "COPY " + t.quoted() + " " + t.columns() + " FROM STDIN" }

// tenantField is the place of the tenant's column in a row, or -1.
func (t *table) tenantField() int {
	if t.Tenant == "" {
		return -1
	}
	return slices.Index(t.Columns, t.Tenant)
}

func quoted(name ...string) string { return pgx.Identifier(name).Sanitize() }

// literal is a string, whatever is set for standard_conforming_strings.
func literal(s string) string {
	out := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		out = " E" + strings.ReplaceAll(out, `\`, `\\`)
	}
	return out
}
