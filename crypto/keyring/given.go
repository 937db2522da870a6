package keyring

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/art32/art32/internal/aead"
)

// given are the rows that a statement is about, as parameters behind its own.
// A row is name, version, bytes or their header, version of the KEK, old bytes,
// or the first of these.
type given struct {
	casts bool // PostgreSQL is told the types
	args  []any
	text  strings.Builder
}

var givenTypes = [...]string{"text", "integer", "bytea", "bigint", "bytea"}

// given begins with the statement's own arguments.
func (s *sqlStore) given(args ...any) *given { return &given{casts: !s.lite, args: args} }

func (g *given) add(values ...any) {
	for i, v := range values {
		switch {
		case i > 0:
			g.text.WriteString(", ")
		case g.text.Len() == 0:
			g.text.WriteString("(")
		default:
			g.text.WriteString("), (")
		}
		g.args = append(g.args, v)
		if n := strconv.Itoa(len(g.args)); g.casts {
			g.text.WriteString("$" + n + "::" + givenTypes[i])
		} else { // SQLite takes $1 for a name, and looks for it among all before
			g.text.WriteString("?" + n)
		}
	}
}

// into is the text of a statement with the rows in it.
func (g *given) into(text string) string { return fmt.Sprintf(text, g.text.String()+")") }

// under is the version of the KEK by which a key is wrapped, as its bytes name
// it; 0, which no KEK has, where they name none, and NULL under the root.
func under(name string, wrapped []byte) any {
	if rootWrapped(name) {
		return nil
	}
	version, _ := aead.KeyVersion(wrapped)
	return int64(version)
}
