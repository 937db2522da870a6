package postgres

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/art32/art32/internal/engine"
)

// timeText is how times travel as parameters: UTC, in microseconds, as
// PostgreSQL stores them.
const timeText = "2006-01-02 15:04:05.999999Z07:00"

// encode writes one parameter. All travel as text, whose type the server
// infers from the statement, but bytes, which travel as they are.
func encode(a any) ([]byte, resultFormat, error) {
	switch v := a.(type) {
	case nil:
		return nil, textFormat, nil
	case []byte:
		if v == nil {
			return nil, textFormat, nil
		}
		return v, binaryFormat, nil
	case string:
		return []byte(v), textFormat, nil
	case textArray:
		return v.binary(), binaryFormat, nil
	case bool:
		return strconv.AppendBool(nil, v), textFormat, nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), textFormat, nil
	case int64:
		return strconv.AppendInt(nil, v, 10), textFormat, nil
	case float64:
		return strconv.AppendFloat(nil, v, 'g', -1, 64), textFormat, nil
	case time.Time:
		return v.UTC().AppendFormat(make([]byte, 0, len(timeText)), timeText), textFormat, nil
	case uuid.UUID:
		return appendUUID(make([]byte, 0, 36), v), textFormat, nil
	case driver.Valuer:
		x, err := v.Value()
		if err != nil {
			return nil, 0, &engine.Error{Kind: engine.BadValue}
		}
		return encode(x)
	default:
		return nil, 0, &engine.Error{Kind: engine.BadValue, Text: fmt.Sprintf("type %T cannot be bound", a)}
	}
}

// textArray travels as text[].
type textArray []string

// binary is what array_recv reads: dimensions, whether NULLs are in it, type,
// then of the one dimension its length and first index.
func (a textArray) binary() []byte {
	size := 20
	for _, s := range a {
		size += 4 + len(s)
	}
	out := make([]byte, 0, size)
	for _, n := range []int{1, 0, pgtype.TextOID, len(a), 1} {
		out = binary.BigEndian.AppendUint32(out, uint32(n))
	}
	for _, s := range a {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	return out
}

// appendUUID writes the canonical form.
func appendUUID(dst []byte, u uuid.UUID) []byte {
	for i, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}
