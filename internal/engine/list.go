package engine

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/migrate"
)

// List is one parameter that holds many values of one type, of those that [Stmt]
// lists: in PostgreSQL the text of an array, whose type the statement gives, in
// SQLite a JSON array, in which bytes are hexadecimal.
func List(d migrate.Dialect, values []any) (string, error) {
	if d == migrate.Postgres {
		return array(values)
	}
	out := make([]any, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			out[i] = hex.EncodeToString(v)
		case bool:
			out[i] = map[bool]int{true: 1}[v]
		case time.Time:
			out[i] = v.UTC().Format(SQLiteTime)
		case uuid.UUID, string, int64, float64:
			out[i] = v
		default:
			return "", fmt.Errorf("list of %T", v)
		}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// SQLiteTime is how a time is stored in SQLite: UTC, fixed width, so that texts
// compare as times do, and readable by its date functions.
const SQLiteTime = "2006-01-02T15:04:05.000000Z"

// array writes an array as PostgreSQL reads it, each element in quotes.
func array(values []any) (string, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		switch v := v.(type) {
		case []byte:
			b.WriteString(`\\x` + hex.EncodeToString(v))
		case bool:
			b.WriteString(strconv.FormatBool(v))
		case time.Time:
			b.WriteString(v.UTC().Format("2006-01-02 15:04:05.999999Z07:00"))
		case uuid.UUID:
			b.WriteString(v.String())
		case string:
			b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v))
		case int64:
			b.WriteString(strconv.FormatInt(v, 10))
		case float64:
			b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		default:
			return "", fmt.Errorf("list of %T", v)
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String(), nil
}
